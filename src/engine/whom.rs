//! Who is meant by what somebody typed: a number, an account or an address.
//!
//! A text can be all three: numbers begin at 1000, and so do many shops' accounts. Looking shows the account;
//! acting refuses where the readings name different people, since an act on the wrong one may be final.

use super::{Engine, EngineError};
use crate::domain::address::EmailAddress;
use crate::secret::lookup::{account_digest, address_digest};

/// The people a text names, by how it is read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Readings {
    account: Vec<u64>,
    address: Vec<u64>,
    number: Option<u64>,
}

/// How a text is meant: `number:1001`, `account:1001`, `address:ann@mail.example`, or however it fits.
#[derive(Debug, PartialEq, Eq)]
enum Meant<'a> {
    Number(&'a str),
    Account(&'a str),
    Address(&'a str),
    Any(&'a str),
}

impl<'a> Meant<'a> {
    fn of(text: &'a str) -> Self {
        match text.trim().split_once(':') {
            Some(("number", rest)) => Self::Number(rest.trim()),
            Some(("account", rest)) => Self::Account(rest.trim()),
            Some(("address", rest)) => Self::Address(rest.trim()),
            _ => Self::Any(text.trim()),
        }
    }
}

impl Readings {
    /// The account and whoever is written to at that address; a number only where the text is neither.
    fn all_meant(mut self) -> Vec<u64> {
        let mut found = std::mem::take(&mut self.account);
        found.append(&mut self.address);
        if found.is_empty() {
            found.extend(self.number);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Those meant, where every reading that names anybody names the same people.
    fn surely_meant(self) -> Result<Vec<u64>, String> {
        let mut readings = [
            ("account", self.account),
            ("address", self.address),
            ("number", Vec::from_iter(self.number)),
        ]
        .into_iter()
        .filter(|(_, found)| !found.is_empty());
        let Some((first, mut found)) = readings.next() else { return Ok(Vec::new()) };
        found.sort_unstable();
        for (other, mut others) in readings {
            others.sort_unstable();
            if others != found {
                return Err(format!(
                    "one text names different people: read as {first} it is {}, as {other} {}; hint: say \
                     which with `{first}:…` or `{other}:…`, or give `number:N`",
                    numbers(&found),
                    numbers(&others)
                ));
            }
        }
        Ok(found)
    }
}

/// A few numbers in words; what was typed is not repeated, since it may be an address.
fn numbers(found: &[u64]) -> String {
    match found {
        [one] => format!("number {one}"),
        [first, ..] => format!("{} people (the first is number {first})", found.len()),
        [] => "nobody".into(),
    }
}

impl Engine {
    /// People to look at, by number, account or address.
    pub async fn find(&self, name: &str, who: &str) -> Result<Vec<u64>, EngineError> {
        Ok(self.read_as(name, &Meant::of(who)).await?.all_meant())
    }

    /// People to act on. Errors: `Refused` where the text can be read as different people.
    pub async fn find_to_act(&self, name: &str, who: &str) -> Result<Vec<u64>, EngineError> {
        self.read_as(name, &Meant::of(who)).await?.surely_meant().map_err(EngineError::refused)
    }

    /// The people of exactly this account: no number and no address is tried.
    pub async fn find_account(&self, name: &str, account: &str) -> Result<Vec<u64>, EngineError> {
        Ok(self.read_as(name, &Meant::Account(account.trim())).await?.all_meant())
    }

    async fn read_as(&self, name: &str, meant: &Meant<'_>) -> Result<Readings, EngineError> {
        let (row, people) = self.people(name).await?;
        let key = self.keys.digest();
        let mut readings = Readings::default();
        if let Meant::Account(text) | Meant::Any(text) = meant {
            let digest = account_digest(key, &people.directory, text.as_bytes());
            readings.account = self.store.find_numbers(row.id, &digest).await?;
        }
        if let Meant::Address(text) | Meant::Any(text) = meant
            && let Ok(address) = EmailAddress::parse(text)
        {
            let digest = address_digest(key, &address.canonical());
            readings.address = self.store.find_numbers(row.id, &digest).await?;
        }
        if let Meant::Number(text) | Meant::Any(text) = meant
            && let Ok(number) = text.parse::<u64>()
            && self.store.delivery(row.id, number).await?.is_some()
        {
            readings.number = Some(number);
        }
        Ok(readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_before_a_colon_says_how_a_text_is_meant() {
        assert_eq!(Meant::of(" number:1001 "), Meant::Number("1001"));
        assert_eq!(Meant::of("account: C-7"), Meant::Account("C-7"));
        assert_eq!(Meant::of("address:a@mail.example"), Meant::Address("a@mail.example"));
        assert_eq!(Meant::of("tenant:7"), Meant::Any("tenant:7"));
    }

    #[test]
    fn looking_prefers_the_account_and_acting_wants_one_meaning() {
        let both = || Readings { account: vec![1000], address: vec![], number: Some(1001) };
        assert_eq!(both().all_meant(), [1000]);
        let told = both().surely_meant().unwrap_err();
        assert!(
            told.contains("read as account it is number 1000, as number number 1001; hint: "),
            "{told}"
        );
        let same = Readings { account: vec![1000], address: vec![1000], number: Some(1000) };
        assert_eq!(same.surely_meant(), Ok(vec![1000]));
        let mailbox = Readings { account: vec![5], address: vec![5, 9], number: None };
        assert!(mailbox.surely_meant().unwrap_err().contains("2 people (the first is number 5)"));
        let number = Readings { number: Some(1003), ..Readings::default() };
        assert_eq!(number.surely_meant(), Ok(vec![1003]));
        assert_eq!(Readings::default().surely_meant(), Ok(vec![]));
    }
}
