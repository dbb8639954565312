//! Colours of pages, and whether people can read them (WCAG 2.2, 1.4.3 and 1.4.11).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The least contrast of text (WCAG 2.2, 1.4.3, level AA).
pub const TEXT_CONTRAST: f64 = 4.5;

/// A colour of the screen, written `#0b57a4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour([u8; 3]);

/// The text is no colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no colour; write it as `#0b57a4`")]
pub struct ColourError;

impl Colour {
    /// White.
    pub const WHITE: Self = Self([0xff, 0xff, 0xff]);
    /// What stands for black on pages.
    pub const INK: Self = Self([0x14, 0x17, 0x1b]);

    /// How bright it is, from 0 to 1 (WCAG 2.2, relative luminance).
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast of two colours, from 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// The colour of text upon it: white or ink, whichever is read better.
    #[must_use]
    pub fn text_upon(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::INK) { Self::WHITE } else { Self::INK }
    }

    /// The same hue, moved towards white or ink by as little as it takes to be read on `paper`.
    #[must_use]
    pub fn readable_on(self, paper: Self) -> Self {
        let towards = paper.text_upon();
        let step = |share: u16| {
            let mix = |from: u8, to: u8| {
                let mixed = (u16::from(from) * (20 - share) + u16::from(to) * share) / 20;
                u8::try_from(mixed).unwrap_or(u8::MAX)
            };
            let [red, green, blue] = self.0;
            let [to_red, to_green, to_blue] = towards.0;
            Self([mix(red, to_red), mix(green, to_green), mix(blue, to_blue)])
        };
        (0..=20).map(step).find(|colour| colour.contrast(paper) >= TEXT_CONTRAST).unwrap_or(towards)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Colour {
    type Err = ColourError;

    fn from_str(text: &str) -> Result<Self, ColourError> {
        let digits = text.trim().strip_prefix('#').ok_or(ColourError)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ColourError);
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| ColourError);
        Ok(Self([part(0)?, part(2)?, part(4)?]))
    }
}

impl TryFrom<String> for Colour {
    type Error = ColourError;

    fn try_from(text: String) -> Result<Self, ColourError> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(text: &str) -> Colour {
        text.parse().unwrap()
    }

    #[test]
    fn contrast_is_as_the_guidelines_count_it() {
        assert!((Colour::WHITE.contrast(colour("#000000")) - 21.0).abs() < 0.001);
        assert!((colour("#777777").contrast(Colour::WHITE) - 4.478).abs() < 0.001);
        assert!((colour("#0b57a4").contrast(Colour::WHITE) - 7.208).abs() < 0.001);
        assert_eq!(colour("#ffcc00").text_upon(), Colour::INK);
        assert_eq!(colour("#0b57a4").text_upon(), Colour::WHITE);
        for bad in ["", "0b57a4", "#0b57a", "#0b57a4ff", "#0b57ag", "red", "#éééé"] {
            assert_eq!(bad.parse::<Colour>(), Err(ColourError), "{bad}");
        }
    }

    #[test]
    fn any_colour_becomes_one_that_is_read_on_light_and_on_dark_paper() {
        for text in ["#ffcc00", "#0b57a4", "#000000", "#ffffff", "#ff00ff", "#777777"] {
            for paper in [Colour::WHITE, Colour::INK] {
                let shown = colour(text).readable_on(paper);
                assert!(shown.contrast(paper) >= TEXT_CONTRAST, "{text} on {paper}: {shown}");
            }
        }
        assert_eq!(
            colour("#0b57a4").readable_on(Colour::WHITE),
            colour("#0b57a4"),
            "left as it is"
        );
    }
}
