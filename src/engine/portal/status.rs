//! What the company's own log-in page may ask: whether an account's password was expired here, and where its
//! owner makes a new one. Signed both ways; nobody else learns anything, not even that it is answered.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Inner, Portal};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::engine::EngineError;
use crate::secret::digest::sha256;
use crate::secret::lookup::account_digest;
use crate::secret::webhook::{WebhookKey, signature, signed_parts};

/// How far the clock of whoever asks may be from ours.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// The lengths of a question's id.
const ID: std::ops::RangeInclusive<usize> = 16..=64;

/// The desk where the company asks.
pub(super) struct Desk {
    key: WebhookKey,
    seen: Mutex<Seen>,
}

/// Ids of questions that were answered, so that none is answered to somebody who only heard it: those of this
/// span of time and of the one before, each as long as a question can be fresh.
#[derive(Default)]
struct Seen {
    since: Timestamp,
    now: HashSet<[u8; 16]>,
    before: HashSet<[u8; 16]>,
}

/// A question as it came; nothing of it is believed.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignedQuestion<'a> {
    /// Its header `Forthwith-Signature`.
    pub signature: &'a str,
    /// Its header `Forthwith-Id`.
    pub id: &'a str,
    /// Its header `Forthwith-Directory`, empty where there is none.
    pub directory: &'a str,
    /// Its header `Forthwith-Account`: the account in base64.
    pub account: &'a str,
}

/// A question that the company signed, and that was not asked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    id: String,
    directory: String,
    account: String,
}

/// What is answered, and the signature beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAnswer {
    /// JSON.
    pub body: String,
    /// For the header `Forthwith-Signature`.
    pub signature: String,
    /// The question is one that cannot be answered.
    pub is_error: bool,
}

#[derive(Serialize, Default)]
struct Answer<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    portal: Option<&'a str>,
}

/// The class of a password, since when, and whether a new one can be made here.
type Standing = (CredentialClass, Option<Timestamp>, bool);

