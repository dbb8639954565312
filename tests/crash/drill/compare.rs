//! The rules: the sink's own record of what it took against the database, when all is over. Pure.

use std::collections::{BTreeSet, HashMap};

use super::database::Everybody;
use super::people::Directory;
use super::record::Accepted;
use super::report::Break;
use super::shop::{Account, Fate};

/// What is compared.
pub struct Both<'a> {
    /// What the sink took, by address.
    pub accepted: &'a HashMap<String, Vec<Accepted>>,
    /// Where everybody stands.
    pub everybody: &'a Everybody,
    /// Who they are.
    pub people: &'a Directory,
    /// What was to become of them.
    pub accounts: &'a [Account],
    /// Most people whom the deaths may have left in doubt.
    pub most_doubts: u64,
    /// Whoever may have been sent a second copy; nobody under policy `hold`.
    pub may_repeat: bool,
    /// A backup was put back: of an attempt that only a finished journal told of, or nothing, the digest is
    /// lost and stands as zeros.
    pub is_restored: bool,
}

/// The digest of an attempt whose bytes nobody knows any more.
const UNKNOWN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What the comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Recipients the sink accepted, each copy counted.
    pub accepted: u64,
    /// Sealed people who were to be told and are neither in the record nor in doubt.
    pub lost: u64,
    /// Addresses with a second copy.
    pub second_copies: u64,
    /// People of whom an attempt was ever in doubt.
    pub in_doubt: u64,
    /// What was broken.
    pub breaks: Vec<Break>,
}

