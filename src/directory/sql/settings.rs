//! The settings under `[directory.sql]`: where the database is and which statements touch it.
//! Parsed here, opened elsewhere.

use std::path::PathBuf;

use jiff::SignedDuration;
use serde::Deserialize;

use super::preset::{Preset, PresetFault};
use crate::database::DatabaseSettings;
use crate::domain::credential::CredentialKind;
use crate::domain::database::{DatabaseTls, Engine};
use crate::domain::duration::HumanDuration;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

/// `[directory.sql]`.
///
/// Every statement has one bind, `:rows`: a JSON array of `{account, current, replacement}`; in
/// statements that only read, the latter two are null. `docs/directories.md` has them for each engine;
/// on SQLite:
///
/// ```toml
/// [directory.sql]
/// url = "sqlite:shop.db"
///
/// [directory.sql.password]
/// read = """
/// SELECT c.id AS account, c.password_hash AS current
/// FROM json_each(:rows) AS r JOIN customer AS c ON c.id = r.value ->> 'account'"""
/// expire = """
/// UPDATE customer SET password_hash = r.value ->> 'replacement' FROM json_each(:rows) AS r
/// WHERE customer.id = r.value ->> 'account'
///   AND customer.password_hash = r.value ->> 'current'"""
///
/// [directory.sql.sessions]
/// count = """
/// SELECT customer_id AS account, count(*) AS sessions FROM session
/// WHERE customer_id IN (SELECT r.value ->> 'account' FROM json_each(:rows) AS r)
/// GROUP BY 1"""
/// end = """
/// DELETE FROM session WHERE customer_id IN (SELECT r.value ->> 'account' FROM json_each(:rows) AS r)"""
/// ```
///
/// An account is text in the rows. Beside a *column* of type INTEGER, SQLite compares it as a
/// number; beside an expression, a view's computed column or a column without a type it does not,
/// and no row matches: write `CAST(r.value ->> 'account' AS INTEGER)` there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlDirectorySettings {
    /// `sqlite:path`, relative to the workspace; `postgres://host:5432/name`;
    /// `mariadb://host:3306/name`. Never with a user or password.
    pub url: String,
    /// The user that a server knows us by.
    #[serde(default)]
    pub user: Option<String>,
    /// A file that only its owner may use, with that user's password in its first line.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// How a connection to a server is secured.
    #[serde(default)]
    pub tls: DatabaseTls,
    /// A PEM file with authorities whose certificates are taken besides those this machine knows.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// How long a server may work at one statement.
    #[serde(default = "thirty_seconds")]
    pub timeout: HumanDuration,
    /// The most accounts in one call, hence in one transaction.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// A system whose statements are known; what is set besides wins over them.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// The preset's table of users, where it has another name.
    #[serde(default)]
    pub users: Option<String>,
    /// The column of it that names an account, where it is another one.
    #[serde(default)]
    pub account: Option<String>,
    /// The form in which a new password is written; the preset's own, else Argon2id.
    #[serde(default)]
    pub form: Option<PasswordForm>,
    /// Statements for passwords.
    #[serde(default)]
    pub password: Option<KindStatements>,
    /// Statements for refresh tokens.
    #[serde(default, rename = "refresh-token")]
    pub refresh_token: Option<KindStatements>,
    /// Statements for API keys.
    #[serde(default, rename = "api-key")]
    pub api_key: Option<KindStatements>,
    /// Statements for TOTP seeds.
    #[serde(default, rename = "totp-seed")]
    pub totp_seed: Option<KindStatements>,
    /// Statements for recovery codes.
    #[serde(default, rename = "recovery-code")]
    pub recovery_code: Option<KindStatements>,
    /// Statements for security answers.
    #[serde(default, rename = "security-answer")]
    pub security_answer: Option<KindStatements>,
    /// Statements for sessions.
    #[serde(default)]
    pub sessions: SessionStatements,
    /// Statements for a table of the company's own that keeps replaced passwords.
    #[serde(default)]
    pub archive: Option<ArchiveStatements>,
}

fn thirty_seconds() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn default_batch() -> usize {
    1_000
}

/// The statements of one kind of credential that has a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindStatements {
    /// Returns `account`, `current` (null = the account has none) and, if there is one,
    /// `changed_at` (RFC 3339 text or Unix seconds). Of a kind that an account may have several
    /// values of, a row each, and a row with null for an account without any.
    pub read: String,
    /// Sets `replacement` where the account's value still is `current`; gets a row a value. Of such a
    /// kind it may also take the value away.
    pub expire: String,
    /// As `expire`, for a value its owner chose: what more is to be written then, such as the time of the
    /// change; `expire` itself where absent.
    #[serde(default)]
    pub set: Option<String>,
    /// How stored values are understood.
    #[serde(default)]
    pub scheme: Scheme,
}

