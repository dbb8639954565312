//! Entries as accounts: which account each is of, what password it holds, when that changed.

use std::collections::{HashMap, HashSet};

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, civil};
use ldap3::{Scope, SearchEntry};

use super::LdapDirectory;
use super::connection::Conn;
use super::error::{EntryFault, LdapFault};
use super::octets;
use crate::directory::{Current, concurrent};
use crate::secret::replacement::SecretValue;

/// Accounts in one search: servers answer with 500 entries at the most, unless told otherwise.
const CHUNK: usize = 200;

/// RFC 4511: the attribute is not there, as opposed to hidden.
const NO_SUCH_ATTRIBUTE: u32 = 16;

/// One account's entry.
pub(super) struct Entry {
    pub account: String,
    pub dn: String,
    pub values: Vec<SecretValue>,
    pub changed_at: Option<Timestamp>,
}

impl Entry {
    /// As a directory tells it: a row a value.
    pub(super) fn into_currents(self) -> Vec<Current> {
        let Self { account, values, changed_at, .. } = self;
        let current = |value| Current { account: account.clone(), value, sessions: 0, changed_at };
        if values.is_empty() {
            return vec![current(None)];
        }
        values.into_iter().map(|value| current(Some(value))).collect()
    }
}

impl LdapDirectory {
    /// The entries of these accounts. Whoever has no password is asked after twice: one that may not be
    /// read looks the same.
    pub(super) async fn entries(
        &self,
        conn: &Conn,
        accounts: &[String],
    ) -> Result<Vec<Entry>, LdapFault> {
        let mut parts = Vec::new();
        for part in accounts.chunks(CHUNK) {
            parts.push(self.search_part(conn, part));
        }
        let found = concurrent::all(parts, self.concurrency).await?;
        let found: Vec<Entry> = found.into_iter().flatten().collect();
        // A copy of one entry for `Ann` and `ann` in two searches.
        let mut seen = HashSet::new();
        for (at, entry) in found.iter().enumerate() {
            if !seen.insert(entry.dn.to_lowercase()) {
                return Err(LdapFault::Entry { place: at + 1, fault: EntryFault::OfTwo });
            }
        }
        let mut bare = Vec::new();
        for entry in found.iter().filter(|entry| entry.values.is_empty()) {
            bare.push(self.is_really_bare(conn, &entry.dn));
        }
        concurrent::all(bare, self.concurrency).await?;
        Ok(found)
    }

    async fn is_really_bare(&self, conn: &Conn, dn: &str) -> Result<(), LdapFault> {
        match conn.compare("reading accounts", dn, &self.password).await? {
            NO_SUCH_ATTRIBUTE => Ok(()),
            _ => Err(LdapFault::Hidden),
        }
    }

    async fn search_part(&self, conn: &Conn, part: &[String]) -> Result<Vec<Entry>, LdapFault> {
        let filter = self.filter_of(part);
        let mut attributes = vec![self.account.as_str(), self.password.as_str()];
        attributes.extend(self.changed_at.as_deref());
        let place = (self.base.as_str(), self.scope, filter.as_str());
        let found = conn.search("reading accounts", place, &attributes, part.len() + 1).await?;
        let found = found.ok_or(LdapFault::Failed { doing: "reading accounts", code: 32 })?;
        let asked = Asked::of(part);
        let mut answered = HashSet::new();
        let mut entries = Vec::with_capacity(found.len());
        for (at, entry) in found.into_iter().enumerate() {
            let entry = self
                .read_entry(entry, &asked)
                .and_then(|entry| {
                    let is_new = answered.insert(entry.account.clone());
                    if is_new { Ok(entry) } else { Err(EntryFault::AnsweredTwice) }
                })
                .map_err(|fault| LdapFault::Entry { place: at + 1, fault })?;
            entries.push(entry);
        }
        Ok(entries)
    }

    fn filter_of(&self, part: &[String]) -> String {
        let of = |account: &String| {
            format!("({}={})", self.account, octets::escaped(account.as_bytes()))
        };
        let accounts: String = part.iter().map(of).collect();
        format!("(&{}(|{accounts}))", self.filter)
    }

    fn read_entry(&self, entry: SearchEntry, asked: &Asked<'_>) -> Result<Entry, EntryFault> {
        let mut values = HashMap::new();
        for (name, texts) in entry.attrs {
            let octets = texts.into_iter().map(String::into_bytes);
            values.entry(name.to_lowercase()).or_insert_with(Vec::new).extend(octets);
        }
        for (name, octets) in entry.bin_attrs {
            values.entry(name.to_lowercase()).or_insert_with(Vec::new).extend(octets);
        }
        let mut take = |name: &str| values.remove(&name.to_lowercase()).unwrap_or_default();
        let account = asked.find(&take(&self.account))?;
        let changed_at = match self.changed_at.as_deref().map(&mut take).unwrap_or_default().first()
        {
            None => None,
            Some(octets) => Some(generalized_time(octets).ok_or(EntryFault::ChangeTime)?),
        };
        let values = take(&self.password).into_iter().map(octets::value).collect();
        Ok(Entry { account, dn: entry.dn, values, changed_at })
    }

