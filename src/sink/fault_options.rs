//! What may stand behind the fault in a rule's text: share, times, patterns and the reply text.

use super::fault_error::{FaultTextError, shown};
use super::fault_text::part;
use super::pattern::Pattern;

/// The options of one rule.
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) share: Option<f64>,
    pub(super) times: Option<u32>,
    pub(super) to: Option<Pattern>,
    pub(super) from: Option<Pattern>,
    pub(super) text: Option<Text<'a>>,
}

/// A reply text and how it is to be sent.
pub(super) enum Text<'a> {
    /// With the enhanced code that suits, if it has none.
    Usual(&'a str),
    /// As it stands.
    Raw(&'a str),
}

impl<'a> Options<'a> {
    /// Reads what stands behind the fault, if anything.
    pub(super) fn read(mut rest: Option<&'a str>) -> Result<Self, FaultTextError> {
        let mut options = Self::default();
        while let Some(text) = rest {
            if let Some(reply) = text.strip_prefix("text=") {
                options.text = Some(Text::Usual(reply));
                return Ok(options);
            }
            if let Some(reply) = text.strip_prefix("raw=") {
                options.text = Some(Text::Raw(reply));
                return Ok(options);
            }
            let (one, after) = part(text);
            rest = after;
            options.take(one)?;
        }
        Ok(options)
    }

    fn take(&mut self, one: &str) -> Result<(), FaultTextError> {
        match one.split_once('=') {
            Some(("share", value)) => set(&mut self.share, "share", share(value)?),
            Some(("times", value)) => set(&mut self.times, "times=", times(value)?),
            Some(("to", value)) => set(&mut self.to, "to=", pattern(value)?),
            Some(("from", value)) => set(&mut self.from, "from=", pattern(value)?),
            None if one.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-') => {
                set(&mut self.share, "share", share(one)?)
            }
            _ => Err(FaultTextError::Option { found: shown(one) }),
        }
    }
}

fn set<T>(slot: &mut Option<T>, option: &'static str, value: T) -> Result<(), FaultTextError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(FaultTextError::Twice { option }),
    }
}

/// A number from 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, FaultTextError> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| FaultTextError::Share { found: shown(text) })
}

fn times(text: &str) -> Result<u32, FaultTextError> {
    text.parse()
        .ok()
        .filter(|times| *times > 0)
        .ok_or_else(|| FaultTextError::Times { found: shown(text) })
}

/// An address pattern without spaces.
pub(super) fn pattern(text: &str) -> Result<Pattern, FaultTextError> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(FaultTextError::Pattern { hint: "write it without spaces: to=*@example.org" });
    }
    Ok(Pattern::new(text))
}