/// The statements for sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionStatements {
    /// Returns `account` and `sessions`, their number; an account left out has none.
    #[serde(default)]
    pub count: Option<String>,
    /// Ends every session of the accounts; needs `count`, by which it is proved. It may touch
    /// only what `count` counts, so one that marks sessions leaves those marked before alone.
    #[serde(default)]
    pub end: Option<Statements>,
    /// They end by themselves when the password's stored value changes; there is nothing to count or to
    /// end.
    #[serde(default)]
    pub end_with_password: bool,
    /// Where sessions can't be ended: how long one lives at the most, as `"12h"`.
    #[serde(default)]
    pub lapse_within: Option<SignedDuration>,
}

/// The statements for a table of replaced password values, in the company's own database: so that nobody chooses
/// the stolen password again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveStatements {
    /// Puts `account` and `current` away; runs before `expire`, in its transaction. What is there already stays.
    pub keep: String,
    /// Returns `account` and `current`, a row for each value kept.
    pub read: String,
    /// Deletes what is kept of the accounts.
    pub forget: String,
}

/// One statement, or several that are run one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Statements {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Statements {
    /// Each of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(sql) => std::slice::from_ref(sql),
            Self::Several(all) => all,
        }
    }
}

impl SqlDirectorySettings {
    /// The settings with the preset's statements laid under them; as they are where there is no preset.
    /// `engine` is what the URL names.
    pub fn filled(&self, engine: Engine) -> Result<Self, PresetFault> {
        let mut filled = self.clone();
        if let Some(preset) = self.preset {
            preset.fill(&mut filled, engine)?;
        }
        Ok(filled)
    }

    /// The form in which a new password is written.
    pub fn password_form(&self) -> PasswordForm {
        let of_preset = self.preset.map(Preset::form);
        self.form.or(of_preset).unwrap_or_default()
    }

    /// Where the database is and how it is entered.
    pub fn database(&self) -> DatabaseSettings<'_> {
        DatabaseSettings {
            url: &self.url,
            user: self.user.as_deref(),
            password_file: self.password_file.as_deref(),
            tls: self.tls,
            authorities: self.authorities.as_deref(),
        }
    }

    /// The statements of a kind; `None` for sessions and for kinds without a table.
    pub fn statements(&self, kind: CredentialKind) -> Option<&KindStatements> {
        match kind {
            CredentialKind::Password => self.password.as_ref(),
            CredentialKind::Session => None,
            CredentialKind::RefreshToken => self.refresh_token.as_ref(),
            CredentialKind::ApiKey => self.api_key.as_ref(),
            CredentialKind::TotpSeed => self.totp_seed.as_ref(),
            CredentialKind::RecoveryCode => self.recovery_code.as_ref(),
            CredentialKind::SecurityAnswer => self.security_answer.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_with_its_defaults() {
        let settings: SqlDirectorySettings = toml::from_str(
            "url = 'sqlite:shop.db'\n\
             [password]\nread = 'r'\nexpire = 'e'\n\
             [refresh-token]\nread = 'r'\nexpire = 'e'\nscheme = 'last-segment'\n\
             [sessions]\nlapse_within = '12h'",
        )
        .unwrap();
        assert_eq!(settings.batch, 1_000);
        let scheme = |kind| settings.statements(kind).map(|statements| statements.scheme);
        assert_eq!(scheme(CredentialKind::Password), Some(Scheme::Detect));
        assert_eq!(scheme(CredentialKind::RefreshToken), Some(Scheme::LastSegment));
        assert_eq!(scheme(CredentialKind::Session), None);
        assert_eq!(scheme(CredentialKind::ApiKey), None);
        assert_eq!(settings.sessions.lapse_within, Some(SignedDuration::from_hours(12)));
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        for text in [
            "url = 'sqlite:a'\nbach = 5",
            "url = 'sqlite:a'\n[password]\nread = ''\nexpire = ''\nexpires = ''",
            "url = 'sqlite:a'\n[sessions]\ncnt = ''",
            "url = 'sqlite:a'\n[password]\nread = ''",
        ] {
            assert!(toml::from_str::<SqlDirectorySettings>(text).is_err(), "{text}");
        }
    }
}
