//! `[directory.http]`: where the company's own endpoint is, and how hard it may be asked.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::directory::rest::settings::{self, Load};
use crate::domain::duration::HumanDuration;
use crate::domain::endpoint::{self, WrongUrl};
use crate::secret::replacement::Scheme;

/// An endpoint that does to the company's identity store what we ask of it by signed messages:
///
/// ```toml
/// [directory.http]
/// url = "https://accounts.brand.example/forthwith"
/// key_file = "secrets/endpoint"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpDirectorySettings {
    /// The one URL that everything is posted to.
    pub url: String,
    /// A file that only its owner may use, with the key that both sides sign by in its first line.
    pub key_file: PathBuf,
    /// A PEM file with authorities whose certificates are taken besides those this machine knows.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// How stored values are understood.
    #[serde(default)]
    pub scheme: Scheme,
    /// The most rows in one request.
    #[serde(default = "settings::hundred")]
    pub rows_per_request: usize,
    /// The most requests under way at once.
    #[serde(default = "settings::eight")]
    pub concurrency: usize,
    /// The most requests in a second; as many as go where absent.
    #[serde(default)]
    pub per_second: Option<u32>,
    /// How long the endpoint may work at one request.
    #[serde(default = "settings::thirty_seconds")]
    pub timeout: HumanDuration,
}

impl HttpDirectorySettings {
    /// What is wrong by its text alone: the key, and what to say about it.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if let Err(said) = place(&self.url) {
            found.push(("url", said.to_owned()));
        }
        found.extend(self.load().faults());
        found
    }

    /// How hard it may be asked.
    pub(super) fn load(&self) -> Load {
        Load {
            rows: ("rows_per_request", self.rows_per_request),
            concurrency: self.concurrency,
            per_second: self.per_second,
            timeout: self.timeout,
        }
    }
}

/// Reads the URL; what is said of a wrong one never repeats it.
pub(super) fn place(url: &str) -> Result<Url, &'static str> {
    endpoint::place(url).map_err(|wrong| match wrong {
        WrongUrl::Unreadable => {
            "cannot be read; hint: \"https://accounts.brand.example/forthwith\""
        }
        WrongUrl::Identified => {
            "holds a user or a password; hint: take them out, for files are signed and kept in git; \
             who we are is proved by the key in `key_file`"
        }
        WrongUrl::Clear => "would let others on the way read password hashes; hint: \"https://…\"",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let url = if text.contains("url =") { "" } else { "url = 'https://a.example/f'\n" };
        let settings: HttpDirectorySettings =
            toml::from_str(&format!("key_file = 'k'\n{url}{text}")).unwrap();
        settings.faults().into_iter().map(|(key, said)| format!("{key} {said}")).collect()
    }

    #[test]
    fn what_makes_no_sense_is_told_with_a_hint() {
        assert!(faults("").is_empty() && faults("url = 'http://127.0.0.1:8080/f'").is_empty());
        for (text, key) in [
            ("url = 'http://a.example/f'", "url would let others"),
            ("url = 'https://ann:hunter2@a.example/f'", "url holds a user"),
            ("url = 'ftp://a.example'", "url cannot"),
            ("url = 'a.example'", "url cannot"),
            ("rows_per_request = 0", "rows_per_request "),
            ("concurrency = 65", "concurrency "),
            ("per_second = 0", "per_second "),
            ("timeout = '0s'", "timeout "),
        ] {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(key) && found[0].contains("hint: "), "{found:?}");
            assert!(!found[0].contains("hunter2"));
        }
    }
}
