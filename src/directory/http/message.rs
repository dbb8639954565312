//! What is said on the wire, and what an answer must hold.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::{HttpFault, RowFault};
use crate::directory::{Capabilities, Current, Replacement, SessionEnd};
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::SecretValue;

/// The most accounts in one call, whatever an endpoint says.
const LARGEST_BATCH: usize = 10_000;

/// The longest word for a refusal that is repeated.
const LONGEST_WORD: usize = 64;

/// A row of a request.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct AskedRow<'a> {
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<&'a str>,
}

impl<'a> AskedRow<'a> {
    pub(super) fn of(account: &'a str) -> Self {
        Self { account, current: None, replacement: None }
    }

    pub(super) fn change(row: &'a Replacement) -> Self {
        Self {
            account: &row.account,
            current: Some(row.current.expose()),
            replacement: Some(row.replacement.expose()),
        }
    }
}

impl AskedRow<'_> {
    /// Whether it asks for this change.
    pub(super) fn is_change(&self, row: &Replacement) -> bool {
        self.account == row.account && self.current == Some(row.current.expose())
    }
}

/// A request.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    pub verb: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<CredentialKind>,
    pub rows: &'a [AskedRow<'a>],
    pub id: Uuid,
    pub sent_at: Timestamp,
}

/// An answer to whatever was asked; which of it must be there depends on that.
#[derive(Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub rows: Vec<AnsweredRow>,
    #[serde(default)]
    pub errors: Vec<Refusal>,
    #[serde(default)]
    pub changed: u64,
    #[serde(default)]
    pub sessions_ended: u64,
    /// Whether a check was tried and taken back.
    #[serde(default)]
    pub tried: bool,
}

/// A row of an answer.
#[derive(Deserialize)]
pub(super) struct AnsweredRow {
    account: String,
    #[serde(default)]
    current: Option<Zeroizing<String>>,
    #[serde(default)]
    changed_at: Option<Timestamp>,
    #[serde(default)]
    sessions: Option<u64>,
}

/// An account that was not done.
#[derive(Deserialize)]
pub(super) struct Refusal {
    account: String,
    error: String,
}

