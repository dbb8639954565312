//! Which database a URL names, and how that engine differs in writing. It opens nothing.

use std::path::{Path, PathBuf};

use crate::directory::DirectoryError;

/// A SQL engine a directory may run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// An SQLite file.
    Sqlite,
    /// `PostgreSQL`.
    Postgres,
    /// MariaDB or `MySQL`.
    MariaDb,
}

impl Engine {
    /// The placeholder of the one bind.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Sqlite => "?1",
            Self::Postgres => "$1",
            Self::MariaDb => "?",
        }
    }

    /// The engine's name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        }
    }

    fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mariadb" | "mysql" => Some(Self::MariaDb),
            _ => None,
        }
    }
}

/// Where `directory.sql.url` leads: the file, resolved against the workspace.
///
/// The errors never repeat the URL, for it may hold a password.
pub fn locate(url: &str, workspace: &Path) -> Result<PathBuf, DirectoryError> {
    let (scheme, rest) = url.split_once(':').ok_or(DirectoryError::Url { why: "has no scheme" })?;
    let engine = Engine::of_scheme(scheme)
        .ok_or(DirectoryError::Url { why: "has a scheme unknown here" })?;
    let rest = match rest.strip_prefix("//") {
        Some(after) => {
            let authority = after.split(['/', '?', '#']).next().unwrap_or(after);
            if authority.contains('@') || after.to_ascii_lowercase().contains("password=") {
                return Err(DirectoryError::UserInUrl);
            }
            after
        }
        None => rest,
    };
    if engine != Engine::Sqlite {
        return Err(DirectoryError::EngineNotBuilt { engine: engine.name() });
    }
    if rest.contains('?') {
        return Err(DirectoryError::Url {
            why: "has parameters, which a SQLite file does not take",
        });
    }
    if rest.is_empty() || rest == ":memory:" {
        return Err(DirectoryError::Url { why: "names no file" });
    }
    Ok(workspace.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str) -> Result<PathBuf, DirectoryError> {
        locate(url, Path::new("/srv/work"))
    }

    #[test]
    fn a_relative_path_begins_at_the_workspace() {
        assert_eq!(found("sqlite:shop/users.db").unwrap(), Path::new("/srv/work/shop/users.db"));
        assert_eq!(found("sqlite://shop/users.db").unwrap(), Path::new("/srv/work/shop/users.db"));
        assert_eq!(found("sqlite:/var/users.db").unwrap(), Path::new("/var/users.db"));
        assert_eq!(found("sqlite:///var/users.db").unwrap(), Path::new("/var/users.db"));
        assert_eq!(found("SQLite:at@home.db").unwrap(), Path::new("/srv/work/at@home.db"));
    }

    #[test]
    fn a_user_or_password_in_the_url_is_refused_and_not_repeated() {
        for url in [
            "postgres://app:hunter2@db/users",
            "postgres://app@db/users",
            "sqlite://app:hunter2@users.db",
            "mysql://db/users?password=hunter2",
        ] {
            let error = found(url).unwrap_err();
            assert!(matches!(error, DirectoryError::UserInUrl), "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_cannot_be_opened_is_said_so() {
        assert!(matches!(
            found("postgres://db/users"),
            Err(DirectoryError::EngineNotBuilt { engine: "PostgreSQL" })
        ));
        assert!(matches!(
            found("mariadb://db/users"),
            Err(DirectoryError::EngineNotBuilt { engine: "MariaDB" })
        ));
        for url in ["users.db", "oracle:users", "sqlite:", "sqlite::memory:", "sqlite:a.db?mode=ro"]
        {
            assert!(matches!(found(url), Err(DirectoryError::Url { .. })), "{url}");
        }
    }
}
