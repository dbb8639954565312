//! The facts of an incident as the operator keeps them: `incidents/<slug>/incident.toml`.
//!
//! Owns [`Incident`], its rules and its canonical form. Knows no template, campaign or file system:
//! it is given a text and the name it was read from.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::credential::CredentialKind;
use super::recipient::parse_locale;
use super::zoned::ZonedInstant;

mod locale;
mod phrase;

pub use locale::{LocaleTexts, OfferText, Texts};
pub use phrase::{OneLine, Paragraphs, SiteUrl};

/// Why an incident file is refused. Every variant names the file and, where one exists, the place.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// The folder names the incident, and there is none or its name can't be one.
    #[error(
        "{file}: `{slug}` can't name an incident; hint: keep the file as `incidents/<slug>/incident.toml`, the slug in a-z, 0-9 and hyphens"
    )]
    Slug {
        /// The file as it was given.
        file: String,
        /// The folder's name, empty without a folder.
        slug: String,
    },
    /// Not TOML, an unknown or missing key, or a value of the wrong form.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// The file as it was given.
        file: String,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// toml's own error, with the line quoted.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Values that are well formed and can't be true together.
    #[error("{file}:{line}:{column}: `{key}` {message}")]
    Rule {
        /// The file as it was given.
        file: String,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// The key to change.
        key: &'static str,
        /// What is wrong.
        message: &'static str,
    },
    /// Texts of one language that do not match those of the file's own.
    #[error("{file}:{line}:{column}: `locale.{locale}{key}` {message}")]
    Locale {
        /// The file as it was given.
        file: String,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// The language.
        locale: String,
        /// The key to change, with a dot before it; empty for the table itself.
        key: &'static str,
        /// What is wrong.
        message: String,
    },
}

/// When strangers could reach the data; both ends in the incident's own zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The first instant.
    pub from: ZonedInstant,
    /// The first instant after it.
    pub until: ZonedInstant,
}

/// Who speaks, and how people reach them by ways they can check themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    /// The name customers know.
    pub name: OneLine,
    /// The site customers know.
    pub site: SiteUrl,
    /// The page that publishes this notice, on the brand's own site.
    pub notice_url: Option<SiteUrl>,
    /// The page that takes a new password, on the brand's own site: personal links lead there.
    pub reset_url: Option<SiteUrl>,
    /// A mailbox people answer.
    pub support_email: Option<OneLine>,
    /// A help page, on the brand's own site.
    pub support_url: Option<SiteUrl>,
    /// A telephone number, written as people dial it.
    pub phone: Option<OneLine>,
    /// When the telephone is answered, with the zone.
    pub hours: Option<OneLine>,
    /// A postal address on one line.
    pub postal: Option<OneLine>,
    /// What the site calls the button or link that leads to a new password; the template's own words
    /// where absent.
    pub new_password_label: Option<OneLine>,
}

/// What strangers could take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposed {
    /// Phrases that complete "your …": `name`, `email address`.
    #[serde(default)]
    pub data: Vec<OneLine>,
    /// The kinds that must be made worthless; may be empty.
    #[serde(default)]
    pub credentials: Vec<CredentialKind>,
}

/// What the company gives to the people concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// A whole sentence.
    pub text: OneLine,
    /// The last instant to take it up.
    pub enrol_by: ZonedInstant,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "locale::english")]
    language: Spanned<String>,
    title: OneLine,
    summary: Paragraphs,
    vendor: Option<OneLine>,
    discovered_at: Spanned<ZonedInstant>,
    window: Spanned<Window>,
    brand: Spanned<Brand>,
    exposed: Spanned<Exposed>,
    #[serde(default)]
    not_exposed: Vec<OneLine>,
    #[serde(default)]
    actions_taken: Vec<OneLine>,
    #[serde(default)]
    advice: Vec<OneLine>,
    offer: Option<Offer>,
    #[serde(default, rename = "locale")]
    locales: BTreeMap<String, Spanned<LocaleTexts>>,
}

/// One incident, its facts checked against each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incident {
    slug: String,
    language: String,
    title: OneLine,
    summary: Paragraphs,
    vendor: Option<OneLine>,
    discovered_at: ZonedInstant,
    window: Window,
    brand: Brand,
    exposed: Exposed,
    not_exposed: Vec<OneLine>,
    actions_taken: Vec<OneLine>,
    advice: Vec<OneLine>,
    offer: Option<Offer>,
    locales: BTreeMap<String, LocaleTexts>,
}

impl Incident {
    /// Reads an incident; its slug is the folder `file` lies in.
    pub fn parse(text: &str, file: &str) -> Result<Self, IncidentError> {
        let slug = slug_of(file)?;
        let parsed: File = toml::from_str(text).map_err(|source| {
            let (line, column) = position(text, source.span().unwrap_or_default().start);
            let message = source.message().to_owned();
            IncidentError::Syntax {
                file: file.to_owned(),
                line,
                column,
                message,
                source: Box::new(source),
            }
        })?;
        if let Err((span, key, message)) = check(&parsed) {
            let (line, column) = position(text, span.start);
            return Err(IncidentError::Rule { file: file.to_owned(), line, column, key, message });
        }
        if let Err((span, locale, key, message)) = locale::check(&parsed) {
            let (line, column) = position(text, span.start);
            let (file, locale) = (file.to_owned(), locale.to_owned());
            return Err(IncidentError::Locale { file, line, column, locale, key, message });
        }
        Ok(Self {
            slug,
            language: parsed.language.into_inner(),
            title: parsed.title,
            summary: parsed.summary,
            vendor: parsed.vendor,
            discovered_at: parsed.discovered_at.into_inner(),
            window: parsed.window.into_inner(),
            brand: parsed.brand.into_inner(),
            exposed: parsed.exposed.into_inner(),
            not_exposed: parsed.not_exposed,
            actions_taken: parsed.actions_taken,
            advice: parsed.advice,
            offer: parsed.offer,
            locales: parsed
                .locales
                .into_iter()
                .map(|(locale, texts)| (locale, texts.into_inner()))
                .collect(),
        })
    }

