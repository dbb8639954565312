//! An incident's texts in one language: the file's own, or those of a `[locale.xx]` table.
//!
//! A notice is in one language throughout, so a table says everything the file itself says in words.
//! Facts (instants, kinds of credentials, addresses, the vendor's name) are said once and shared.

use serde::{Deserialize, Serialize};

use super::super::toml_file::Problems;
use super::{File, Incident, OneLine, Paragraphs, is_tag};

/// `[locale.fr]`: the words of an incident in a further language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocaleTexts {
    /// The incident in a few words.
    pub title: OneLine,
    /// What happened.
    pub summary: Paragraphs,
    /// `exposed.data`, phrase by phrase, each standing alone in a list.
    #[serde(default)]
    pub exposed: Vec<OneLine>,
    /// `not_exposed`, phrase by phrase.
    #[serde(default)]
    pub not_exposed: Vec<OneLine>,
    /// `actions_taken`, sentence by sentence.
    #[serde(default)]
    pub actions_taken: Vec<OneLine>,
    /// `advice`, sentence by sentence.
    #[serde(default)]
    pub advice: Vec<OneLine>,
    /// The text of `[offer]`.
    pub offer: Option<OfferText>,
    /// `brand.hours`.
    pub hours: Option<OneLine>,
    /// `brand.new_password_label`, as the site calls it in this language.
    pub new_password_label: Option<OneLine>,
}

/// What is offered, in a further language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferText {
    /// A whole sentence.
    pub text: OneLine,
}

/// Everything an incident says in words, in one language.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'i> {
    /// The incident in a few words.
    pub title: &'i OneLine,
    /// What happened.
    pub summary: &'i Paragraphs,
    /// What strangers could take; in English each phrase completes "your …".
    pub exposed: &'i [OneLine],
    /// What was not reached.
    pub not_exposed: &'i [OneLine],
    /// What the company did.
    pub actions_taken: &'i [OneLine],
    /// What people can do besides.
    pub advice: &'i [OneLine],
    /// What the company gives.
    pub offer: Option<&'i OneLine>,
    /// When the telephone is answered.
    pub hours: Option<&'i OneLine>,
    /// What the site calls the way to a new password.
    pub new_password_label: Option<&'i OneLine>,
}

impl Incident {
    /// The language of the file's own texts, as a BCP 47 tag.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Every language the incident is told in, its own first.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.language.as_str()).chain(self.locales.keys().map(String::as_str))
    }

    /// The texts in a language; `None` where the file has none in it.
    pub fn texts(&self, locale: &str) -> Option<Texts<'_>> {
        if locale == self.language {
            return Some(Texts {
                title: &self.title,
                summary: &self.summary,
                exposed: &self.exposed.data,
                not_exposed: &self.not_exposed,
                actions_taken: &self.actions_taken,
                advice: &self.advice,
                offer: self.offer.as_ref().map(|offer| &offer.text),
                hours: self.brand.hours.as_ref(),
                new_password_label: self.brand.new_password_label.as_ref(),
            });
        }
        let texts = self.locales.get(locale)?;
        Some(Texts {
            title: &texts.title,
            summary: &texts.summary,
            exposed: &texts.exposed,
            not_exposed: &texts.not_exposed,
            actions_taken: &texts.actions_taken,
            advice: &texts.advice,
            offer: texts.offer.as_ref().map(|offer| &offer.text),
            hours: texts.hours.as_ref(),
            new_password_label: texts.new_password_label.as_ref(),
        })
    }
}

/// Each language says as much as the file's own, no more and no less.
pub(super) fn check(file: &File, problems: &mut Problems<'_>) {
    for (locale, texts) in &file.locales {
        let table = format!("locale.{locale}");
        if !is_tag(locale) {
            problems.at(
                &table,
                format!("`{table}` is no language tag; hint: write it as `fr` or `pt-BR`"),
            );
        } else if *locale == file.language {
            problems.at_all(
                &[&table, "language"],
                format!(
                    "`{table}` is the file's own `language`; hint: its texts stand at the top, take \
                     the table out"
                ),
            );
        } else {
            texts.check(&table, file, problems);
        }
    }
}

impl LocaleTexts {
    fn check(&self, table: &str, file: &File, problems: &mut Problems<'_>) {
        let lists = [
            ("exposed", "exposed.data", &self.exposed, &file.exposed.data),
            ("not_exposed", "not_exposed", &self.not_exposed, &file.not_exposed),
            ("actions_taken", "actions_taken", &self.actions_taken, &file.actions_taken),
            ("advice", "advice", &self.advice, &file.advice),
        ];
        for (key, base, own, of) in lists {
            // a fault of the base is told for itself
            if own.len() != of.len() && problems.is_sound(base) {
                let key = format!("{table}.{key}");
                problems.at(
                    &key,
                    format!(
                        "`{key}` has {} phrases where `{base}` has {}; hint: as many here as there, \
                         in the same order",
                        own.len(),
                        of.len()
                    ),
                );
            }
        }
        let label = "brand.new_password_label";
        let singles = [
            ("offer", "offer", self.offer.is_some(), file.offer.is_some()),
            ("hours", "brand.hours", self.hours.is_some(), file.brand.hours.is_some()),
            (
                "new_password_label",
                label,
                self.new_password_label.is_some(),
                file.brand.new_password_label.is_some(),
            ),
        ];
        for (key, base, own, of) in singles {
            if own == of || !problems.is_sound(base) {
                continue;
            }
            let key = format!("{table}.{key}");
            let what = if of {
                format!("`{key}` is missing, but there is `{base}`; hint: say it here too")
            } else {
                format!("`{key}` has no `{base}` beside it; hint: add that, or take this out")
            };
            problems.at(&key, what);
        }
    }
}

pub(super) fn english() -> String {
    "en".to_owned()
}
