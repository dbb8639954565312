//! Typed merge fields: what of a stranger's text may stand inside a signed mail.
//!
//! A name in a breached database was typed by whoever opened the account, so it is
//! attacker-written content. What fails its type is left out and counted, never mailed.

use std::fmt;

use jiff::civil::Date;

/// The longest name, in characters.
const NAME_CHARS: usize = 60;
/// The longest text field, in characters.
const TEXT_CHARS: usize = 200;
/// Digits in a row (separators between them do not count) that make a telephone number or a code.
const DIGIT_RUN: u32 = 3;
/// Digits before and after the point of a number.
const NUMBER_DIGITS: (usize, usize) = (15, 6);

/// Whether a character turns the reading direction around.
pub(super) fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is a control, or takes no room and so can hide between others.
pub(super) fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200D}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFC}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E00FF}')
}

/// Why a name, or another text, may not stand in a notice. Never holds the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameRefusal {
    /// Nothing but white space.
    #[error("empty")]
    Empty,
    /// More characters than its type allows.
    #[error("too long")]
    TooLong,
    /// A control or invisible character.
    #[error("holds a control or invisible character")]
    Control,
    /// A character that changes the reading direction.
    #[error("holds a character that changes the reading direction")]
    Bidi,
    /// An at sign, or one of its look-alikes.
    #[error("holds an at sign")]
    At,
    /// A URL, or a word that a mail program would turn into a link.
    #[error("holds a link or a word like a domain")]
    Link,
    /// As many digits as a telephone number or a code needs.
    #[error("holds a run of digits")]
    Digits,
    /// A symbol that no name has.
    #[error("holds a symbol that no name has")]
    Symbol,
    /// No letter at all.
    #[error("holds no letter")]
    NoLetter,
}

/// The name a person is greeted by.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Takes a name of at most 60 characters without URL, domain-like word, at sign, three
    /// digits, control or bidi character, or a symbol that no name has. White space around it
    /// is dropped, everything else kept as it is.
    pub fn parse(text: &str) -> Result<Self, NameRefusal> {
        let text = text.trim();
        let folded = screen(text, NAME_CHARS)?;
        if has_digit_run(&folded) {
            return Err(NameRefusal::Digits);
        }
        if folded.iter().copied().any(is_symbol) {
            return Err(NameRefusal::Symbol);
        }
        if !folded.iter().any(|c| c.is_alphabetic()) {
            return Err(NameRefusal::NoLetter);
        }
        Ok(Self(text.into()))
    }

    /// The name a seal holds: it passed when it was sealed, and later rules must not unread it.
    pub(super) fn from_sealed(text: &str) -> Self {
        Self(text.into())
    }

    /// The name, to be escaped by whoever writes it somewhere.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(..)")
    }
}

/// The rules every text keeps; gives the text with its look-alikes folded.
fn screen(text: &str, limit: usize) -> Result<Vec<char>, NameRefusal> {
    if text.is_empty() {
        return Err(NameRefusal::Empty);
    }
    // a character is at most 4 bytes: a megabyte is refused without being walked through
    if text.len() > limit * 4 || text.chars().count() > limit {
        return Err(NameRefusal::TooLong);
    }
    // ASCII without a sign that every link and every at sign needs
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b".:@".contains(&byte)) {
        return Ok(text.chars().collect());
    }
    if text.chars().any(is_bidi) {
        return Err(NameRefusal::Bidi);
    }
    let mut before = ' ';
    for c in text.chars() {
        // Persian and Indic names need the joiners; beside ASCII they can only hide a link
        let joiner = matches!(c, '\u{200C}' | '\u{200D}') && !before.is_ascii();
        if is_control(c) && !joiner {
            return Err(NameRefusal::Control);
        }
        before = c;
    }
    let folded: Vec<char> = text.chars().map(fold).collect();
    if folded.contains(&'@') {
        return Err(NameRefusal::At);
    }
    if has_link(&folded) {
        return Err(NameRefusal::Link);
    }
    Ok(folded)
}

/// Full-width forms and the other full stops and at signs, as the ASCII they pass for.
fn fold(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(c) - 0xFF01 + u32::from('!')).unwrap_or(c)
        }
        '\u{3002}' | '\u{FF61}' | '\u{2024}' | '\u{FE52}' => '.',
        '\u{FE6B}' => '@',
        '\u{2044}' | '\u{2215}' => '/',
        other => other,
    }
}

