//! Compiled templates: approved bytes in, subject, text and HTML out.
//!
//! Owns the two registries (one escapes for HTML, one does not) and the order of checks. Parsing
//! happens once; partials are laid into their templates then, since handlebars copies the whole
//! context for each partial it enters.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use handlebars::template::TemplateElement;
use handlebars::{Context, Handlebars, Template, no_escape};
use serde::Serialize;
use serde_json::{Map, Value};

use super::context::{CLASS_FLAGS, CampaignContext, NoticeContext, RecipientContext};
use super::error::{Place, RenderError};
use super::{link, lint, words, wrap};

/// The parts of a notice, and whether a part is HTML.
const PARTS: [(&str, bool); 3] =
    [("subject.txt.hbs", false), ("body.txt.hbs", false), ("body.html.hbs", true)];

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

/// One notice in all its languages, compiled and checked. Cheap to clone.
#[derive(Clone)]
pub struct Templates(Arc<Compiled>);

struct Compiled {
    notice: String,
    html: Handlebars<'static>,
    plain: Handlebars<'static>,
    locales: BTreeMap<String, Locale>,
}

struct Locale {
    subject: String,
    text: String,
    html: String,
    /// A template that is silent on credentials is right only where none were exposed.
    tells_credentials: bool,
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
    pub fn compile(notice: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<Self, RenderError> {
        let own = format!("mail/{notice}/");
        let parsed = parse_all(files, &own)?;
        let samples = sample_values()?;
        let mut compiled = Compiled {
            notice: notice.to_owned(),
            html: registry(),
            plain: registry(),
            locales: BTreeMap::new(),
        };
        compiled.plain.register_escape_fn(no_escape);
        for locale in locale_names(&parsed, &own)? {
            let folder = format!("{own}{locale}/");
            let entry = compiled.add(&folder, &parsed, &samples)?;
            compiled.locales.insert(locale, entry);
        }
        if compiled.locales.is_empty() {
            return Err(RenderError::UnknownNotice { notice: notice.to_owned() });
        }
        compiled.render_samples(samples)?;
        Ok(Self(Arc::new(compiled)))
    }

    /// Refuses a notice that cannot be sent in mode `link`: in every language, whoever has a link must
    /// see it, once in the text and once in the HTML, as it must be written there.
    pub fn check_links(&self) -> Result<(), RenderError> {
        let compiled = &self.0;
        for (variant, notice) in NoticeContext::samples() {
            let Some(personal) = notice.recipient.reset.link().cloned() else { continue };
            let value = serde_json::to_value(notice).map_err(RenderError::Context)?;
            let context = Context::from(value);
            for locale in compiled.locales.values() {
                // as written: filling lines would hide that a link shares its line with words
                let written = compiled.unfilled(locale, &context)?;
                if let Some(fault) = link::fault(&written, personal.expose()) {
                    let template = match fault.part {
                        link::Part::Subject => &locale.subject,
                        link::Part::Text => &locale.text,
                        link::Part::Html => &locale.html,
                    };
                    return Err(RenderError::LinkUntold {
                        template: template.clone(),
                        how: fault.how,
                        variant,
                        hint: fault.hint,
                    });
                }
            }
        }
        Ok(())
    }

    /// The languages the notice is written in.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.0.locales.keys().map(String::as_str)
    }

    /// Renders one notice. For many of one campaign, [`prepare`](Self::prepare) first.
    pub fn render(&self, context: &NoticeContext) -> Result<Rendered, RenderError> {
        self.prepare(&context.campaign)?.render(&context.recipient)
    }

    /// Turns the facts that are the same for everybody into their final form once.
    pub fn prepare(&self, campaign: &CampaignContext) -> Result<Prepared, RenderError> {
        Ok(Prepared { templates: self.clone(), shared: fields(campaign)? })
    }
}

/// Templates with a campaign's facts in place.
#[derive(Debug, Clone)]
pub struct Prepared {
    templates: Templates,
    shared: Map<String, Value>,
}

impl Prepared {
    /// Renders one person's notice in their language, or the closest the notice is written in.
    pub fn render(&self, recipient: &RecipientContext) -> Result<Rendered, RenderError> {
        let compiled = &self.templates.0;
        let Some(locale) = compiled.locale(recipient.locale()) else {
            return Err(RenderError::UnknownNotice { notice: compiled.notice.clone() });
        };
        if !locale.tells_credentials && !recipient.credentials.is_empty() {
            return Err(RenderError::CredentialsUntold { notice: compiled.notice.clone() });
        }
        let mut all = self.shared.clone();
        all.extend(fields(recipient)?);
        compiled.render(locale, Value::Object(all))
    }
}

impl Compiled {
    /// Checks and registers one language.
    fn add(
        &mut self,
        folder: &str,
        parsed: &BTreeMap<String, Template>,
        samples: &[(String, Value)],
    ) -> Result<Locale, RenderError> {
        let mut bodies = Vec::new();
        for (part, is_html) in PARTS {
            let name = format!("{folder}{part}");
            let paths = lint::check(&name, parsed, is_html, samples)?;
            if let Some(template) = parsed.get(&name) {
                let registry = if is_html { &mut self.html } else { &mut self.plain };
                registry.register_template(&name, with_partials(template, parsed));
            }
            if part != PARTS[0].0 {
                bodies.push((name, paths));
            }
        }
        let tells_credentials = bodies.iter().any(|(_, paths)| paths.contains("credentials"));
        // Both bodies must, or people with and without HTML would learn different things.
        for (name, paths) in bodies.into_iter().filter(|_| tells_credentials) {
            let untested = |flag: &&str| !paths.contains(&format!("credentials[].{flag}"));
            if let Some(flag) = CLASS_FLAGS.into_iter().find(untested) {
                return Err(RenderError::MissingBlock { template: name, flag });
            }
        }
        let [subject, text, html] = PARTS.map(|(part, _)| format!("{folder}{part}"));
        Ok(Locale { subject, text, html, tells_credentials })
    }