impl Both<'_> {
    /// Compares everybody.
    pub fn compare(&self) -> Found {
        let mut found = Found::default();
        let doubtful = self.everybody.doubtful();
        found.in_doubt = doubtful.len() as u64;
        if found.in_doubt > self.most_doubts {
            let text = format!("{} people in doubt, at most {}", found.in_doubt, self.most_doubts);
            found.breaks.push(Break::of("doubt is bounded", text));
        }
        for account in self.accounts {
            self.account(account, &mut found);
        }
        for (address, copies) in self.accepted {
            found.accepted += copies.len() as u64;
            self.taken(address, copies, &doubtful, &mut found);
        }
        found
    }

    /// Somebody of the list: told and in the record, or accounted for otherwise.
    fn account(&self, account: &Account, found: &mut Found) {
        let number = self.people.numbers.get(&account.address).copied();
        // Bad addresses are one text many times; they have no address by which to be found.
        if account.fate == Fate::Fallback {
            return;
        }
        let mut broken = |promise: &'static str, text: String| {
            found.breaks.push(Break::about(promise, number, &account.address, text));
        };
        let Some(person) = number.and_then(|number| self.everybody.people.get(&number)) else {
            broken("nobody vanishes", "is on the list and not among the sealed".into());
            found.lost += 1;
            return;
        };
        let is_taken = self.accepted.contains_key(&account.address);
        let stands = format!("{}/{}", person.class, person.reason);
        match (account.fate, person.class.as_str()) {
            (Fate::Told, "told") if !is_taken => {
                broken("nobody is lost", "is told in the database; the sink never took it".into());
                found.lost += 1;
            }
            (Fate::Told, "told") | (Fate::Held, "held") => {}
            (Fate::Told, "in-doubt") if person.reason == "held" => {}
            (Fate::Told, _) => {
                broken("nobody is lost", format!("stands at {stands} when sending has finished"));
                found.lost += u64::from(!is_taken);
            }
            _ => broken("only who is meant", format!("was to be held and stands at {stands}")),
        }
    }

    /// Somebody the sink took: told or doubtful, each copy as it was intended, a second one the same.
    fn taken(
        &self,
        address: &str,
        copies: &[Accepted],
        doubtful: &BTreeSet<u64>,
        found: &mut Found,
    ) {
        let number = self.people.numbers.get(address).copied();
        let mut broken = |promise: &'static str, text: String| {
            found.breaks.push(Break::about(promise, number, address, text));
        };
        let Some((number, person)) =
            number.and_then(|number| Some((number, self.everybody.people.get(&number)?)))
        else {
            broken("only who is meant", "got mail and is not sealed".into());
            return;
        };
        let was_doubtful = doubtful.contains(&number);
        if person.class != "told" && !was_doubtful {
            let stands = format!("{}/{}", person.class, person.reason);
            broken("told is what was accepted", format!("was accepted and stands at {stands}"));
        }
        let is_unknown = self.is_restored && person.contents.iter().any(|one| one == UNKNOWN);
        if copies.iter().any(|copy| !person.contents.contains(&copy.sha256)) && !is_unknown {
            broken("intent before wire", "was sent bytes that no intent speaks of".into());
        }
        let Some((first, others)) = copies.split_first().filter(|(_, others)| !others.is_empty())
        else {
            return;
        };
        found.second_copies += 1;
        if !self.may_repeat {
            broken("no second copy", format!("got {} copies", copies.len()));
        }
        if !was_doubtful {
            broken("second copies are known", "got two copies and was never in doubt".into());
        }
        if others.len() > 1 {
            broken("one re-send", format!("got {} copies", copies.len()));
        }
        if others.iter().any(|copy| copy.message_id != first.message_id) {
            broken("the same Message-ID", "its copies have two".into());
        }
        if others.iter().any(|copy| copy.sha256 != first.sha256) {
            broken("the same bytes", "its copies differ".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::database::Standing;
    use super::*;

    const ADDRESS: &str = "customer1@mail.example";

    fn copy(sha256: &str) -> Accepted {
        let own = str::to_owned;
        Accepted {
            at: own("2026-11-26T21:00:00Z"),
            to: own(ADDRESS),
            message_id: own("<1@x>"),
            sha256: own(sha256),
        }
    }

    /// What one person comes to: class and reason, doubts, copies, and whether one may be repeated.
    fn of(stands: (&str, &str), doubts: u32, copies: &[Accepted], may_repeat: bool) -> Found {
        let mut people = Directory::default();
        people.addresses.insert(7, ADDRESS.into());
        people.numbers.insert(ADDRESS.into(), 7);
        let mut everybody = Everybody::default();
        let (class, reason) = (stands.0.to_owned(), stands.1.to_owned());
        everybody.people.insert(7, Standing { class, reason, contents: vec!["aa".into()], doubts });
        let mut accepted = HashMap::new();
        if !copies.is_empty() {
            accepted.insert(ADDRESS.to_owned(), copies.to_vec());
        }
        let (id, address) = ("C1".to_owned(), ADDRESS.to_owned());
        let accounts = [Account { id, address, fate: Fate::Told, hash: None }];
        let (accepted, everybody, people, accounts) = (&accepted, &everybody, &people, &accounts);
        let is_restored = false;
        Both { accepted, everybody, people, accounts, most_doubts: 1, may_repeat, is_restored }
            .compare()
    }

    fn promises(found: &Found) -> Vec<&'static str> {
        found.breaks.iter().map(|one| one.promise).collect()
    }

    #[test]
    fn whoever_is_told_once_or_twice_after_a_doubt_breaks_nothing() {
        let told = ("told", "accepted");
        assert_eq!(of(told, 0, &[copy("aa")], true).breaks, []);
        let twice = of(told, 1, &[copy("aa"), copy("aa")], true);
        assert_eq!((twice.breaks.len(), twice.second_copies, twice.in_doubt), (0, 1, 1));
        let waits = of(("in-doubt", "held"), 1, &[], false);
        assert_eq!((waits.breaks.len(), waits.lost), (0, 0));
    }

    #[test]
    fn every_broken_promise_is_seen() {
        let told = ("told", "accepted");
        for (found, promise, lost) in [
            (of(told, 0, &[], true), "nobody is lost", 1),
            (of(("queued", ""), 0, &[], true), "nobody is lost", 1),
            (of(("in-doubt", "due"), 0, &[], true), "nobody is lost", 1),
            (of(told, 0, &[copy("aa"), copy("aa")], true), "second copies are known", 0),
            (of(told, 1, &[copy("aa"), copy("aa")], false), "no second copy", 0),
            (of(told, 1, &[copy("aa"), copy("aa"), copy("aa")], true), "one re-send", 0),
            (of(told, 0, &[copy("bb")], true), "intent before wire", 0),
            (of(told, 2, &[copy("aa"), copy("bb")], true), "the same bytes", 0),
            (of(("waived", "x"), 0, &[copy("aa")], true), "told is what was accepted", 0),
        ] {
            assert!(promises(&found).contains(&promise), "{promise}: {:?}", found.breaks);
            assert_eq!(found.lost, lost, "{promise}");
        }
        let mut other = copy("aa");
        other.message_id = "<2@x>".into();
        let found = of(told, 1, &[copy("aa"), other], true);
        assert_eq!(promises(&found), ["the same Message-ID"]);
    }
}
