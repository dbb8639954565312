//! From the values of a row to a recipient, by the columns a campaign file names.

use csv::ByteRecord;
use jiff::Timestamp;

use super::{Columns, RejectReason, SourceError};
use crate::domain::address::{AddressReason, EmailAddress};
use crate::domain::field::{FieldType, FieldValue, Name, parse_date};
use crate::domain::recipient::{AccountRef, Addressee, Recipient, parse_locale, parse_region};
use crate::domain::zoned::ZonedInstant;

/// The longest value, in bytes.
pub(super) const FIELD_BYTES: usize = 64 * 1024;

/// Names a merge field cannot have: templates know these as something else.
const RESERVED: [&str; 10] = [
    "account",
    "address",
    "address_before",
    "name",
    "locale",
    "region",
    "addressee",
    "address_changed_at",
    "password_changed_at",
    "last_verified_on",
];

/// Why a row gives no recipient.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) column: Option<String>,
    pub(super) reason: RejectReason,
}

/// Where in a row each mapped column stands.
#[derive(Debug)]
pub(super) struct Mapping {
    header: Vec<String>,
    account: usize,
    address: Option<usize>,
    address_before: Option<usize>,
    name: Option<usize>,
    locale: Option<usize>,
    region: Option<usize>,
    addressee: Option<usize>,
    address_changed_at: Option<usize>,
    password_changed_at: Option<usize>,
    last_verified_on: Option<usize>,
    fields: Vec<(String, usize, FieldType)>,
}

impl Mapping {
    /// Finds every mapped column once in `header`.
    pub(super) fn new(
        origin: &str,
        columns: &Columns,
        header: Vec<String>,
    ) -> Result<Self, SourceError> {
        let find = |key: &str, column: &str| find(origin, &header, key, column);
        let optional = |key: &str, column: &Option<String>| {
            column.as_deref().map(|column| find(key, column)).transpose()
        };
        let account = find("account", &columns.account)?;
        let mut fields = Vec::new();
        for (name, kind) in &columns.fields {
            if RESERVED.contains(&name.as_str()) || name.is_empty() {
                return Err(SourceError::Setting {
                    origin: origin.into(),
                    key: format!("columns.fields.{name}"),
                    problem: "is no name for a merge field; hint: rename the column".into(),
                });
            }
            let at = find(&format!("fields.{name}"), name)?;
            fields.push((name.clone(), at, *kind));
        }
        Ok(Self {
            account,
            address: optional("address", &columns.address)?,
            address_before: optional("address_before", &columns.address_before)?,
            name: optional("name", &columns.name)?,
            locale: optional("locale", &columns.locale)?,
            region: optional("region", &columns.region)?,
            addressee: optional("addressee", &columns.addressee)?,
            address_changed_at: optional("address_changed_at", &columns.address_changed_at)?,
            password_changed_at: optional("password_changed_at", &columns.password_changed_at)?,
            last_verified_on: optional("last_verified_on", &columns.last_verified_on)?,
            fields,
            header,
        })
    }

    /// Reads one row. Only an unusable account, an unreadable row, or a fact about safety that
    /// cannot be read refuses it; a bad address, name, locale, region or merge field does not.
    pub(super) fn read(&self, row: &ByteRecord) -> Result<Recipient, Refusal> {
        let texts = self.texts(row)?;
        let text = |at: Option<usize>| at.map_or("", |at| texts[at]);
        let account = AccountRef::parse(texts[self.account])
            .map_err(|reason| self.refuse(self.account, reason.into()))?;
        let (address, address_text, reason) = address(text(self.address));
        let mut recipient = Recipient {
            account,
            address,
            address_text,
            reason,
            locale: parse_locale(text(self.locale)),
            region: parse_region(text(self.region)),
            addressee: self
                .fact(&texts, self.addressee, RejectReason::Addressee, |word| {
                    Addressee::parse(&word.to_ascii_lowercase())
                })?
                .unwrap_or_default(),
            name: None,
            name_refused: false,
            fields: std::collections::BTreeMap::new(),
            refused: std::collections::BTreeSet::new(),
            address_changed_at: self.instant(&texts, self.address_changed_at)?,
            // One that reads as none is as good as none: the person is told at the other.
            address_before: EmailAddress::parse(text(self.address_before)).ok(),
            password_changed_at: self.instant(&texts, self.password_changed_at)?,
            last_verified_on: self.fact(
                &texts,
                self.last_verified_on,
                RejectReason::Date,
                parse_date,
            )?,
        };
        let name = text(self.name);
        recipient.name = Name::parse(name).ok();
        recipient.name_refused = recipient.name.is_none() && !name.is_empty();
        for (key, value, read) in [
            ("locale", text(self.locale), recipient.locale.is_some()),
            ("region", text(self.region), recipient.region.is_some()),
        ] {
            if !value.is_empty() && !read {
                recipient.refused.insert(key.into());
            }
        }
        for (name, at, kind) in &self.fields {
            match FieldValue::parse(*kind, texts[*at]) {
                Ok(value) => {
                    recipient.fields.insert(name.clone(), value.into_text());
                }
                Err(_) => {
                    recipient.refused.insert(name.clone());
                }
            }
        }
        Ok(recipient)
    }

