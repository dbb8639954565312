//! The facts of an incident as the operator keeps them: `incidents/<slug>/incident.toml`.
//!
//! Owns [`Incident`], its rules and its canonical form. Knows no template, campaign or file system:
//! it is given a text and the name it was read from.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::colour::Colour;
use super::credential::CredentialKind;
use super::problem::ProblemList;
use super::recipient::parse_locale;
use super::toml_file::Problems;
use super::zoned::ZonedInstant;

mod locale;
mod phrase;

pub use locale::{LocaleTexts, OfferText, Texts};
pub use phrase::{OneLine, Paragraphs, SiteUrl};

/// What helps where a problem has no hint of its own.
const HINT: &str = "`forthwith incident new SLUG` writes an example of every key";

/// A file that reads without a fault: what a key looks like that is missing elsewhere.
const EXAMPLE: &str = include_str!("../../templates/scaffold/incident.toml");

/// Why an incident file is refused.
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
    /// No TOML, unknown or missing keys, values of the wrong form, or such as can't be true together:
    /// all of them.
    #[error(transparent)]
    Problems(#[from] ProblemList),
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
    /// The brand's colour on the portal's pages, for links and buttons; ours where absent. It is made readable
    /// where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent: Option<Colour>,
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
    language: String,
    title: OneLine,
    summary: Paragraphs,
    vendor: Option<OneLine>,
    discovered_at: ZonedInstant,
    window: Window,
    brand: Brand,
    exposed: Exposed,
    #[serde(default)]
    not_exposed: Vec<OneLine>,
    #[serde(default)]
    actions_taken: Vec<OneLine>,
    #[serde(default)]
    advice: Vec<OneLine>,
    offer: Option<Offer>,
    #[serde(default, rename = "locale")]
    locales: BTreeMap<String, LocaleTexts>,
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
        let (parsed, problems) = Self::read(text, file);
        let parsed = problems.finish(parsed)?;
        Ok(Self { slug, ..parsed })
    }

    /// Reads as much as can be read, with all that is wrong. An incident that comes with problems holds
    /// the example's facts where the file's could not be read: good for checks, never for a notice.
    pub fn read<'t>(text: &'t str, file: &str) -> (Option<Self>, Problems<'t>) {
        let mut problems = Problems::of(file, text, HINT);
        let Some(parsed) = problems.read::<File>(EXAMPLE) else { return (None, problems) };
        parsed.check(&mut problems);
        let slug = slug_of(file).unwrap_or_default();
        let incident = Self {
            slug,
            language: parsed.language,
            title: parsed.title,
            summary: parsed.summary,
            vendor: parsed.vendor,
            discovered_at: parsed.discovered_at,
            window: parsed.window,
            brand: parsed.brand,
            exposed: parsed.exposed,
            not_exposed: parsed.not_exposed,
            actions_taken: parsed.actions_taken,
            advice: parsed.advice,
            offer: parsed.offer,
            locales: parsed.locales,
        };
        (Some(incident), problems)
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

impl File {
    /// What is well formed and can't be true together.
    fn check(&self, problems: &mut Problems<'_>) {
        let Window { from, until } = &self.window;
        if from >= until {
            problems.at_all(
                &["window.until", "window.from"],
                "`window.until` must be later than `window.from`; hint: `from` is the first instant \
                 strangers could reach the data, `until` the instant the way was closed",
            );
        }
        if self.discovered_at < *from {
            problems.at_all(
                &["discovered_at", "window.from"],
                "`discovered_at` lies before `window.from`; hint: nobody discovers what has not begun, \
                 look which of the two is wrong",
            );
        }
        if self.offer.as_ref().is_some_and(|offer| offer.enrol_by <= self.discovered_at) {
            problems.at_all(
                &["offer.enrol_by", "discovered_at"],
                "`offer.enrol_by` lies before `discovered_at`: nobody could take the offer up; \
                 hint: the last instant to take it up",
            );
        }
        if !is_tag(&self.language) {
            problems
                .at("language", "`language` is no language tag; hint: write it as `en` or `pt-BR`");
        }
        self.exposed.check(problems);
        self.brand.check(problems);
        locale::check(self, problems);
    }
}

impl Exposed {
    fn check(&self, problems: &mut Problems<'_>) {
        if self.data.is_empty() && self.credentials.is_empty() {
            problems.at_all(
                &["exposed.data", "exposed.credentials"],
                "`exposed.data` is empty and so is `exposed.credentials`: nothing to tell; \
                 hint: data = [\"email address\"]",
            );
        }
        for (at, kind) in self.credentials.iter().enumerate() {
            if self.credentials[..at].contains(kind) {
                problems.at(
                    &format!("exposed.credentials.{at}"),
                    format!("`exposed.credentials` names {kind} twice; hint: keep one"),
                );
            }
        }
    }
}

impl Brand {
    fn check(&self, problems: &mut Problems<'_>) {
        for (key, url) in [
            ("support_url", &self.support_url),
            ("notice_url", &self.notice_url),
            ("reset_url", &self.reset_url),
        ] {
            if url.as_ref().is_some_and(|url| !self.site.owns(url)) {
                problems.at_all(
                    &[&format!("brand.{key}"), "brand.site"],
                    format!(
                        "`brand.{key}` must lie on the host of `brand.site` or below it: a notice \
                         that names another domain looks like the fraud it warns of; hint: a page of {}",
                        self.site.typed()
                    ),
                );
            }
        }
        let is_mailbox = |text: &str| {
            text.split_once('@')
                .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
                && !text.contains(|c: char| c.is_whitespace() || "<>,;\"".contains(c))
        };
        if self.support_email.as_ref().is_some_and(|email| !is_mailbox(email.as_str())) {
            problems.at(
                "brand.support_email",
                "`brand.support_email` is no email address; hint: the address alone, such as \
                 `help@example.com`",
            );
        }
        if self.hours.is_some() && self.phone.is_none() {
            problems.at_all(
                &["brand.hours", "brand.phone"],
                "`brand.hours` has no `brand.phone` beside it; hint: add the number, or leave the \
                 hours out",
            );
        }
        let ways = [&self.support_email, &self.phone, &self.postal];
        if ways.iter().all(|way| way.is_none()) && self.support_url.is_none() {
            problems.at_all(
                &[
                    "brand",
                    "brand.support_email",
                    "brand.support_url",
                    "brand.phone",
                    "brand.postal",
                ],
                "`brand.support_email` is missing, and so are `support_url`, `phone` and `postal`; \
                 hint: give people one way to reach you",
            );
        }
    }
}

/// Whether a language is written as it is compared.
fn is_tag(language: &str) -> bool {
    parse_locale(language).is_some_and(|tag| tag == language)
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

#[cfg(test)]
mod tests;
