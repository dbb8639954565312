//! The rows of one call, where every adapter asks the same of them.

use std::collections::{BTreeMap, HashSet};

use super::{CheckReport, Current, DirectoryError, Forge, Replacement};
use crate::domain::credential::CredentialKind;

/// Refuses more accounts than `batch`, and one named twice.
pub(super) fn admit<'a>(
    batch: usize,
    accounts: impl ExactSizeIterator<Item = &'a str>,
) -> Result<(), DirectoryError> {
    let rows = accounts.len();
    if rows > batch {
        return Err(DirectoryError::BatchTooLarge { rows, batch });
    }
    let mut named = HashSet::with_capacity(rows);
    for (at, account) in accounts.enumerate() {
        if !named.insert(account) {
            return Err(DirectoryError::NamedTwice { place: at + 1 });
        }
    }
    Ok(())
}

/// Refuses a replacement that is the value it replaces.
pub(super) fn refuse_unchanged(rows: &[Replacement]) -> Result<(), DirectoryError> {
    match rows.iter().position(|row| row.current == row.replacement) {
        Some(at) => Err(DirectoryError::NoChange { place: at + 1 }),
        None => Ok(()),
    }
}

/// The accounts of a call, each once where it may have several values.
pub(super) fn accounts_of(kind: CredentialKind, rows: &[Replacement]) -> Vec<String> {
    let mut accounts: Vec<String> = rows.iter().map(|row| row.account.clone()).collect();
    if kind.has_several() {
        accounts.sort_unstable();
        accounts.dedup();
    }
    accounts
}

/// The replacements a check tries: one of each value that follows a known scheme. The others are counted.
pub(super) fn trial_rows(
    before: &[Current],
    forge: Forge<'_>,
    report: &mut CheckReport,
) -> Vec<Replacement> {
    let mut rows = Vec::new();
    for found in before {
        match found.value.as_ref().map(|current| (current, forge(current.expose()))) {
            None => report.without_value += 1,
            Some((_, Err(_))) => report.unknown_scheme += 1,
            Some((current, Ok(replacement))) => rows.push(Replacement {
                account: found.account.clone(),
                current: current.clone(),
                replacement,
            }),
        }
    }
    rows
}

/// Whether the replacement was there afterwards. Where an account may have several values, one may also
/// have been taken away for good.
pub(super) fn is_taken(kind: CredentialKind, row: &Replacement, after: &[Current]) -> bool {
    let holds = |value| {
        after.iter().any(|now| now.account == row.account && now.value.as_ref() == Some(value))
    };
    holds(&row.replacement) || (kind.has_several() && !holds(&row.current))
}

/// Their sessions, those of an account with several values counted once.
pub(super) fn sessions_of(rows: &[Current]) -> u64 {
    let counted: BTreeMap<&str, u64> =
        rows.iter().map(|now| (now.account.as_str(), now.sessions)).collect();
    counted.into_values().sum()
}
