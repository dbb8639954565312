//! A value of an answer, whatever engine it came from.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Visitor};
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

/// A value that came in JSON; what is neither text, a whole number nor null is something else.
impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InJson)
    }
}

struct InJson;

impl Visitor<'_> for InJson {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Cell, E> {
        Ok(Cell::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Cell, E> {
        Ok(i64::try_from(number).map_or(Cell::Other, Cell::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Cell, E> {
        Ok(Cell::Other)
    }
}

/// A row of an answer: the columns that were asked for, in their order.
pub type Record = Vec<Cell>;