/// Whether a word is one that a question may go by.
fn is_id(text: &str) -> bool {
    ID.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Desk {
    /// Reads the key.
    pub(super) fn open(key_file: &Path) -> Result<Self, EngineError> {
        let key = WebhookKey::read(key_file, "portal.status.key_file")
            .map_err(|error| EngineError::refused(error.to_string()))?;
        Ok(Self { key, seen: Mutex::default() })
    }

    /// Whether the company signed it, lately and for the first time; the error is for our own log.
    fn check(&self, asked: &SignedQuestion<'_>, now: Timestamp) -> Result<Question, &'static str> {
        let (at, mac) = signed_parts(asked.signature).ok_or("it has no signature of that form")?;
        if !is_id(asked.id) {
            return Err("its id is not 16 to 64 letters, digits and dashes");
        }
        // the account is base64 and has no dot, so nothing else reads the same
        let rest = format!("{}.{}", asked.directory, asked.account);
        if !self.key.verify(&[at, asked.id], rest.as_bytes(), mac) {
            return Err("its signature is not by our key over what was received");
        }
        let at = at.parse().ok().and_then(|at| Timestamp::from_second(at).ok());
        let is_fresh = at.is_some_and(|at| now.duration_since(at).abs() <= WINDOW);
        if !is_fresh {
            return Err("its clock is more than five minutes from ours");
        }
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).note(asked.id, now) {
            return Err("it was asked before");
        }
        let account = STANDARD.decode(asked.account).ok();
        let account = account.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let (id, directory) = (asked.id.to_owned(), asked.directory.to_owned());
        Ok(Question { id, directory, account })
    }

    fn signed(&self, answer: &Answer<'_>, now: Timestamp) -> Result<SignedAnswer, EngineError> {
        let body = serde_json::to_string(answer)
            .map_err(|error| EngineError::Broken(error.to_string()))?;
        let at = now.as_second().to_string();
        let mac = self.key.sign(&[&at, answer.id], body.as_bytes());
        let is_error = answer.error.is_some();
        Ok(SignedAnswer { signature: signature(&at, &mac), body, is_error })
    }
}

impl Seen {
    /// Notes an id; `false` where it is known.
    fn note(&mut self, id: &str, now: Timestamp) -> bool {
        // a question may be so much older, or younger, than now
        let span = WINDOW * 2;
        let passed = now.duration_since(self.since);
        if passed > span || passed < -span {
            let last = std::mem::take(&mut self.now);
            self.before = if passed > span * 2 { HashSet::new() } else { last };
            self.since = now;
        }
        let id = sha256(id.as_bytes()).truncated();
        !self.before.contains(&id) && self.now.insert(id)
    }
}

impl Portal {
    /// Whether the company's log-in page may ask.
    pub fn answers_questions(&self) -> bool {
        self.0.desk.is_some()
    }

    /// The question, where the company signed it, lately and for the first time; else why not, which is for
    /// the log and nobody else.
    pub fn checked(&self, asked: &SignedQuestion<'_>) -> Result<Question, &'static str> {
        let desk = self.0.desk.as_ref().ok_or("no key is set")?;
        desk.check(asked, self.0.engine.clock.now())
    }

    /// The answer to a question.
    pub async fn standing(&self, question: &Question) -> Result<SignedAnswer, EngineError> {
        let inner = &self.0;
        let Some(desk) = &inner.desk else { return Err(EngineError::Broken("no desk".into())) };
        let mut answer = Answer { id: &question.id, ..Answer::default() };
        let page = inner.page.as_str().trim_end_matches('/');
        match inner.directory(question) {
            Err(error) => answer.error = Some(error),
            Ok(_) if question.account.is_empty() => answer.error = Some("account-unreadable"),
            Ok(directory) => match inner.worst(directory, &question.account).await? {
                None => answer.state = Some("unaffected"),
                Some((class, since, resets)) => {
                    answer.state = Some(class.word());
                    answer.since = since;
                    let leads = resets && class == CredentialClass::Expired;
                    answer.portal = leads.then_some(page);
                }
            },
        }
        desk.signed(&answer, inner.engine.clock.now())
    }
}

impl Inner {
    /// Which directory's account is meant: the one that is named, or the only one there is.
    fn directory<'a>(&'a self, question: &Question) -> Result<&'a str, &'static str> {
        let mut names: Vec<&str> =
            self.served.iter().map(|one| one.row.directory.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        match (question.directory.as_str(), names.as_slice()) {
            ("", [only]) => Ok(only),
            ("", _) => Err("directory-needed"),
            (named, known) => {
                known.iter().find(|name| **name == named).copied().ok_or("directory-unknown")
            }
        }
    }

    /// What is worst about an account's password in all campaigns here that sealed it, since when, and whether
    /// a new one can be made here.
    async fn worst(&self, directory: &str, account: &str) -> Result<Option<Standing>, EngineError> {
        let store = &self.engine.store;
        let digest = account_digest(self.engine.keys.digest(), directory, account.as_bytes());
        let mut worst: Option<Standing> = None;
        let meant = |one: &&super::served::Served| {
            one.secures_passwords && one.row.directory.as_str() == directory
        };
        for served in self.served.iter().filter(meant) {
            let numbers = store.find_numbers(served.row.id, &digest).await?;
            if numbers.is_empty() {
                continue;
            }
            let kind = CredentialKind::Password;
            for found in store.classes_of(served.row.id, kind, &numbers).await? {
                let (class, since) = match found {
                    Some((class, at)) => (class, Some(at)),
                    None => (CredentialClass::Pending, None),
                };
                let one = (class, since, served.resets());
                if worst.as_ref().is_none_or(|(known, ..)| rank(class) < rank(*known)) {
                    worst = Some(one);
                }
            }
        }
        Ok(worst)
    }
}

/// The lower, the more a log-in page must know of it.
fn rank(class: CredentialClass) -> u8 {
    match class {
        CredentialClass::Expired => 0,
        CredentialClass::Regressed => 1,
        CredentialClass::Failed => 2,
        CredentialClass::Pending => 3,
        CredentialClass::Reset => 4,
        CredentialClass::ResetElsewhere => 5,
        CredentialClass::ChangedSince => 6,
        CredentialClass::Exempt => 7,
        CredentialClass::NoPassword => 8,
        CredentialClass::NotFound => 9,
    }
}

#[cfg(test)]
mod tests;