    /// The first value of the account attribute of our own entry, if it is one of the accounts.
    pub(super) async fn own_account(&self, conn: &Conn) -> Result<Option<String>, LdapFault> {
        let place = (self.login.bind_dn(), Scope::Base, self.filter.as_str());
        let found = conn.search("looking for our own entry", place, &[&self.account], 1).await?;
        let wanted = self.account.to_lowercase();
        let base = self.base.to_lowercase();
        Ok(found
            .into_iter()
            .flatten()
            .find(|entry| entry.dn.to_lowercase().ends_with(&base))
            .and_then(|entry| {
                let mut named = entry.attrs.into_iter();
                named.find(|(name, _)| name.to_lowercase() == wanted)?.1.into_iter().next()
            }))
    }
}

/// The accounts that were asked for, by their own text and as LDAP compares it.
struct Asked<'a> {
    exact: HashSet<&'a str>,
    folded: HashMap<String, Vec<&'a str>>,
}

impl<'a> Asked<'a> {
    fn of(accounts: &'a [String]) -> Self {
        let mut folded: HashMap<String, Vec<&str>> = HashMap::new();
        for account in accounts {
            folded.entry(fold(account)).or_default().push(account);
        }
        Self { exact: accounts.iter().map(String::as_str).collect(), folded }
    }

    /// The one account that an entry with these names is of.
    fn find(&self, names: &[Vec<u8>]) -> Result<String, EntryFault> {
        let mut found = HashSet::new();
        for name in names.iter().filter_map(|octets| std::str::from_utf8(octets).ok()) {
            match (self.exact.get(name), self.folded.get(&fold(name))) {
                (Some(exact), Some(all)) if all.len() == 1 => drop(found.insert(*exact)),
                (_, Some(all)) => found.extend(all.iter().copied()),
                _ => {}
            }
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(account), None) => Ok(account.to_owned()),
            (None, _) => Err(EntryFault::Unasked),
            (Some(_), Some(_)) => Err(EntryFault::OfTwo),
        }
    }
}

/// As RFC 4518 prepares a name for being compared without case, as far as names of accounts need it.
fn fold(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// RFC 4517 §3.3.13: `20261127072756Z`, with a fraction, with an offset, without minutes or seconds.
fn generalized_time(octets: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(octets).ok()?;
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = text.split_at(end);
    let part = |from: usize, length: usize| digits.get(from..from + length)?.parse::<i8>().ok();
    let (minute, second) = match digits.len() {
        10 => (0, 0),
        12 => (part(10, 2)?, 0),
        14 => (part(10, 2)?, part(12, 2)?),
        _ => return None,
    };
    let year = digits.get(..4)?.parse().ok()?;
    let at = civil::DateTime::new(year, part(4, 2)?, part(6, 2)?, part(8, 2)?, minute, second, 0);
    let zone = rest.trim_start_matches(|c: char| c == '.' || c == ',' || c.is_ascii_digit());
    let offset = if zone == "Z" {
        Offset::UTC
    } else {
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let number = |range| zone.get(range).map(str::parse::<i32>)?.ok();
        let minutes = if zone.len() > 3 { number(3..5)? } else { 0 };
        Offset::from_seconds(sign * (number(1..3)? * 3_600 + minutes * 60)).ok()?
    };
    Some(at.ok()?.to_zoned(TimeZone::fixed(offset)).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generalized_time_is_an_instant() {
        for (text, told) in [
            ("20261127072756Z", "2026-11-27T07:27:56Z"),
            ("20261127072934.860318Z", "2026-11-27T07:29:34Z"),
            ("202611270727+0130", "2026-11-27T05:57:00Z"),
            ("2026112707-05", "2026-11-27T12:00:00Z"),
        ] {
            assert_eq!(generalized_time(text.as_bytes()).unwrap().to_string(), told, "{text}");
        }
        for text in ["", "Z", "20261127072756", "20261327072756Z", "20261127072756+", "2026-11-27Z"]
        {
            assert_eq!(generalized_time(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn an_entry_is_of_one_account_that_was_asked_for() {
        let accounts = ["ann", "Bob", "cleo", "CLEO"].map(str::to_owned);
        let asked = Asked::of(&accounts);
        let find = |names: &[&str]| {
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            asked.find(&names)
        };
        assert_eq!(find(&["ann"]).as_deref(), Ok("ann"));
        assert_eq!(find(&["x", "bob "]).as_deref(), Ok("Bob"), "named as it was asked for");
        assert_eq!(find(&["dan"]), Err(EntryFault::Unasked));
        assert_eq!(find(&["ann", "bob"]), Err(EntryFault::OfTwo));
        assert_eq!(find(&["cleo"]), Err(EntryFault::OfTwo), "LDAP takes both for one");
    }
}
