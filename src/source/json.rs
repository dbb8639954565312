//! The values of one JSON object by the keys a campaign file names, as text and nothing guessed.
//!
//! Numbers stay the digits that were written: an account number of twenty digits must not come out of
//! a float. A key named twice anywhere in the object rejects the row, since readers differ in which of
//! the two they believe.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::RejectReason;

/// How deep objects and lists may lie inside each other.
const MOST_DEEP: usize = 64;

/// The keys wanted, nested ones as `a.b`, and the place of each among the values.
#[derive(Debug)]
pub(super) struct Keys {
    places: HashMap<String, usize>,
}

/// Why an object gives no values, and at which place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: Option<usize>,
    pub(super) reason: RejectReason,
}

impl From<RejectReason> for Fault {
    fn from(reason: RejectReason) -> Self {
        Self { place: None, reason }
    }
}

impl Keys {
    pub(super) fn new(names: &[String]) -> Self {
        Self { places: names.iter().cloned().zip(0..).collect() }
    }

    /// The value at each place; none where the object has no such key, empty where it is null.
    pub(super) fn values(&self, line: &[u8]) -> Result<Vec<Option<String>>, Fault> {
        let text = std::str::from_utf8(line).map_err(|_| RejectReason::NotUtf8)?;
        let object: &RawValue = serde_json::from_str(text).map_err(|_| RejectReason::Json)?;
        if !object.get().starts_with('{') {
            return Err(RejectReason::NoObject.into());
        }
        let mut values = vec![None; self.places.len()];
        self.object(object, "", MOST_DEEP, &mut values)?;
        Ok(values)
    }

    fn object(
        &self,
        object: &RawValue,
        path: &str,
        deep: usize,
        values: &mut [Option<String>],
    ) -> Result<(), Fault> {
        let Entries(entries) =
            serde_json::from_str(object.get()).map_err(|_| RejectReason::Json)?;
        let mut seen = HashSet::with_capacity(entries.len());
        for (key, value) in &entries {
            if !seen.insert(key.as_str()) {
                return Err(RejectReason::DuplicateKey.into());
            }
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let Some(place) = self.places.get(&path) else {
                self.inside(value, &path, deep, values)?;
                continue;
            };
            let fault = |reason| Fault { place: Some(*place), reason };
            // `{"a.b": 1, "a": {"b": 2}}` names one place twice
            if values[*place].is_some() {
                return Err(fault(RejectReason::DuplicateKey));
            }
            values[*place] = Some(scalar(value).map_err(fault)?);
        }
        Ok(())
    }

    /// Looks into an object or a list for keys wanted and for keys named twice.
    fn inside(
        &self,
        value: &RawValue,
        path: &str,
        deep: usize,
        values: &mut [Option<String>],
    ) -> Result<(), Fault> {
        let first = value.get().as_bytes().first();
        if !matches!(first, Some(b'{' | b'[')) {
            return Ok(());
        }
        let deep = deep.checked_sub(1).ok_or(RejectReason::TooDeep)?;
        if first == Some(&b'{') {
            return self.object(value, path, deep, values);
        }
        let items: Vec<&RawValue> =
            serde_json::from_str(value.get()).map_err(|_| RejectReason::Json)?;
        // what lies in a list has no path, so nothing wanted is found there
        let nothing = Self { places: HashMap::new() };
        items.into_iter().try_for_each(|item| nothing.inside(item, "", deep, &mut []))
    }
}

/// A text as it is, a number, true and false as they are written, null as nothing.
fn scalar(value: &RawValue) -> Result<String, RejectReason> {
    match value.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(value.get()).map_err(|_| RejectReason::Json),
        Some(b'{' | b'[') => Err(RejectReason::NoValue),
        Some(b'n') => Ok(String::new()),
        _ => Ok(value.get().to_owned()),
    }
}

/// The entries of an object in order, those named twice too.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Result<Vec<Option<String>>, Fault> {
        let names = ["id", "contact.email", "vip", "a.b"].map(String::from);
        Keys::new(&names).values(line.as_bytes())
    }

    #[test]
    fn values_are_texts_and_numbers_keep_their_digits() {
        let line = r#" {"id": 123456789012345678901234567890.10, "contact": {"x": [1, {"id": 2}],
            "email": "ad\u00e9\"@x.org"}, "vip": true, "more": null}"#;
        let read = values(&line.replace('\n', " ")).unwrap();
        let expected =
            [Some("123456789012345678901234567890.10"), Some("adé\"@x.org"), Some("true")];
        assert_eq!(read[..3], expected.map(|text| text.map(str::to_owned)));
        assert_eq!(read[3], None);
        assert_eq!(
            values(r#"{"a.b": 1, "vip": null}"#).unwrap()[2..],
            [Some(String::new()), Some("1".into())]
        );
    }

    #[test]
    fn what_is_not_one_object_with_each_key_once_is_named() {
        let deep = format!("{{\"x\": {}1{}}}", "[".repeat(70), "]".repeat(70));
        for (line, word, place) in [
            ("{\"id\": 1", "json", None),
            ("{\"id\": 1} {\"id\": 2}", "json", None),
            ("{\"id\": 1,}", "json", None),
            ("{'id': 1}", "json", None),
            ("{\"id\": \"\\ud800\"}", "json", None),
            ("{\"id\": NaN}", "json", None),
            ("id,email", "json", None),
            ("7", "no-object", None),
            ("[{\"id\": 1}]", "no-object", None),
            ("{\"id\": 1, \"id\": 2}", "duplicate-key", None),
            ("{\"id\": 1, \"x\": [{\"y\": 1, \"y\": 1}]}", "duplicate-key", None),
            ("{\"\\u0069d\": 1, \"id\": 2}", "duplicate-key", None),
            ("{\"a.b\": 1, \"a\": {\"b\": 2}}", "duplicate-key", Some(3)),
            ("{\"id\": {\"x\": 1}}", "no-value", Some(0)),
            ("{\"vip\": [true]}", "no-value", Some(2)),
            (&deep, "too-deep", None),
        ] {
            let fault = values(line).unwrap_err();
            let place = if word == "json" { fault.place } else { place };
            assert_eq!((fault.reason.word(), fault.place), (word, place), "{line}");
        }
        let fault = Keys::new(&[]).values(b"{\"id\": \"\xFF\"}").unwrap_err();
        assert_eq!(fault.reason, RejectReason::NotUtf8);
    }
}