    fn render_samples(&self, samples: Vec<(String, Value)>) -> Result<(), RenderError> {
        for (variant, value) in samples {
            let context = Context::from(value);
            for locale in self.locales.values() {
                if self.render_with(locale, &context)?.subject.is_empty() {
                    return Err(RenderError::EmptySubject {
                        template: locale.subject.clone(),
                        variant,
                    });
                }
            }
        }
        Ok(())
    }

    fn render(&self, locale: &Locale, facts: Value) -> Result<Rendered, RenderError> {
        self.render_with(locale, &Context::from(facts))
    }

    fn render_with(&self, locale: &Locale, context: &Context) -> Result<Rendered, RenderError> {
        let written = self.unfilled(locale, context)?;
        Ok(Rendered { text: wrap::fill(&written.text), ..written })
    }

    /// With the text part's paragraphs still on one line each.
    fn unfilled(&self, locale: &Locale, context: &Context) -> Result<Rendered, RenderError> {
        let part = |registry: &Handlebars<'static>, name: &str| {
            registry.render_with_context(name, context).map_err(|source| RenderError::Render {
                template: name.to_owned(),
                source: Box::new(source),
            })
        };
        Ok(Rendered {
            subject: one_line(&part(&self.plain, &locale.subject)?),
            text: part(&self.plain, &locale.text)?,
            html: part(&self.html, &locale.html)?,
        })
    }

    /// The exact language, else its main one, else English, else the first there is.
    fn locale(&self, wanted: &str) -> Option<&Locale> {
        let main = wanted.split(['-', '_']).next().unwrap_or(wanted);
        [wanted, main, "en"]
            .iter()
            .find_map(|name| self.locales.get(*name))
            .or_else(|| self.locales.values().next())
    }
}

fn registry() -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    words::register(&mut registry);
    registry
}

fn parse_all(
    files: &BTreeMap<String, Vec<u8>>,
    own: &str,
) -> Result<BTreeMap<String, Template>, RenderError> {
    let wanted =
        files.iter().filter(|(name, _)| name.starts_with(own) || name.starts_with(lint::PARTIALS));
    wanted.map(|(name, bytes)| Ok((name.clone(), parse(name, bytes)?))).collect()
}

pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Template, RenderError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|source| RenderError::Encoding { template: name.to_owned(), source })?;
    // A file saved on Windows must give the same notice.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    Template::compile_with_name(text, name.to_owned()).map_err(|source| {
        let (line, column) = source.pos().unwrap_or((1, 1));
        RenderError::Syntax {
            place: Place { template: name.to_owned(), line, column },
            message: source.reason().to_string(),
            source: Box::new(source),
        }
    })
}

/// The languages among the notice's files; a file that is no part of one is refused.
fn locale_names(
    parsed: &BTreeMap<String, Template>,
    own: &str,
) -> Result<Vec<String>, RenderError> {
    let mut names = Vec::new();
    for file in parsed.keys() {
        let Some(rest) = file.strip_prefix(own) else {
            continue;
        };
        match rest.split_once('/') {
            Some((locale, part)) if PARTS.iter().any(|(known, _)| *known == part) => {
                names.push(locale.to_owned());
            }
            _ => {
                return Err(RenderError::StrayFile { template: file.clone() });
            }
        }
    }
    names.dedup();
    Ok(names)
}

fn sample_values() -> Result<Vec<(String, Value)>, RenderError> {
    NoticeContext::samples()
        .into_iter()
        .map(|(name, context)| {
            Ok((name, serde_json::to_value(context).map_err(RenderError::Context)?))
        })
        .collect()
}

fn fields(facts: &impl Serialize) -> Result<Map<String, Value>, RenderError> {
    match serde_json::to_value(facts).map_err(RenderError::Context)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

/// A copy with every `{{> partial}}` replaced by what it stands for; the lint has already refused
/// missing and endless ones. Indentation before a partial is dropped.
fn with_partials(template: &Template, parsed: &BTreeMap<String, Template>) -> Template {
    let mut out = Template::new();
    out.name.clone_from(&template.name);
    for (at, element) in template.elements.iter().enumerate() {
        let mut element = element.clone();
        match &mut element {
            TemplateElement::PartialExpression(partial) => {
                let file = lint::partial_file(partial.name.as_name().unwrap_or_default());
                if let Some(partial) = parsed.get(&file) {
                    let laid_in = with_partials(partial, parsed);
                    out.elements.extend(laid_in.elements);
                    out.mapping.extend(laid_in.mapping);
                    continue;
                }
            }
            TemplateElement::HelperBlock(block) => {
                for body in [&mut block.template, &mut block.inverse].into_iter().flatten() {
                    *body = with_partials(body, parsed);
                }
            }
            _ => {}
        }
        out.elements.push(element);
        out.mapping.extend(template.mapping.get(at).cloned());
    }
    out
}

/// A header is one line: whatever is not visible becomes one space.
fn one_line(text: &str) -> String {
    let visible = text.replace(char::is_control, " ");
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}
