//! Compare-and-set of one entry: a modification under an assertion (RFC 4528), which the server makes or
//! leaves in one step. An old value that is deleted beside the new one would do on servers without a
//! password policy only: `OpenLDAP`'s takes it for the old password in clear.

use std::collections::HashSet;
use std::time::Duration;

use ldap3::Mod;
use ldap3::controls::{Assertion, RawControl};

use super::LdapDirectory;
use super::connection::Conn;
use super::error::LdapFault;
use super::octets::{escaped, octets};
use crate::directory::{Replacement, concurrent};
use crate::secret::replacement::SecretValue;

/// `OpenLDAP`'s control for an operation that is only tried.
const NO_OP: &str = "1.3.6.1.4.1.4203.666.5.2";

/// What such an operation ends with.
const TRIED: u32 = 16_654;

const DONE: u32 = 0;
const UNKNOWN_CONTROL: u32 = 12;
const ASSERTION_FAILED: u32 = 122;

/// The password policy's history tells two changes of one value apart by the second alone.
const VALUE_EXISTS: u32 = 20;

/// Until the next second has begun.
const A_SECOND: Duration = Duration::from_millis(1_100);

const DOING: &str = "replacing passwords";

/// What a compare-and-set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To make the value worthless.
    Expire,
    /// To give its owner a new one.
    Set,
}

/// One entry's change: all the values that it must still have, and the one that it gets. Whatever else it
/// holds by then goes too: a password that stays beside ours would open the account.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub account: &'a str,
    pub current: Vec<&'a SecretValue>,
    pub replacement: &'a SecretValue,
}

/// The rows by account, in their order.
pub(super) fn changes(rows: &[Replacement]) -> Vec<Change<'_>> {
    let mut found: Vec<Change<'_>> = Vec::with_capacity(rows.len());
    let mut places = std::collections::HashMap::new();
    for row in rows {
        match places.entry(row.account.as_str()) {
            std::collections::hash_map::Entry::Occupied(at) => {
                let at: &usize = at.get();
                found[*at].current.push(&row.current);
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(found.len());
                let (account, replacement) = (row.account.as_str(), &row.replacement);
                found.push(Change { account, current: vec![&row.current], replacement });
            }
        }
    }
    found
}

impl LdapDirectory {
    /// Makes these changes side by side; how many were made. Where entries are refused, the others are
    /// changed all the same: there is no transaction to take them back by.
    pub(super) async fn write(
        &self,
        conn: &Conn,
        targets: &[(String, &Change<'_>)],
        purpose: Purpose,
    ) -> Result<u64, LdapFault> {
        let mut parts = Vec::new();
        for (dn, change) in targets {
            parts.push(self.change(conn, dn, change, purpose));
        }
        let codes: Vec<u32> = concurrent::all(parts, self.concurrency).await?;
        let changed = codes.iter().filter(|code| **code == DONE).count() as u64;
        let refused: Vec<u32> =
            codes.into_iter().filter(|code| !matches!(*code, DONE | ASSERTION_FAILED)).collect();
        match refused.first() {
            None => Ok(changed),
            Some(code) => {
                Err(LdapFault::Denied { asked: targets.len(), refused: refused.len(), code: *code })
            }
        }
    }

    async fn change(
        &self,
        conn: &Conn,
        dn: &str,
        change: &Change<'_>,
        purpose: Purpose,
    ) -> Result<u32, LdapFault> {
        let assertion = self.assertion(&change.current);
        let new = self.replacing(change.replacement);
        if purpose == Purpose::Set {
            // Else the policy would make its owner choose once more, after the portal did. The server
            // may not know the attribute, or not let us write it.
            let released = Mod::Replace(b"pwdReset".to_vec(), HashSet::new());
            let both = vec![self.replacing(change.replacement), released];
            let code = conn.modify(DOING, dn, both, vec![assertion.clone()]).await?;
            if matches!(code, DONE | ASSERTION_FAILED) {
                return Ok(code);
            }
        }
        let code = conn.modify(DOING, dn, vec![new], vec![assertion.clone()]).await?;
        if code != VALUE_EXISTS {
            return Ok(code);
        }
        tokio::time::sleep(A_SECOND).await;
        conn.modify(DOING, dn, vec![self.replacing(change.replacement)], vec![assertion]).await
    }

    /// Tries a change that must not match and then the change itself, of which the server only says what
    /// would become of it, where it has a way to.
    pub(super) async fn rehearse(
        &self,
        conn: &Conn,
        dn: &str,
        change: &Change<'_>,
    ) -> Result<Trial, LdapFault> {
        // Were it made all the same, it would leave the value as it is.
        let as_it_is = change.current.first().map(|value| self.replacing(value));
        let stale = self.assertion(&[change.replacement]);
        let code = conn.modify(DOING, dn, as_it_is.into_iter().collect(), vec![stale]).await?;
        if code == DONE {
            return Ok(Trial::NotCompared);
        }
        let no_op = RawControl { ctype: NO_OP.to_owned(), crit: true, val: None };
        let controls = vec![no_op, self.assertion(&change.current)];
        let new = vec![self.replacing(change.replacement)];
        match conn.modify(DOING, dn, new, controls).await? {
            TRIED | ASSERTION_FAILED | UNKNOWN_CONTROL => Ok(Trial::Well),
            DONE => Err(LdapFault::NotOnlyTried),
            code => Err(LdapFault::Denied { asked: 1, refused: 1, code }),
        }
    }

    fn replacing(&self, value: &SecretValue) -> Mod<Vec<u8>> {
        Mod::Replace(self.password.clone().into_bytes(), HashSet::from([octets(value)]))
    }

    /// That the entry still has all these values; a server that does not know it refuses the operation.
    fn assertion(&self, values: &[&SecretValue]) -> RawControl {
        let of = |value: &&SecretValue| format!("({}={})", self.password, escaped(&octets(value)));
        let all: String = values.iter().map(of).collect();
        RawControl { crit: true, ..Assertion::new(format!("(&{all})")) }
    }
}

/// What came of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// Nothing speaks against the change.
    Well,
    /// The server replaced a value that was not the asserted one.
    NotCompared,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_with_two_passwords_is_one_change() {
        let row = |account: &str, current: &str, replacement: &str| Replacement {
            account: account.into(),
            current: SecretValue::new(current.into()),
            replacement: SecretValue::new(replacement.into()),
        };
        let rows = [row("a", "1", "x"), row("b", "2", "y"), row("a", "3", "z")];
        let found = changes(&rows);
        assert_eq!(found.len(), 2);
        let texts: Vec<&str> = found[0].current.iter().map(|value| value.expose()).collect();
        assert_eq!((texts, found[0].replacement.expose()), (vec!["1", "3"], "x"));
    }
}
