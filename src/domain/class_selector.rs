//! Which deliveries are meant: a class, or a class with its reason, as campaign files name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The class words, in the order of a person's road.
const CLASSES: [&str; 8] =
    ["queued", "deferred", "in-doubt", "held", "fallback", "told", "withdrawn", "waived"];

/// `told` means every delivery of that class, `fallback/bounced` those with that reason only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClassSelector {
    class: String,
    reason: Option<String>,
}

/// A text that names no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no class; hint: one of queued, deferred, in-doubt, held, fallback, told, withdrawn, \
     waived, or one with its reason such as `fallback/bounced`"
)]
pub struct NoClass(String);

impl ClassSelector {
    /// The class word.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The reason word; none where every reason is meant.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Whether a delivery of this class and reason is meant.
    pub fn takes(&self, class: &str, reason: &str) -> bool {
        self.class == class && self.reason.as_deref().is_none_or(|wanted| wanted == reason)
    }
}

impl FromStr for ClassSelector {
    type Err = NoClass;

    fn from_str(text: &str) -> Result<Self, NoClass> {
        let (word, reason) = match text.split_once('/') {
            Some((word, reason)) => (word, Some(reason.to_owned())),
            None => (text, None),
        };
        if CLASSES.contains(&word) && reason.as_deref() != Some("") {
            Ok(Self { class: word.into(), reason })
        } else {
            Err(NoClass(text.into()))
        }
    }
}

impl TryFrom<String> for ClassSelector {
    type Error = NoClass;

    fn try_from(text: String) -> Result<Self, NoClass> {
        text.parse()
    }
}

impl From<ClassSelector> for String {
    fn from(selector: ClassSelector) -> Self {
        selector.to_string()
    }
}

impl fmt::Display for ClassSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{}/{reason}", self.class),
            None => f.write_str(&self.class),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_means_every_reason_and_a_reason_itself_only() {
        let told: ClassSelector = "told".parse().unwrap();
        assert!(told.takes("told", "carrier") && !told.takes("queued", ""));
        let missing: ClassSelector = "fallback/address:missing".parse().unwrap();
        assert!(missing.takes("fallback", "address:missing"));
        assert!(!missing.takes("fallback", "bounced"));
        assert_eq!(missing.to_string(), "fallback/address:missing");
    }

    #[test]
    fn a_word_that_is_no_class_is_refused_with_the_words_there_are() {
        for bad in ["tol", "", "told/", "/bounced", "Told", "in doubt"] {
            let error = bad.parse::<ClassSelector>().unwrap_err().to_string();
            assert!(error.contains("is no class; hint: one of queued"), "{error}");
        }
    }
}