/// Whether a mail program may make a link of it: a scheme, or `x.yz` with a letter after the dot.
fn has_link(folded: &[char]) -> bool {
    let domain_like = folded.windows(4).any(|four| {
        let (before, dot, after) = (four[0], four[1], &four[2..]);
        dot == '.'
            && (before.is_alphanumeric() || before == '-')
            && after[0].is_alphabetic()
            && (after[1].is_alphanumeric() || after[1] == '-')
    });
    let text: String = folded.iter().flat_map(|c| c.to_lowercase()).collect();
    let scheme = ["://", "http:", "https:", "mailto:", "tel:", "sms:", "javascript:", "www."];
    domain_like || scheme.iter().any(|scheme| text.contains(scheme))
}

fn has_digit_run(folded: &[char]) -> bool {
    let mut run = 0;
    folded.iter().any(|c| {
        if c.is_numeric() {
            run += 1;
        } else if c.is_alphabetic() {
            run = 0;
        }
        run >= DIGIT_RUN
    })
}

/// Symbols that stand in no name: markup, currency, pictures, letters from mathematics.
fn is_symbol(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_alphanumeric() && !" '`-.,&()".contains(c);
    }
    match c {
        '\u{A1}'..='\u{BF}' => !matches!(c, 'ª' | '´' | '·' | 'º'),
        '\u{2016}'..='\u{205E}' => !matches!(c, '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{2027}'),
        '×'
        | '÷'
        | '\u{FFFD}'
        | '\u{2070}'..='\u{2BFF}'
        | '\u{E000}'..='\u{F8FF}'
        | '\u{1D400}'..='\u{1D7FF}'
        | '\u{1F000}'..='\u{1FAFF}'
        | '\u{F0000}'..='\u{10FFFF}' => true,
        _ => false,
    }
}

/// The type of a merge field: `fields = { product = "text" }` in a campaign file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldType {
    /// A person's name, see [`Name`].
    Name,
    /// At most 200 characters on one line, without links, at signs and hidden characters.
    Text,
    /// A day, `2018-08-21`.
    Date,
    /// A decimal number with a point, `-1234.50`.
    Number,
}

/// Why a value fails its type. Never holds the value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FieldRefusal {
    /// A name or text that may not stand in a notice.
    #[error(transparent)]
    Text(#[from] NameRefusal),
    /// Not `YYYY-MM-DD`.
    #[error("not a date as YYYY-MM-DD")]
    Date,
    /// Not a decimal number.
    #[error("not a decimal number")]
    Number,
}

/// A merge field's value that passed its type.
#[derive(Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A name.
    Name(Name),
    /// One line of text.
    Text(String),
    /// A day.
    Date(Date),
    /// A decimal number, as it was written.
    Number(String),
}

impl FieldValue {
    /// Reads `text` as a value of type `kind`; an empty text fails every type.
    pub fn parse(kind: FieldType, text: &str) -> Result<Self, FieldRefusal> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NameRefusal::Empty.into());
        }
        Ok(match kind {
            FieldType::Name => Self::Name(Name::parse(text)?),
            FieldType::Text => {
                screen(text, TEXT_CHARS)?;
                Self::Text(text.into())
            }
            FieldType::Date => Self::Date(parse_date(text).ok_or(FieldRefusal::Date)?),
            FieldType::Number if is_number(text) => Self::Number(text.into()),
            FieldType::Number => return Err(FieldRefusal::Number),
        })
    }

    /// The value as the text that is sealed.
    pub fn into_text(self) -> String {
        match self {
            Self::Name(name) => name.0,
            Self::Text(text) | Self::Number(text) => text,
            Self::Date(date) => date.to_string(),
        }
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name(_) => "FieldValue::Name(..)",
            Self::Text(_) => "FieldValue::Text(..)",
            Self::Date(_) => "FieldValue::Date(..)",
            Self::Number(_) => "FieldValue::Number(..)",
        })
    }
}

/// A day written exactly `YYYY-MM-DD`; a date with a time behind it is none.
pub fn parse_date(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|date| date.to_string() == text)
}

