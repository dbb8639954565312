//! Compiled templates: approved bytes in, subject, text and HTML out.
//!
//! Owns the two registries (one escapes for HTML, one does not) and the order of checks. Parsing
//! happens once; partials are laid into their templates then, since handlebars copies the whole
//! context for each partial it enters.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use handlebars::{Context, Handlebars, Template, no_escape};
use serde::Serialize;
use serde_json::{Map, Value};

use super::context::{CLASS_FLAGS, CampaignContext, NoticeContext};
use super::error::RenderError;
use super::language::Language;
use super::parsed::{PARTS, locale_names, parse_all, with_partials};
use super::prepared::Prepared;
use super::spliced::is_personal;
use super::{link, lint, words, wrap};
use crate::domain::field::FieldType;
use crate::domain::incident::Incident;

/// A finished notice, before it becomes a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, without control characters.
    pub subject: String,
    /// Lines of at most 72 characters (longer words excepted), ended by LF.
    pub text: String,
    /// A whole document.
    pub html: String,
}

/// Sizes only: the parts hold a person's name.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, text, html } = self;
        write!(
            f,
            "Rendered {{ subject: {} B, text: {} B, html: {} B }}",
            subject.len(),
            text.len(),
            html.len()
        )
    }
}

/// Which notice is to be compiled.
#[derive(Debug, Clone, Copy)]
pub struct NoticeSpec<'a> {
    /// Its folder under `templates/mail/`.
    pub notice: &'a str,
    /// The languages wanted; those it has no folder for are passed over. `None` = all it has.
    pub languages: Option<&'a [&'a str]>,
    /// The campaign's merge fields: what `person.fields.…` may be asked for.
    pub fields: &'a BTreeMap<String, FieldType>,
}

/// One notice in its languages, compiled and checked. Cheap to clone.
#[derive(Clone)]
pub struct Templates(pub(super) Arc<Compiled>);

pub(super) struct Compiled {
    pub(super) notice: String,
    /// Every language it has a folder for, compiled or not.
    written: Vec<String>,
    pub(super) locales: BTreeMap<String, Locale>,
    samples: Vec<(String, NoticeContext)>,
}

/// One language; its registries speak it.
pub(super) struct Locale {
    escaping: Handlebars<'static>,
    plain: Handlebars<'static>,
    subject: String,
    text: String,
    html: String,
    /// What the text and what the HTML part look at.
    paths: [BTreeSet<String>; 2],
    /// A template that is silent on credentials is right only where none were exposed.
    pub(super) tells_credentials: bool,
    /// No personal value is a word's parameter: they are only printed.
    pub(super) only_prints: bool,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("notice", &self.0.notice)
            .field("locales", &self.0.locales.keys())
            .finish_non_exhaustive()
    }
}

impl Templates {
    /// Parses and checks the notice's files and all partials, and renders every sample: whatever is
    /// wrong with a template is found here, at plan, and never when sending. `files` maps names
    /// such as `mail/account-breach/en/body.txt.hbs` to approved bytes; other notices' are ignored.
    pub fn compile(
        spec: NoticeSpec<'_>,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, RenderError> {
        Self::checked(spec, files).map_err(|mut faults| faults.swap_remove(0))
    }

    /// The same, refused with all that is wrong; never with nothing.
    pub(super) fn checked(
        spec: NoticeSpec<'_>,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, Vec<RenderError>> {
        let own = format!("mail/{}/", spec.notice);
        let names = locale_names(files, &own).map_err(|fault| vec![fault])?;
        if names.is_empty() {
            return Err(vec![RenderError::UnknownNotice { notice: spec.notice.to_owned() }]);
        }
        let is_wanted = |name: &str| spec.languages.is_none_or(|wanted| wanted.contains(&name));
        let unwanted: Vec<_> = names.iter().filter(|name| !is_wanted(name)).collect();
        let parsed = parse_all(files, &own, &unwanted).map_err(|fault| vec![fault])?;
        let samples = NoticeContext::samples(spec.fields);
        let values = sample_values(&samples).map_err(|fault| vec![fault])?;
        let (mut locales, mut faults) = (BTreeMap::new(), Vec::new());
        for name in names.iter().filter(|name| is_wanted(name)) {
            match Locale::of(name, &format!("{own}{name}/"), &parsed, &values) {
                Ok(locale) => drop(locales.insert(name.clone(), locale)),
                Err(found) => faults.extend(found),
            }
        }
        let compiled =
            Compiled { notice: spec.notice.to_owned(), written: names, locales, samples };
        faults.extend(compiled.render_samples(values));
        if faults.is_empty() { Ok(Self(Arc::new(compiled))) } else { Err(faults) }
    }

