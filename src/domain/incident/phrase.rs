//! The texts an incident is made of: safe to print in a notice once they have been read.
//!
//! Knows single values only; rules between them are the incident's.

use serde::{Deserialize, Serialize};
use url::Url;

/// A phrase for one line of a notice: not empty, at most 500 characters, no control or
/// direction-changing characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct OneLine(String);

impl OneLine {
    /// The phrase.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OneLine {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty; write a phrase or leave the key out");
        }
        if text.chars().count() > 500 {
            return Err("is longer than 500 characters; this is one line of a notice");
        }
        if text.chars().any(is_unprintable) {
            return Err(
                "holds a line break, control or direction-changing character; write one plain line",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

/// Plain text of one or more paragraphs, parted by blank lines in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Paragraphs(Vec<String>);

impl Paragraphs {
    /// One line a paragraph.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<String> for Paragraphs {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut paragraphs = vec![String::new()];
        for line in text.lines().map(str::trim) {
            let last = paragraphs.len() - 1;
            match (line.is_empty(), paragraphs[last].is_empty()) {
                (true, true) => {}
                (true, false) => paragraphs.push(String::new()),
                (false, true) => paragraphs[last].push_str(line),
                (false, false) => paragraphs[last].extend([" ", line]),
            }
        }
        paragraphs.retain(|paragraph| !paragraph.is_empty());
        if paragraphs.is_empty() {
            return Err("is empty; say in plain words what happened");
        }
        if paragraphs.iter().flat_map(|paragraph| paragraph.chars()).any(is_unprintable) {
            return Err("holds a control or direction-changing character; write plain text");
        }
        Ok(Self(paragraphs))
    }
}

/// C0, C1, and what turns the reading direction or hides between letters.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// An address on the web that people can type: `https`, a named host, nothing hidden behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteUrl(Url);

impl SiteUrl {
    /// The whole address, with its scheme.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address as people type it: host and path, no scheme, no closing slash.
    pub fn typed(&self) -> String {
        format!("{}{}", self.host(), self.0.path().trim_end_matches('/'))
    }

    fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether `other` lies on this site's host or below it (`www.` does not count as a level).
    pub(super) fn owns(&self, other: &Self) -> bool {
        let base = self.host().trim_start_matches("www.");
        other.host().strip_suffix(base).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl TryFrom<String> for SiteUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let url = Url::parse(text.trim())
            .map_err(|_| "is no web address; write it as `https://www.example.com`")?;
        if url.scheme() != "https" {
            return Err("must begin with https://");
        }
        if url.domain().is_none_or(|host| !host.contains('.')) {
            return Err("must name a host such as `www.example.com`");
        }
        if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
            return Err("must have no user, password or port: people are asked to type it");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must have no `?` or `#` part: people are asked to type it");
        }
        Ok(Self(url))
    }
}

impl From<SiteUrl> for String {
    fn from(site: SiteUrl) -> Self {
        site.0.into()
    }
}