    /// The trimmed values of a row that is whole.
    fn texts<'r>(&self, row: &'r ByteRecord) -> Result<Vec<&'r str>, Refusal> {
        if row.len() != self.header.len() {
            let reason = RejectReason::FieldCount { found: row.len(), expected: self.header.len() };
            return Err(Refusal { column: None, reason });
        }
        row.iter()
            .enumerate()
            .map(|(at, value)| {
                let bytes = value.len();
                if bytes > FIELD_BYTES {
                    Err(self.refuse(at, RejectReason::FieldTooLong { bytes }))
                } else if value.contains(&0) {
                    Err(self.refuse(at, RejectReason::NulByte))
                } else {
                    std::str::from_utf8(value)
                        .map(str::trim)
                        .map_err(|_| self.refuse(at, RejectReason::NotUtf8))
                }
            })
            .collect()
    }

    fn refuse(&self, at: usize, reason: RejectReason) -> Refusal {
        Refusal { column: self.header.get(at).cloned(), reason }
    }

    /// A value that decides safety: absent where it is empty, never guessed where it is not read.
    fn fact<T>(
        &self,
        texts: &[&str],
        at: Option<usize>,
        reason: RejectReason,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match at.map(|at| (at, texts[at])) {
            None | Some((_, "")) => Ok(None),
            Some((at, text)) => parse(text).map(Some).ok_or_else(|| self.refuse(at, reason)),
        }
    }

    fn instant(&self, texts: &[&str], at: Option<usize>) -> Result<Option<Timestamp>, Refusal> {
        self.fact(texts, at, RejectReason::Instant, |text| {
            let zoned = || text.parse::<ZonedInstant>().map(|zoned| zoned.timestamp());
            text.parse().or_else(|_| zoned()).ok()
        })
    }
}

fn find(origin: &str, header: &[String], key: &str, column: &str) -> Result<usize, SourceError> {
    let (origin, key, column) = (origin.into(), key.into(), column.to_owned());
    let mut places = header.iter().enumerate().filter(|(_, name)| **name == column);
    match (places.next(), places.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => {
            let hint = hint(header, &column);
            Err(SourceError::MissingColumn { origin, key, column, hint })
        }
        (Some(_), Some(_)) => Err(SourceError::DoubledColumn { origin, key, column }),
    }
}

/// A column of nearly that name is what was meant, most likely. Nothing else of a header is shown: a
/// file without one has a person there.
fn hint(header: &[String], column: &str) -> String {
    match header.iter().find(|name| name.eq_ignore_ascii_case(column.trim())) {
        Some(name) => format!("there is `{name}`, and names are compared letter by letter"),
        None => "the file's first line names its columns, and is compared letter by letter".into(),
    }
}

