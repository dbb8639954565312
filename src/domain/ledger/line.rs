//! An entry as one line: the two sorts that are written for every person each in a way of their own.

use jiff::Timestamp;
use serde::Serialize;

use super::Entry;

impl Entry {
    /// The entry as one line of canonical JSON: keys sorted, no white space, instant in RFC 3339.
    pub fn line(&self, at: Timestamp) -> String {
        match self {
            // One for each person of a seal, made of nothing but words and digits: written as it stands.
            Self::Credential { campaign, person, credential, from, to } => format!(
                r#"{{"at":"{at}","campaign":"{campaign}","credential":"{credential}","from":"{from}","kind":"credential","person":"{person}","to":"{to}"}}"#
            ),
            _ => self.any_line(at),
        }
    }

    fn any_line(&self, at: Timestamp) -> String {
        if let Some(line) =
            AttemptLine::of(self, at).and_then(|line| serde_json::to_string(&line).ok())
        {
            return line;
        }
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("at".into(), at.to_string().into());
        }
        value.to_string()
    }
}

/// An attempt's line, the one that is written for each person: its keys stand here in their order.
#[derive(Serialize)]
struct AttemptLine<'a> {
    at: Timestamp,
    campaign: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enhanced: Option<&'a str>,
    from: &'a str,
    generation: u32,
    kind: &'static str,
    n: u32,
    person: &'a str,
    result: &'static str,
    to: &'a str,
}

impl<'a> AttemptLine<'a> {
    fn of(entry: &'a Entry, at: Timestamp) -> Option<Self> {
        let Entry::Attempt {
            campaign,
            person,
            generation,
            n,
            from,
            to,
            result,
            code,
            enhanced,
            class,
        } = entry
        else {
            return None;
        };
        let (generation, n, code, class, result) = (*generation, *n, *code, *class, *result);
        let (enhanced, kind) = (enhanced.as_deref(), "attempt");
        Some(Self {
            at,
            campaign,
            class,
            code,
            enhanced,
            from,
            generation,
            kind,
            n,
            person,
            result,
            to,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempts_line_is_what_the_entry_says_with_sorted_keys() {
        let at = Timestamp::from_microsecond(1_326_672_000_123_456).unwrap();
        for (code, enhanced, class) in
            [(Some(250), Some("2.0.0".to_owned()), None), (None, None, Some("greylisted"))]
        {
            let entry = Entry::Attempt {
                campaign: "c".into(),
                person: "ab".into(),
                generation: 2,
                n: 3,
                from: "queued".into(),
                to: "told/accepted".into(),
                result: "accepted",
                code,
                enhanced,
                class,
            };
            let mut value = serde_json::to_value(&entry).unwrap();
            value["at"] = at.to_string().into();
            assert_eq!(entry.line(at), value.to_string());
        }
    }

    #[test]
    fn an_entry_is_one_line_with_sorted_keys() {
        let entry = Entry::Moved {
            campaign: "c".into(),
            person: "ab".into(),
            from: "in-doubt/due".into(),
            to: "queued".into(),
            by: "policy".into(),
        };
        let at = Timestamp::from_second(1_326_672_000).unwrap();
        assert_eq!(
            entry.line(at),
            r#"{"at":"2012-01-16T00:00:00Z","by":"policy","campaign":"c","from":"in-doubt/due","kind":"moved","person":"ab","to":"queued"}"#
        );
    }

    #[test]
    fn a_line_written_as_it_stands_is_the_line_of_any_entry() {
        let entry = Entry::Credential {
            campaign: "019a-c".into(),
            person: "ab12".into(),
            credential: "refresh-token",
            from: "pending",
            to: "no-password",
        };
        let at = Timestamp::from_microsecond(1_326_672_000_250_000).unwrap();
        assert_eq!(entry.line(at), entry.any_line(at));
    }
}
