//! A value of an answer, whatever engine it came from.

use jiff::Timestamp;
use zeroize::Zeroizing;

/// A value as its engine typed it.
#[derive(Debug, PartialEq, Eq)]
pub enum Cell {
    /// Null, or no such column.
    Null,
    /// A whole number.
    Integer(i64),
    /// Text in UTF-8; may be a stored value.
    Text(Zeroizing<String>),
    /// An instant, where the engine's type is one.
    Instant(Timestamp),
    /// Anything else.
    Other,
}

impl Cell {
    /// Bytes that are text, if they are.
    pub fn text(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(Zeroizing::new(text.to_owned())),
            Err(_) => Self::Other,
        }
    }
}

/// A row of an answer: the columns that were asked for, in their order.
pub type Record = Vec<Cell>;