    /// Refuses a language whose text or HTML part has no words for one of these flags, see
    /// [`needed_flags`](super::needed_flags).
    pub fn check_variants(
        &self,
        locale: &str,
        flags: impl IntoIterator<Item = &'static str>,
    ) -> Result<(), RenderError> {
        let Some(found) = self.0.locales.get(locale) else {
            return Err(self.0.unknown(locale));
        };
        for flag in flags {
            for (template, paths) in [&found.text, &found.html].into_iter().zip(&found.paths) {
                if !paths.contains(&format!("person.{flag}")) {
                    return Err(RenderError::MissingVariant {
                        template: template.clone(),
                        locale: locale.to_owned(),
                        flag,
                    });
                }
            }
        }
        Ok(())
    }

    /// Refuses a notice that cannot be sent in mode `link`: in every language, whoever has a link must
    /// see it, once in the text and once in the HTML, as it must be written there.
    pub fn check_links(&self) -> Result<(), RenderError> {
        self.link_faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// The same, with all that is wrong: of each part the first variant that shows it.
    pub(super) fn link_faults(&self) -> Vec<RenderError> {
        let (mut faults, mut told) = (Vec::new(), BTreeSet::new());
        for (variant, notice) in &self.0.samples {
            let Some(personal) = notice.recipient.link() else { continue };
            let value = match serde_json::to_value(notice) {
                Ok(value) => value,
                Err(why) => return vec![RenderError::Context(why)],
            };
            let context = Context::from(value);
            for locale in self.0.locales.values() {
                // as written: filling lines would hide that a link shares its line with words
                let written = match locale.unfilled(&context) {
                    Ok(written) => written,
                    Err(fault) => return vec![fault],
                };
                for link::Fault { part, how, hint } in link::faults(&written, personal.expose()) {
                    let template = match part {
                        link::Part::Subject => &locale.subject,
                        link::Part::Text => &locale.text,
                        link::Part::Html => &locale.html,
                    };
                    if told.insert(template) {
                        let (template, variant) = (template.clone(), variant.clone());
                        faults.push(RenderError::LinkUntold { template, how, variant, hint });
                    }
                }
            }
        }
        faults
    }

    /// Whether there are templates in a language, compiled or not.
    pub fn is_written(&self, locale: &str) -> bool {
        self.0.written.iter().any(|known| known.eq_ignore_ascii_case(locale))
    }

    /// The languages it was compiled in.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.0.locales.keys().map(String::as_str)
    }

    /// Renders one notice. For many of one campaign, [`prepare`](Self::prepare) first.
    pub fn render(&self, context: &NoticeContext) -> Result<Rendered, RenderError> {
        let shared = [(context.recipient.locale().to_owned(), fields(&context.campaign)?)].into();
        Prepared::of(self.clone(), shared).render(&context.recipient)
    }

    /// Turns the facts that are the same for everybody into their final form once, in every language that
    /// both the notice and the incident are told in.
    pub fn prepare(&self, incident: &Incident) -> Result<Prepared, RenderError> {
        let mut shared = BTreeMap::new();
        for locale in self.locales() {
            if let Some(campaign) = CampaignContext::new(incident, locale) {
                shared.insert(locale.to_owned(), fields(&campaign)?);
            }
        }
        Ok(Prepared::of(self.clone(), shared))
    }
}

impl Compiled {
    pub(super) fn unknown(&self, locale: &str) -> RenderError {
        RenderError::UnknownLocale { notice: self.notice.clone(), locale: locale.to_owned() }
    }

    /// What goes wrong when the samples are rendered: one fault of each language.
    fn render_samples(&self, samples: Vec<(String, Value)>) -> Vec<RenderError> {
        let mut faults = BTreeMap::new();
        for (variant, value) in samples {
            let context = Context::from(value);
            for (name, locale) in &self.locales {
                let fault = match locale.unfilled(&context) {
                    Ok(written) if !written.subject.is_empty() => continue,
                    Ok(_) => {
                        let (template, variant) = (locale.subject.clone(), variant.clone());
                        RenderError::EmptySubject { template, variant }
                    }
                    Err(fault) => fault,
                };
                faults.entry(name).or_insert(fault);
            }
        }
        faults.into_values().collect()
    }
}

