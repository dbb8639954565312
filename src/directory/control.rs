//! Control accounts: accounts nobody sealed, whose values must come out of every write as they went
//! in. A statement that reaches further than the accounts it was given shows on them first.

use std::collections::BTreeMap;

use super::{Current, DirectoryError};
use crate::secret::replacement::SecretValue;

/// What became of a control account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlFault {
    /// It has another value, or more or fewer of them.
    #[error("has another value than before the pass")]
    Value,
    /// The directory does not know it any more.
    #[error("is gone from the directory")]
    Gone,
    /// It was not there before.
    #[error("was not in the directory before the pass, and is now")]
    Appeared,
    /// Some of its sessions ended.
    #[error("lost sessions")]
    Sessions,
}

/// Control accounts with what they held before a pass, for one kind of credential. Empty where none
/// are set up.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    accounts: Vec<String>,
    expected: Vec<Current>,
}

impl Controls {
    /// These accounts, as they were read before the pass.
    pub fn new(accounts: Vec<String>, expected: Vec<Current>) -> Self {
        Self { accounts, expected }
    }

    /// No control account.
    pub fn none() -> Self {
        Self::default()
    }

    /// The account references, each once.
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// How many accounts these are.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// How many of them hold a value, and so could show a wrong write.
    pub fn with_value(&self) -> usize {
        let holds = |account: &&String| {
            self.expected.iter().any(|now| now.account == **account && now.value.is_some())
        };
        self.accounts.iter().filter(holds).count()
    }

    /// Whether their values are still those of before the pass. Change times are not compared:
    /// in some stores a log-in moves them.
    pub fn check_values(&self, now: &[Current]) -> Result<(), DirectoryError> {
        let (before, now) = (values(&self.expected), values(now));
        for (at, account) in self.accounts.iter().enumerate() {
            let fault = match (before.get(account.as_str()), now.get(account.as_str())) {
                (Some(was), Some(is)) if same(was, is) => continue,
                (None, None) => continue,
                (Some(_), Some(_)) => ControlFault::Value,
                (Some(_), None) => ControlFault::Gone,
                (None, Some(_)) => ControlFault::Appeared,
            };
            return Err(DirectoryError::ControlChanged { place: at + 1, fault });
        }
        Ok(())
    }

    /// Whether none of them has fewer sessions than just before the write. More is no fault:
    /// somebody logged in.
    pub fn check_sessions(
        &self,
        before: &[Current],
        after: &[Current],
    ) -> Result<(), DirectoryError> {
        let count = |rows: &[Current], account: &String| {
            rows.iter().find(|now| now.account == *account).map_or(0, |now| now.sessions)
        };
        let lost = |account: &String| count(after, account) < count(before, account);
        match self.accounts.iter().position(lost) {
            None => Ok(()),
            Some(at) => {
                Err(DirectoryError::ControlChanged { place: at + 1, fault: ControlFault::Sessions })
            }
        }
    }
}

/// The values by account; an account known without a value has an empty list.
fn values(rows: &[Current]) -> BTreeMap<&str, Vec<&SecretValue>> {
    let mut found: BTreeMap<&str, Vec<&SecretValue>> = BTreeMap::new();
    for now in rows {
        found.entry(&now.account).or_default().extend(&now.value);
    }
    found
}

/// The same values in whatever order, each compared in constant time.
fn same(was: &[&SecretValue], is: &[&SecretValue]) -> bool {
    let mut rest: Vec<&SecretValue> = is.to_vec();
    was.len() == is.len()
        && was.iter().all(|value| match rest.iter().position(|other| other == value) {
            Some(at) => {
                rest.swap_remove(at);
                true
            }
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(account: &str, value: Option<&str>, sessions: u64) -> Current {
        Current {
            account: account.into(),
            value: value.map(|text| SecretValue::new(text.into())),
            sessions,
            changed_at: None,
        }
    }

    fn controls(expected: Vec<Current>) -> Controls {
        Controls::new(vec!["a".into(), "b".into()], expected)
    }

    #[test]
    fn every_change_of_a_value_is_seen_and_named_by_place_alone() {
        let before = vec![now("a", Some("1"), 2), now("b", Some("2"), 0)];
        let known = controls(before.clone());
        assert!(known.check_values(&before).is_ok());
        for (after, place, fault) in [
            (vec![now("a", Some("x"), 2), now("b", Some("2"), 0)], 1, ControlFault::Value),
            (vec![now("a", None, 2), now("b", Some("2"), 0)], 1, ControlFault::Value),
            (vec![now("a", Some("1"), 2)], 2, ControlFault::Gone),
        ] {
            let error = known.check_values(&after).unwrap_err();
            assert!(
                matches!(error, DirectoryError::ControlChanged { place: p, fault: f }
                    if p == place && f == fault),
                "{error}"
            );
        }
        let error = controls(vec![now("a", Some("1"), 0)]).check_values(&before).unwrap_err();
        assert!(error.to_string().contains("was not in the directory before"), "{error}");
        assert_eq!(known.with_value(), 2);
    }

    #[test]
    fn several_values_are_compared_in_any_order() {
        let known = controls(vec![now("a", Some("1"), 0), now("a", Some("2"), 0)]);
        assert!(known.check_values(&[now("a", Some("2"), 0), now("a", Some("1"), 0)]).is_ok());
        assert!(known.check_values(&[now("a", Some("2"), 0)]).is_err());
        assert!(known.check_values(&[now("a", Some("2"), 0), now("a", Some("2"), 0)]).is_err());
    }

    #[test]
    fn sessions_may_be_added_and_never_lost() {
        let known = controls(Vec::new());
        let of = |sessions| vec![now("b", None, sessions)];
        assert!(known.check_sessions(&of(1), &of(2)).is_ok());
        let error = known.check_sessions(&of(1), &of(0)).unwrap_err().to_string();
        assert!(error.contains("control account 2") && error.contains("lost sessions"), "{error}");
    }
}