fn is_number(text: &str) -> bool {
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, part)) => digits(whole, NUMBER_DIGITS.0) && digits(part, NUMBER_DIGITS.1),
        None => digits(unsigned, NUMBER_DIGITS.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_have_pass() {
        let names = [
            "Luís Gonçalves",
            "François",
            "François Tremblay",
            "Frantisek Wichterlová",
            "Bjørn Hansen",
            "Stanisław Wójcik",
            "João Fernandes",
            "O'Brien",
            "O’Brien",
            "J. R. Smith",
            "J.R. Smith",
            "Mark Philips Jr.",
            "Jean-Luc Picard",
            "Anne‑Marie",
            "Dr. Ada Lovelace, Ph.D.",
            "Ñusta",
            "Αλέξανδρος",
            "Дмитрий Менделеев",
            "王小明",
            "山田 太郎",
            "ジャン・リュック",
            "김민수",
            "محمد علی",
            "علی\u{200C}رضا",
            "कृष्ण",
            "X Æ A-12",
            "Louis 14",
            "Mª José",
            "Tom & Mary",
            "Josep Gal·la",
            "e\u{301}lodie",
            "Nguyễn Văn An",
            "d'Arc",
            "ʻAkahi",
            "Li",
            "Robert (Bob) Moss",
            "Musikverein e.V.",
        ];
        for name in names {
            assert_eq!(Name::parse(name).map(|n| n.0), Ok(name.to_owned()), "{name}");
        }
        let longest = "ž".repeat(60);
        assert!(Name::parse(&longest).is_ok());
        assert_eq!(Name::parse("  Ada ").map(|n| n.0), Ok("Ada".into()));
    }

    #[test]
    fn names_that_carry_something_else_are_refused_with_the_reason() {
        use NameRefusal::{At, Bidi, Control, Digits, Empty, Link, NoLetter, Symbol, TooLong};
        let too_long = "ž".repeat(61);
        let cases = [
            ("", Empty),
            (" \u{A0} ", Empty),
            (too_long.as_str(), TooLong),
            ("http://evil", Link),
            ("HTTPS:evil", Link),
            ("evil.com", Link),
            ("Evil.Com now", Link),
            ("Ada, see evil.co", Link),
            ("x.yz", Link),
            ("www.e", Link),
            ("evil。com", Link),
            ("ｅｖｉｌ．ｃｏｍ", Link),
            ("evil\u{2024}com", Link),
            ("例え.テスト", Link),
            ("my-shop-.xn--p1ai", Link),
            ("mailto:ada", Link),
            ("ada@example", At),
            ("ada＠example", At),
            ("ada\u{FE6B}example", At),
            ("Call 0800 now", Digits),
            ("08 00 12", Digits),
            ("1-2-3 Ada", Digits),
            ("Ada ٣٤٥", Digits),
            ("(12) 3", Digits),
            ("Ada 1234", Digits),
            ("Ada\r\nBcc", Control),
            ("Ada\0", Control),
            ("A\u{200B}da", Control),
            ("evil.\u{200D}com", Control),
            ("Ada\u{85}x", Control),
            ("A\u{AD}da", Control),
            ("Ada\u{202E}nimda", Bidi),
            ("\u{200F}Ada", Bidi),
            ("\u{2066}Ada\u{2069}", Bidi),
            ("<b>Ada</b>", Symbol),
            ("{{name}}", Symbol),
            ("Ada!", Symbol),
            ("$Ada", Symbol),
            ("Ada 🎁", Symbol),
            ("FranÃ§ois", Symbol),
            ("Ada\u{FFFD}", Symbol),
            ("𝐀da", Symbol),
            ("a/b", Symbol),
            ("ada\\x", Symbol),
            ("=cmd", Symbol),
            ("[Ada](x)", Symbol),
            ("--", NoLetter),
            ("12", NoLetter),
        ];
        for (name, reason) in cases {
            assert_eq!(Name::parse(name), Err(reason), "{name:?}");
        }
    }

    #[test]
    fn a_name_never_shows_in_debug_output() {
        let name = Name::parse("Ada").unwrap();
        assert!(!format!("{name:?} {:?}", FieldValue::Name(name.clone())).contains("Ada"));
    }

    #[test]
    fn values_pass_or_fail_their_type() {
        let read = |kind, text| FieldValue::parse(kind, text).map(FieldValue::into_text);
        for text in ["Coldplay, 2 × balcony: 12.50 €", "Order 4711/2025", "GmbH & Co. KG"] {
            assert_eq!(read(FieldType::Text, text), Ok(text.to_owned()));
        }
        for (text, why) in [
            ("see evil.com", NameRefusal::Link),
            ("a\nb", NameRefusal::Control),
            ("a@b", NameRefusal::At),
            (" ", NameRefusal::Empty),
        ] {
            assert_eq!(read(FieldType::Text, text), Err(FieldRefusal::Text(why)));
        }
        let long = "a".repeat(201);
        assert_eq!(read(FieldType::Text, &long), Err(NameRefusal::TooLong.into()));
        assert_eq!(read(FieldType::Date, "2018-08-21"), Ok("2018-08-21".into()));
        for text in ["2018-02-30", "21.08.2018", "2018-08-21T10:00", "20180821"] {
            assert_eq!(read(FieldType::Date, text), Err(FieldRefusal::Date), "{text}");
        }
        for text in ["0", "-12", "1234.50"] {
            assert_eq!(read(FieldType::Number, text), Ok(text.to_owned()));
        }
        for text in ["1e5", "1,5", ".5", "5.", "+1", "--1", "1234567890123456", "١"] {
            assert_eq!(read(FieldType::Number, text), Err(FieldRefusal::Number), "{text}");
        }
        assert_eq!(read(FieldType::Name, "x.yz"), Err(NameRefusal::Link.into()));
    }
}