    /// The facts as one line of JSON with sorted keys: comments, order and layout of the file do
    /// not change it, so approvals that stand on it survive a re-indented file.
    pub fn canonical_json(&self) -> Result<String, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        value.sort_all_objects();
        serde_json::to_string(&value)
    }

    /// The folder's name: `a-z`, `0-9` and hyphens.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// The incident in a few words; never says more than the summary.
    pub fn title(&self) -> &str {
        self.title.as_str()
    }

    /// What happened.
    pub fn summary(&self) -> &Paragraphs {
        &self.summary
    }

    /// The company through which it happened, where it was another one.
    pub fn vendor(&self) -> Option<&OneLine> {
        self.vendor.as_ref()
    }

    /// When the company learnt of it.
    pub fn discovered_at(&self) -> &ZonedInstant {
        &self.discovered_at
    }

    /// When strangers could reach the data.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Who speaks.
    pub fn brand(&self) -> &Brand {
        &self.brand
    }

    /// What strangers could take.
    pub fn exposed(&self) -> &Exposed {
        &self.exposed
    }

    /// Phrases that complete "not your …".
    pub fn not_exposed(&self) -> &[OneLine] {
        &self.not_exposed
    }

    /// What the company did, whole sentences.
    pub fn actions_taken(&self) -> &[OneLine] {
        &self.actions_taken
    }

    /// What people can do besides, whole sentences.
    pub fn advice(&self) -> &[OneLine] {
        &self.advice
    }

    /// What the company gives.
    pub fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }
}

type Broken = (Range<usize>, &'static str, &'static str);

fn check(file: &File) -> Result<(), Broken> {
    let window = file.window.get_ref();
    if window.from >= window.until {
        return Err((file.window.span(), "window.until", "must be later than `window.from`"));
    }
    if *file.discovered_at.get_ref() < window.from {
        return Err((file.discovered_at.span(), "discovered_at", "lies before `window.from`"));
    }
    if parse_locale(file.language.get_ref()).as_ref() != Some(file.language.get_ref()) {
        return Err((
            file.language.span(),
            "language",
            "is no language tag; write it as `en` or `pt-BR`",
        ));
    }
    let exposed = file.exposed.get_ref();
    if exposed.data.is_empty() && exposed.credentials.is_empty() {
        return Err((
            file.exposed.span(),
            "exposed.data",
            "is empty and so is `exposed.credentials`: nothing to tell",
        ));
    }
    if exposed
        .credentials
        .iter()
        .enumerate()
        .any(|(at, kind)| exposed.credentials[..at].contains(kind))
    {
        return Err((file.exposed.span(), "exposed.credentials", "names a kind twice"));
    }
    check_brand(file.brand.get_ref()).map_err(|(key, message)| (file.brand.span(), key, message))
}

fn check_brand(brand: &Brand) -> Result<(), (&'static str, &'static str)> {
    const FOREIGN: &str = "must lie on the host of `brand.site` or below it: a notice that names another domain looks like the fraud it warns of";
    let foreign = |url: &Option<SiteUrl>| url.as_ref().is_some_and(|url| !brand.site.owns(url));
    if foreign(&brand.support_url) {
        return Err(("brand.support_url", FOREIGN));
    }
    if foreign(&brand.notice_url) {
        return Err(("brand.notice_url", FOREIGN));
    }
    if foreign(&brand.reset_url) {
        return Err(("brand.reset_url", FOREIGN));
    }
    let is_mailbox = |text: &str| {
        text.split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
            && !text.contains(|c: char| c.is_whitespace() || "<>,;\"".contains(c))
    };
    if brand.support_email.as_ref().is_some_and(|email| !is_mailbox(email.as_str())) {
        return Err(("brand.support_email", "is no email address"));
    }
    if brand.hours.is_some() && brand.phone.is_none() {
        return Err(("brand.hours", "has no `brand.phone` beside it"));
    }
    if brand.support_email.is_none()
        && brand.support_url.is_none()
        && brand.phone.is_none()
        && brand.postal.is_none()
    {
        return Err((
            "brand.support_email",
            "is missing, and so are `support_url`, `phone` and `postal`: give people one way to reach you",
        ));
    }
    Ok(())
}

fn slug_of(file: &str) -> Result<String, IncidentError> {
    let folder = Path::new(file).parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let slug = folder.unwrap_or_default();
    let fits = !slug.is_empty()
        && slug.len() <= 64
        && !slug.starts_with('-')
        && !slug.ends_with('-')
        && slug.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !fits {
        return Err(IncidentError::Slug { file: file.to_owned(), slug: slug.to_owned() });
    }
    Ok(slug.to_owned())
}

/// Line and column, both from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
