//! The languages whose dates, numbers, lists and lengths are written here as people write them.
//!
//! Small tables instead of ICU: five languages need 60 month names and a dozen rules that a reader can
//! check, where ICU would add some 20 crates and megabytes of data. A notice may be in any other
//! language; its templates then pass their own words, and dates are numbers only.

/// How a locale's words are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    French,
    German,
    Spanish,
    Portuguese,
    /// None of the above: numbers only, and words from the template.
    Other,
}

/// A space that ends no line.
pub(super) const NO_BREAK: char = '\u{a0}';
/// The same, narrow: between thousands in French.
pub(super) const NARROW_NO_BREAK: char = '\u{202f}';

impl Language {
    /// The language of a BCP 47 tag.
    pub(super) fn of(locale: &str) -> Self {
        match locale.split(['-', '_']).next().unwrap_or_default() {
            "en" => Self::English,
            "fr" => Self::French,
            "de" => Self::German,
            "es" => Self::Spanish,
            "pt" => Self::Portuguese,
            _ => Self::Other,
        }
    }

    /// The name of a month (1 to 12), as it stands inside a date.
    pub(super) fn month(self, number: i8) -> Option<&'static str> {
        let names = match self {
            Self::English => {
                "January February March April May June July August September October November December"
            }
            Self::French => {
                "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
            }
            Self::German => {
                "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
            }
            Self::Spanish => {
                "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre \
                 diciembre"
            }
            Self::Portuguese => {
                "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro \
                 dezembro"
            }
            Self::Other => return None,
        };
        names.split(' ').nth(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The last word of a list.
    pub(super) fn and(self) -> Option<&'static str> {
        Some(match self {
            Self::English => "and",
            Self::French => "et",
            Self::German => "und",
            Self::Spanish => "y",
            Self::Portuguese => "e",
            Self::Other => return None,
        })
    }

    /// One and many of minute, hour and day. German ones are in the accusative: "gilt 3 Tage lang".
    pub(super) fn lengths(self) -> Option<[&'static str; 6]> {
        Some(match self {
            Self::English => ["minute", "minutes", "hour", "hours", "day", "days"],
            Self::French => ["minute", "minutes", "heure", "heures", "jour", "jours"],
            Self::German => ["Minute", "Minuten", "Stunde", "Stunden", "Tag", "Tage"],
            Self::Spanish => ["minuto", "minutos", "hora", "horas", "día", "días"],
            Self::Portuguese => ["minuto", "minutos", "hora", "horas", "dia", "dias"],
            Self::Other => return None,
        })
    }

    /// The mark between thousands, and from how many digits on it is written (Unicode CLDR: Spanish
    /// leaves four digits together).
    pub(super) fn thousands(self) -> (char, usize) {
        match self {
            Self::English => (',', 4),
            Self::French | Self::Other => (NARROW_NO_BREAK, 4),
            Self::German | Self::Portuguese => ('.', 4),
            Self::Spanish => ('.', 5),
        }
    }

    /// The mark before the fraction.
    pub(super) fn decimal(self) -> char {
        if self == Self::English { '.' } else { ',' }
    }

    /// Whether `number` of something is told in the singular (CLDR plural rules of whole numbers).
    pub(super) fn is_one(self, number: u64) -> bool {
        match self {
            Self::French | Self::Portuguese => number < 2,
            _ => number == 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_by_its_language() {
        for (tag, language) in [
            ("en", Language::English),
            ("en-GB", Language::English),
            ("fr-CA", Language::French),
            ("de_AT", Language::German),
            ("es-419", Language::Spanish),
            ("pt-BR", Language::Portuguese),
            ("fi", Language::Other),
            ("frr", Language::Other),
            ("", Language::Other),
        ] {
            assert_eq!(Language::of(tag), language, "{tag}");
        }
    }

    #[test]
    fn french_and_portuguese_count_nothing_as_one() {
        let ones = |language: Language| (0..4).filter(|n| language.is_one(*n)).collect::<Vec<_>>();
        assert_eq!(ones(Language::English), [1]);
        assert_eq!(ones(Language::German), [1]);
        assert_eq!(ones(Language::Spanish), [1]);
        assert_eq!(ones(Language::French), [0, 1]);
        assert_eq!(ones(Language::Portuguese), [0, 1]);
    }
}