impl Locale {
    /// Checks and registers one language; refused with all that is wrong with it.
    fn of(
        name: &str,
        folder: &str,
        parsed: &BTreeMap<String, Template>,
        samples: &[(String, Value)],
    ) -> Result<Self, Vec<RenderError>> {
        let language = Language::of(name);
        let (mut escaping, mut plain) = (registry(language), registry(language));
        plain.register_escape_fn(no_escape);
        let mut looked = Vec::new();
        for (part, is_html) in PARTS {
            let name = format!("{folder}{part}");
            looked.push(lint::check(&name, parsed, is_html, language, samples));
            // what the lint refused may not even end: a partial that includes itself
            let is_sound = looked.last().is_some_and(|part| part.faults.is_empty());
            if let Some(template) = parsed.get(&name).filter(|_| is_sound) {
                let registry = if is_html { &mut escaping } else { &mut plain };
                registry.register_template(&name, with_partials(template, parsed));
            }
        }
        let [subject, text, html] = PARTS.map(|(part, _)| format!("{folder}{part}"));
        let mut faults: Vec<_> =
            looked.iter_mut().flat_map(|part| std::mem::take(&mut part.faults)).collect();
        if !faults.is_empty() {
            // what a part says cannot be judged while half of it is not understood
            return Err(faults);
        }
        let bodies = [&text, &html].into_iter().zip(&looked[1..]);
        let tells_credentials = looked[1..].iter().any(|body| body.paths.contains("credentials"));
        // Both bodies must, or people with and without HTML would learn different things.
        for (template, body) in bodies.filter(|_| tells_credentials) {
            let untested = |flag: &&str| !body.paths.contains(&format!("credentials[].{flag}"));
            let before = faults.len();
            for flag in CLASS_FLAGS.into_iter().filter(untested) {
                faults.push(RenderError::MissingBlock { template: template.clone(), flag });
            }
            if let Some((flag, variant)) = body.untold.clone().filter(|_| faults.len() == before) {
                faults.push(RenderError::ClassUntold { template: template.clone(), flag, variant });
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let only_prints =
            !looked.iter().flat_map(|part| &part.worked).any(|path| is_personal(path));
        let mut paths = looked.into_iter().skip(1).map(|body| body.paths);
        let paths = [paths.next().unwrap_or_default(), paths.next().unwrap_or_default()];
        Ok(Self { escaping, plain, subject, text, html, paths, tells_credentials, only_prints })
    }

    pub(super) fn render(&self, context: &Context) -> Result<Rendered, RenderError> {
        let written = self.unfilled(context)?;
        Ok(Rendered { text: wrap::fill(&written.text), ..written })
    }

    /// With the text part's paragraphs still on one line each.
    pub(super) fn unfilled(&self, context: &Context) -> Result<Rendered, RenderError> {
        let part = |registry: &Handlebars<'static>, name: &str| {
            registry.render_with_context(name, context).map_err(|source| RenderError::Render {
                template: name.to_owned(),
                source: Box::new(source),
            })
        };
        Ok(Rendered {
            subject: one_line(&part(&self.plain, &self.subject)?),
            text: part(&self.plain, &self.text)?,
            html: part(&self.escaping, &self.html)?,
        })
    }
}

fn registry(language: Language) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    words::register(&mut registry, language);
    registry
}

fn sample_values(samples: &[(String, NoticeContext)]) -> Result<Vec<(String, Value)>, RenderError> {
    let value = |context| serde_json::to_value(context).map_err(RenderError::Context);
    samples.iter().map(|(name, context)| Ok((name.clone(), value(context)?))).collect()
}

pub(super) fn fields(facts: &impl Serialize) -> Result<Map<String, Value>, RenderError> {
    match serde_json::to_value(facts).map_err(RenderError::Context)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

/// A header is one line: whatever is not visible becomes one space.
pub(super) fn one_line(text: &str) -> String {
    let visible = text.replace(char::is_control, " ");
    visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