/// A bad address is a reason to use another channel, never a reason to lose the person.
fn address(text: &str) -> (Option<EmailAddress>, Option<String>, AddressReason) {
    if text.is_empty() {
        return (None, None, AddressReason::Missing);
    }
    match EmailAddress::parse(text) {
        Ok(address) => (Some(address), None, AddressReason::Ok),
        Err(_) => (None, Some(text.into()), AddressReason::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &str = r#"
        account = "id"
        address = "email"
        address_before = "former"
        name = "first"
        locale = "lang"
        region = "state"
        addressee = "to"
        address_changed_at = "moved"
        password_changed_at = "pw"
        last_verified_on = "seen"
        fields = { product = "text", seat = "number" }"#;
    const HEADER: [&str; 13] = [
        "id", "email", "first", "lang", "state", "to", "moved", "pw", "seen", "product", "seat",
        "ignored", "former",
    ];

    fn mapping() -> Mapping {
        let header = HEADER.map(String::from).to_vec();
        Mapping::new("csv p", &toml::from_str(COLUMNS).unwrap(), header).unwrap()
    }

    fn read(changes: &[(&str, &str)]) -> Result<Recipient, Refusal> {
        let mut row = [
            "7",
            "ada@example.com",
            "Ada",
            "en-gb",
            "US-CA",
            "",
            "",
            "",
            "",
            "Opera",
            "12",
            "x",
            "",
        ];
        for (column, value) in changes {
            row[HEADER.iter().position(|name| name == column).unwrap()] = value;
        }
        mapping().read(&ByteRecord::from(row.to_vec()))
    }

    #[test]
    fn every_mapped_column_reaches_the_recipient() {
        let ada = read(&[
            ("id", " 7 "),
            ("to", "Guardian"),
            ("moved", "2018-08-21T22:58[Europe/London]"),
            ("pw", "2018-08-21 22:58:00+01:00"),
            ("seen", "2017-01-31"),
            ("former", "ada@OLD.example"),
        ])
        .unwrap();
        assert_eq!(ada.address_before.as_ref().unwrap().as_str(), "ada@old.example");
        assert!(read(&[("former", "n/a")]).unwrap().address_before.is_none());
        assert_eq!(ada.account.as_str(), "7");
        assert_eq!(ada.address.unwrap().as_str(), "ada@example.com");
        assert_eq!(ada.reason, AddressReason::Ok);
        assert_eq!(ada.name.unwrap().as_str(), "Ada");
        assert_eq!(ada.locale.as_deref(), Some("en-GB"));
        assert_eq!(ada.region.as_deref(), Some("US-CA"));
        assert_eq!(ada.addressee, Addressee::Guardian);
        assert_eq!(ada.address_changed_at, ada.password_changed_at);
        let at = ada.address_changed_at.unwrap().to_string();
        assert_eq!(at, "2018-08-21T21:58:00Z");
        assert_eq!(ada.last_verified_on.unwrap().to_string(), "2017-01-31");
        assert_eq!((&*ada.fields["product"], &*ada.fields["seat"]), ("Opera", "12"));
        assert!(ada.refused.is_empty() && !ada.name_refused);
    }

    #[test]
    fn a_bad_address_name_or_field_never_makes_a_person_vanish() {
        let missing = read(&[("email", "  ")]).unwrap();
        assert_eq!((missing.reason, missing.address_text), (AddressReason::Missing, None));
        let invalid = read(&[("email", " n/a "), ("first", "see evil.com"), ("lang", "german")]);
        let invalid = invalid.unwrap();
        assert_eq!(invalid.reason, AddressReason::Invalid);
        assert_eq!(invalid.address_text.as_deref(), Some("n/a"));
        assert!(invalid.address.is_none() && invalid.name.is_none() && invalid.name_refused);
        let bad = read(&[
            ("product", "http://evil"),
            ("seat", ""),
            ("lang", "german"),
            ("state", "a\tb"),
            ("first", ""),
        ])
        .unwrap();
        assert!(bad.fields.is_empty() && !bad.name_refused);
        let refused: Vec<_> = bad.refused.iter().map(String::as_str).collect();
        assert_eq!(refused, ["locale", "product", "region", "seat"]);
    }

    #[test]
    fn what_decides_safety_is_never_guessed() {
        for (column, value, word) in [
            ("id", " ", "no-account"),
            ("id", "a\u{7}", "account-control"),
            ("to", "parent", "addressee"),
            ("moved", "2018-08-21 22:58", "instant"),
            ("moved", "yesterday", "instant"),
            ("moved", "2018-10-28T01:30[Europe/London]", "instant"),
            ("pw", "1534888680", "instant"),
            ("seen", "31.01.2017", "date"),
            ("ignored", "a\0", "nul-byte"),
        ] {
            let refusal = read(&[(column, value)]).unwrap_err();
            assert_eq!((refusal.column.as_deref(), refusal.reason.word()), (Some(column), word));
        }
        let long = "x".repeat(FIELD_BYTES + 1);
        let refusal = read(&[("ignored", &long)]).unwrap_err();
        assert_eq!(refusal.reason, RejectReason::FieldTooLong { bytes: FIELD_BYTES + 1 });
        assert!(read(&[("ignored", &long[1..])]).is_ok());
    }

    #[test]
    fn a_mapped_column_must_be_there_once() {
        let columns = toml::from_str(COLUMNS).unwrap();
        let new = |header: Vec<String>| Mapping::new("csv p", &columns, header);
        let mut header = HEADER.map(String::from).to_vec();
        header.push("ignored".into());
        assert!(new(header.clone()).is_ok());
        header.push("email".into());
        let error = new(header.clone()).unwrap_err().to_string();
        assert!(error.contains("csv p: two columns are called `email`"), "{error}");
        header.retain(|name| name != "seat");
        header.pop();
        let error = new(header).unwrap_err().to_string();
        assert!(error.contains("`seat`, which `columns.fields.seat`"), "{error}");
        let columns = toml::from_str("account = \"a\"\nfields = { name = \"text\" }").unwrap();
        let error = Mapping::new("csv p", &columns, vec!["a".into(), "name".into()]);
        assert!(matches!(error, Err(SourceError::Setting { .. })));
    }
}