impl Answer {
    /// Refuses an answer that names accounts as refused, or ones that nobody asked about.
    pub(super) fn refusals(
        &self,
        verb: &'static str,
        asked: &[AskedRow<'_>],
    ) -> Result<(), HttpFault> {
        let Some(first) = self.errors.first() else { return Ok(()) };
        let known: HashSet<&str> = asked.iter().map(|row| row.account).collect();
        let stranger = self.errors.iter().position(|of| !known.contains(of.account.as_str()));
        if let Some(at) = stranger {
            return Err(HttpFault::Row { verb, row: at + 1, fault: RowFault::Unasked });
        }
        // Free text might repeat an account or a value.
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_word = first.error.len() <= LONGEST_WORD && first.error.chars().all(is_plain);
        let why = if is_word { first.error.clone() } else { "for reasons of its own".to_owned() };
        Err(HttpFault::Denied { verb, asked: asked.len(), refused: self.errors.len(), why })
    }

    /// The values in it, each account as often as it may come.
    pub(super) fn currents(
        self,
        verb: &'static str,
        kind: CredentialKind,
        asked: &[AskedRow<'_>],
        needs_sessions: bool,
    ) -> Result<Vec<Current>, HttpFault> {
        let mut seen: HashMap<&str, u64> = asked.iter().map(|row| (row.account, 0)).collect();
        let mut found = Vec::with_capacity(self.rows.len());
        for (at, mut row) in self.rows.into_iter().enumerate() {
            let wrong = |fault| HttpFault::Row { verb, row: at + 1, fault };
            let times =
                seen.get_mut(row.account.as_str()).ok_or_else(|| wrong(RowFault::Unasked))?;
            *times += 1;
            if *times > 1 && !kind.has_several() {
                return Err(wrong(RowFault::AnsweredTwice));
            }
            if needs_sessions && row.sessions.is_none() {
                return Err(wrong(RowFault::NoSessions));
            }
            found.push(Current {
                account: std::mem::take(&mut row.account),
                value: row.current.map(|mut text| SecretValue::new(std::mem::take(&mut *text))),
                sessions: row.sessions.unwrap_or(0),
                changed_at: row.changed_at,
            });
        }
        Ok(found)
    }
}

/// What an endpoint says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct SaidCapabilities {
    kinds: Vec<CredentialKind>,
    #[serde(default)]
    change_time: Vec<CredentialKind>,
    #[serde(default)]
    counts_sessions: bool,
    #[serde(default)]
    ends_sessions: SaidSessionEnd,
    #[serde(default)]
    batch: Option<usize>,
    /// The database id that makes it one for rehearsals.
    #[serde(default)]
    pub rehearsal: Option<String>,
    /// How its log-in reads a password that we hash.
    #[serde(default)]
    pub form: PasswordForm,
    /// The account it works as, where it is one of them.
    #[serde(default)]
    pub own_account: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SaidSessionEnd {
    Ended,
    LapseWithin(SignedDuration),
    #[default]
    Unknown,
}

impl SaidCapabilities {
    pub(super) fn checked(&self) -> Result<Capabilities, HttpFault> {
        let wrong = |key, said| Err(HttpFault::Capability { key, said });
        let batch = self.batch.unwrap_or(1_000);
        if !(1..=LARGEST_BATCH).contains(&batch) {
            return wrong("batch", "must be between 1 and 10000");
        }
        if self.kinds.is_empty() {
            return wrong("kinds", "names none");
        }
        let ends_sessions = match self.ends_sessions {
            SaidSessionEnd::Ended if !self.counts_sessions => {
                return wrong("ends_sessions", "is not provable without `counts_sessions`");
            }
            SaidSessionEnd::Ended => SessionEnd::Ended,
            SaidSessionEnd::LapseWithin(span) if span.is_negative() => {
                return wrong("ends_sessions", "is negative");
            }
            SaidSessionEnd::LapseWithin(span) => SessionEnd::LapseWithin(span),
            SaidSessionEnd::Unknown => SessionEnd::Unknown,
        };
        Ok(Capabilities {
            kinds: self.kinds.clone(),
            change_time: self.change_time.clone(),
            counts_sessions: self.counts_sessions,
            ends_sessions,
            batch,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: CredentialKind = CredentialKind::Password;

    fn answer(text: &str) -> Answer {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_row_that_nobody_asked_for_is_refused() {
        let asked = [AskedRow::of("a"), AskedRow::of("b")];
        let currents = |text, several| {
            let kind = if several { CredentialKind::ApiKey } else { PASSWORD };
            answer(text).currents("read", kind, &asked, false).map(|found| found.len())
        };
        let twice = r#"{"rows": [{"account": "a", "current": "x"}, {"account": "a"}]}"#;
        assert!(matches!(
            currents(twice, false),
            Err(HttpFault::Row { row: 2, fault: RowFault::AnsweredTwice, .. })
        ));
        assert_eq!(currents(twice, true).unwrap(), 2);
        let other = currents(r#"{"rows": [{"account": "c"}]}"#, false);
        assert!(matches!(other, Err(HttpFault::Row { fault: RowFault::Unasked, .. })));
        let bare =
            answer(r#"{"rows": [{"account": "a"}]}"#).currents("read", PASSWORD, &asked, true);
        assert!(matches!(bare, Err(HttpFault::Row { fault: RowFault::NoSessions, .. })));
    }

    #[test]
    fn a_refusal_is_repeated_where_it_is_a_word() {
        let asked = [AskedRow::of("a")];
        let told = |error: &str| {
            let text = serde_json::json!({"errors": [{"account": "a", "error": error}]});
            answer(&text.to_string()).refusals("replace", &asked).unwrap_err().to_string()
        };
        assert!(told("locked-by-policy").ends_with("refuses 1: locked-by-policy"));
        assert!(!told("ann@x.example: hunter2").contains("hunter2"));
    }

    #[test]
    fn what_an_endpoint_says_of_itself_is_checked() {
        let checked = |text| serde_json::from_str::<SaidCapabilities>(text).unwrap().checked();
        let found = checked(
            r#"{"kinds": ["password"], "counts_sessions": true, "ends_sessions": "ended", "x": 1}"#,
        );
        let found = found.unwrap();
        assert_eq!((found.batch, found.ends_sessions), (1_000, SessionEnd::Ended));
        let lapse =
            checked(r#"{"kinds": ["password"], "ends_sessions": {"lapse-within": "PT12H"}}"#);
        let span = SignedDuration::from_hours(12);
        assert_eq!(lapse.unwrap().ends_sessions, SessionEnd::LapseWithin(span));
        for text in [
            r#"{"kinds": []}"#,
            r#"{"kinds": ["password"], "batch": 0}"#,
            r#"{"kinds": ["password"], "ends_sessions": "ended"}"#,
        ] {
            assert!(matches!(checked(text), Err(HttpFault::Capability { .. })), "{text}");
        }
    }
}
