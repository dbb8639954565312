//! The user tables of systems many companies run: their statements, ready but for the names of tables.
//!
//! The statements stand in `templates/directory/`, a file a system and engine. What a campaign's file sets
//! itself wins over them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SqlDirectorySettings;
use super::settings::{KindStatements, SessionStatements};
use crate::domain::database::Engine;
use crate::secret::password::PasswordForm;

/// A system whose user table is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Django's `auth_user`.
    Django,
    /// Devise, on Ruby on Rails.
    Devise,
    /// Laravel.
    Laravel,
    /// `WordPress`.
    Wordpress,
}

/// Why a preset gives no statements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresetFault {
    /// The system does not run on this engine.
    #[error(
        "there is no preset `{preset}` for {engine}; hint: write the statements, `docs/directories.md` has \
         examples"
    )]
    Engine {
        /// The preset.
        preset: Preset,
        /// The engine.
        engine: &'static str,
    },
    /// A name that is put into statements is no plain name.
    #[error(
        "`directory.sql.{key}` is no plain name of a table or column; hint: letters, digits and `_`, with \
         a schema before a dot where there is one"
    )]
    Name {
        /// The key.
        key: &'static str,
    },
    /// The shipped statements do not read.
    #[error(
        "the shipped statements of preset `{preset}`: {what}; this is a defect, please report it"
    )]
    Shipped {
        /// The preset.
        preset: Preset,
        /// What is wrong.
        what: String,
    },
}

/// Statements as their file has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    password: KindStatements,
    #[serde(default)]
    sessions: SessionStatements,
}

macro_rules! shipped {
    ($system:literal, $engine:literal) => {
        include_str!(concat!("../../../templates/directory/", $system, ".", $engine, ".toml"))
    };
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Django => "django",
            Self::Devise => "devise",
            Self::Laravel => "laravel",
            Self::Wordpress => "wordpress",
        })
    }
}

impl Preset {
    fn text(self, engine: Engine) -> Option<&'static str> {
        Some(match (self, engine) {
            (Self::Django, Engine::Sqlite) => shipped!("django", "sqlite"),
            (Self::Django, Engine::Postgres) => shipped!("django", "postgres"),
            (Self::Django, Engine::MariaDb) => shipped!("django", "mariadb"),
            (Self::Devise, Engine::Sqlite) => shipped!("devise", "sqlite"),
            (Self::Devise, Engine::Postgres) => shipped!("devise", "postgres"),
            (Self::Devise, Engine::MariaDb) => shipped!("devise", "mariadb"),
            (Self::Laravel, Engine::Sqlite) => shipped!("laravel", "sqlite"),
            (Self::Laravel, Engine::Postgres) => shipped!("laravel", "postgres"),
            (Self::Laravel, Engine::MariaDb) => shipped!("laravel", "mariadb"),
            (Self::Wordpress, Engine::MariaDb) => shipped!("wordpress", "mariadb"),
            (Self::Wordpress, _) => return None,
        })
    }

    /// The table of users where the file names no other, and the column that names an account.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Django => ("auth_user", "username"),
            Self::Devise | Self::Laravel => ("users", "id"),
            Self::Wordpress => ("wp_users", "ID"),
        }
    }

    /// The form in which its log-in reads a password, however old its version.
    pub const fn form(self) -> PasswordForm {
        match self {
            Self::Django => PasswordForm::DjangoPbkdf2,
            Self::Devise | Self::Laravel | Self::Wordpress => PasswordForm::Bcrypt,
        }
    }

    /// Lays its statements under those of the settings.
    pub fn fill(
        self,
        settings: &mut SqlDirectorySettings,
        engine: Engine,
    ) -> Result<(), PresetFault> {
        let fault = PresetFault::Engine { preset: self, engine: engine.word() };
        let text = self.text(engine).ok_or(fault)?;
        let (users, account) = self.names();
        let users = settings.users.as_deref().unwrap_or(users);
        let account = settings.account.as_deref().unwrap_or(account);
        for (key, name) in [("users", users), ("account", account)] {
            if !is_plain(name) {
                return Err(PresetFault::Name { key });
            }
        }
        // an id is a number in all of them; a log-in name or an address is text
        let is_number = account.eq_ignore_ascii_case("id");
        let kind = match (engine, is_number) {
            (Engine::Postgres | Engine::MariaDb, true) => "BIGINT",
            (Engine::MariaDb, false) => "VARCHAR(255)",
            (Engine::Postgres | Engine::Sqlite, _) => "TEXT",
        };
        let meta = users.strip_suffix("users").unwrap_or(users);
        let text = text
            .replace("{users}", users)
            .replace("{account}", account)
            .replace("{account_type}", kind)
            .replace("{meta}", &format!("{meta}usermeta"));
        let file: File = toml::from_str(&text).map_err(|error| PresetFault::Shipped {
            preset: self,
            what: error.message().to_owned(),
        })?;
        settings.password.get_or_insert(file.password);
        if settings.sessions == SessionStatements::default() {
            settings.sessions = file.sessions;
        }
        settings.form.get_or_insert(self.form());
        Ok(())
    }
}

/// A name, with its schema or without: nothing that could end a statement.
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.split('.').count() <= 2 && name.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> SqlDirectorySettings {
        toml::from_str(&format!("url = 'sqlite:a.db'\n{more}")).unwrap()
    }

    #[test]
    fn every_preset_reads_on_every_engine_it_is_for() {
        let engines = [Engine::Sqlite, Engine::Postgres, Engine::MariaDb];
        for preset in [Preset::Django, Preset::Devise, Preset::Laravel, Preset::Wordpress] {
            for engine in engines {
                let mut filled = settings("");
                match preset.fill(&mut filled, engine) {
                    Ok(()) => {
                        let password = filled.password.unwrap();
                        for sql in [&password.read, &password.expire] {
                            assert_eq!(sql.matches(":rows").count(), 1, "{preset} {sql}");
                            assert!(!sql.contains("{u") && !sql.contains("{a"), "{preset} {sql}");
                        }
                        assert!(filled.sessions.end_with_password || filled.sessions.end.is_some());
                    }
                    Err(fault) => {
                        assert_eq!((preset, engine == Engine::MariaDb), (Preset::Wordpress, false));
                        assert!(fault.to_string().contains("hint:"), "{fault}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_the_file_says_wins_and_a_name_is_no_statement() {
        let mut own = settings("users = 'shop_user'\naccount = 'id'\nform = 'django-argon2'");
        Preset::Django.fill(&mut own, Engine::Postgres).unwrap();
        let read = own.password.unwrap().read;
        assert!(read.contains("shop_user") && read.contains("account BIGINT"), "{read}");
        assert_eq!(own.form, Some(PasswordForm::DjangoArgon2));
        for bad in
            ["users = 'a; DROP TABLE b'", "account = \"x'\"", "users = 'a.b.c'", "users = ''"]
        {
            let refused = Preset::Django.fill(&mut settings(bad), Engine::Sqlite).unwrap_err();
            assert!(matches!(refused, PresetFault::Name { .. }), "{bad}");
        }
    }
}
