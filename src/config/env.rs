//! The one place that reads the environment.
//!
//! | variable | what it is for |
//! |---|---|
//! | `FORTHWITH_WORKSPACE` | the workspace, where `--workspace` is not given |
//! | `FORTHWITH_PASSWORD` | the password of the one operator a command asks for |
//! | `FORTHWITH_PASSWORD_1`, `_2` | the passwords of the two founders of `init`, or of the first and second `--by` |
//! | `FORTHWITH_RELAY_SECRET` | the relay's password or access token, where `relay.auth.secret_file` names no file |
//! | `FORTHWITH_SECTION__KEY` | a setting: `FORTHWITH_RELAY__TIMEOUTS__DOT=5m` sets `dot` of `[relay.timeouts]` |
//! | `LC_ALL`, `LC_CTYPE`, `LANG` | whether a terminal shows more than ASCII |
//! | `NO_COLOR`, `TERM` | whether a terminal shows colours |
//! | `XDG_STATE_HOME`, `HOME` | where this host remembers the high-water mark of a database |
//!
//! Every other variable that begins with `FORTHWITH_` is refused: a misspelt one would be a setting
//! that nobody applies.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// What the names of our own variables begin with.
pub const PREFIX: &str = "FORTHWITH_";

/// What stands between the steps of a key.
const STEP: &str = "__";

/// The variable that names the workspace.
pub const WORKSPACE: &str = "FORTHWITH_WORKSPACE";

/// The variables that may hold a password: of the one operator, of the first and of the second.
pub const PASSWORDS: [&str; 3] =
    ["FORTHWITH_PASSWORD", "FORTHWITH_PASSWORD_1", "FORTHWITH_PASSWORD_2"];

/// The variable that may hold the relay's secret.
pub const RELAY_SECRET: &str = "FORTHWITH_RELAY_SECRET";

/// The variables this program looks at, as they were at its start.
pub struct Variables(BTreeMap<String, Zeroizing<String>>);

/// Names only: some values are passwords.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A variable of ours that is not text.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable `{name}` is not UTF-8")]
pub struct NotText {
    /// Its name.
    name: String,
}

impl Variables {
    /// Reads the process's environment.
    pub fn capture() -> Result<Self, NotText> {
        Self::of(std::env::vars_os())
    }

    /// Takes the variables given; for tests, and for runs within a process.
    pub fn of<K: Into<OsString>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, NotText> {
        let others = ["XDG_STATE_HOME", "HOME", "LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR", "TERM"];
        let mut taken = BTreeMap::new();
        for (name, value) in pairs {
            let Ok(name) = name.into().into_string() else { continue };
            let is_ours = name.starts_with(PREFIX);
            if !is_ours && !others.contains(&name.as_str()) {
                continue;
            }
            match value.into().into_string() {
                Ok(value) => {
                    taken.insert(name, Zeroizing::new(value));
                }
                Err(_) if is_ours => return Err(NotText { name }),
                Err(_) => {}
            }
        }
        Ok(Self(taken))
    }

    /// The value of a variable; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The workspace that the environment names.
    pub fn workspace(&self) -> Option<PathBuf> {
        self.get(WORKSPACE).map(PathBuf::from)
    }

    /// The folder for what this host should remember: `$XDG_STATE_HOME`, else `~/.local/state`.
    /// Relative paths are ignored, as the XDG Base Directory Specification asks for.
    pub fn state_home(&self) -> Option<PathBuf> {
        let absolute = |name| self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")))
    }

    /// Whether the locale's letters are UTF-8: the first of its three variables that is set says so.
    pub fn shows_unicode(&self) -> bool {
        let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| self.get(name));
        let said = said.unwrap_or_default().to_ascii_lowercase();
        said.contains("utf-8") || said.contains("utf8")
    }

    /// Whether colours are wanted: not where `NO_COLOR` is set, nor on a dumb terminal.
    pub fn shows_colour(&self) -> bool {
        self.get("NO_COLOR").is_none() && self.get("TERM").is_some_and(|term| term != "dumb")
    }

    /// Variables that should be settings: name, key, value.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, String, &str)> {
        let is_setting = |name: &str| {
            let is_ours_alone = [WORKSPACE, RELAY_SECRET].contains(&name);
            name.starts_with(PREFIX) && !is_ours_alone && !PASSWORDS.contains(&name)
        };
        self.0
            .iter()
            .filter(move |(name, _)| is_setting(name))
            .map(|(name, value)| (name.as_str(), key_of(&name[PREFIX.len()..]), value.as_str()))
    }
}

/// The key a variable's rest means: `RELAY__PORT` is `relay.port`.
fn key_of(rest: &str) -> String {
    rest.split(STEP).collect::<Vec<_>>().join(".").to_ascii_lowercase()
}

/// The variable that sets a key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', STEP).to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        Variables::of(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn two_underscores_are_one_step_and_one_belongs_to_the_name() {
        assert_eq!(key_of("RELAY__IDLE_FOR"), "relay.idle_for");
        assert_eq!(variable_of("relay.timeouts.dot"), "FORTHWITH_RELAY__TIMEOUTS__DOT");
    }

    #[test]
    fn passwords_are_no_settings_and_never_shown() {
        let taken = variables(&[
            ("FORTHWITH_PASSWORD", "correct horse"),
            ("FORTHWITH_RELAY_SECRET", "correct battery"),
            ("FORTHWITH_WORKSPACE", "/srv/w"),
            ("PATH", "/bin"),
        ]);
        assert_eq!(taken.settings().count(), 0);
        assert_eq!(taken.get("FORTHWITH_PASSWORD"), Some("correct horse"));
        assert_eq!(taken.get("PATH"), None);
        assert!(!format!("{taken:?}").contains("correct"), "{taken:?}");
    }

    #[test]
    fn the_state_folder_is_the_xdg_one_or_below_home() {
        assert_eq!(variables(&[]).state_home(), None);
        let home = [("HOME", "/home/ann"), ("XDG_STATE_HOME", "relative")];
        assert_eq!(variables(&home).state_home(), Some("/home/ann/.local/state".into()));
        let both = [("HOME", "/home/ann"), ("XDG_STATE_HOME", "/var/state")];
        assert_eq!(variables(&both).state_home(), Some("/var/state".into()));
    }

    #[test]
    fn a_value_that_is_no_text_is_refused_by_name() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(vec![0xFF]);
        let refused = Variables::of([("FORTHWITH_RELAY__HOST", odd)]).unwrap_err().to_string();
        assert!(refused.contains("FORTHWITH_RELAY__HOST"), "{refused}");
    }
}
