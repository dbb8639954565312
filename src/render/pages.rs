//! The portal's pages and mails: one template each, its sentences by language from a table of texts.
//!
//! Templates say `{{t "key" name=value}}`; the text of that key in the page's language is put there, with
//! `{name}` filled from the values, `{brand}` and `{site}` from the page's context, all of it escaped.

use std::collections::BTreeMap;
use std::sync::Arc;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, PathAndJson, RenderContext,
    RenderError as HandlebarsError, RenderErrorReason, ScopedJson, no_escape,
};
use jiff::Zoned;
use jiff::civil::Date;
use serde_json::Value;

use super::language::Language;
use super::words::date;

/// Sentences by key.
type Texts = BTreeMap<String, String>;
/// Texts by language.
type Languages = Arc<BTreeMap<String, Texts>>;

/// The folder of the portal's files below `templates/`.
const FOLDER: &str = "portal/";
/// The language that is there whatever else is.
const ENGLISH: &str = "en";

/// What can be wrong with the portal's templates.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A template or a table of texts does not read.
    #[error("`templates/{file}`: {what}; hint: the shipped one of this name reads well")]
    File {
        /// Its name.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// A language lacks sentences that another has, or has others.
    #[error(
        "`templates/portal/texts/{language}.toml` and the English one differ in {keys}; hint: both must \
         have the same keys"
    )]
    Keys {
        /// The language.
        language: String,
        /// The keys.
        keys: String,
    },
    /// A page could not be made of its context.
    #[error("page `{page}`: {what}")]
    Render {
        /// The page.
        page: String,
        /// What failed.
        what: String,
    },
}

/// A mail's subject and text.
pub struct PortalMail {
    /// One line.
    pub subject: String,
    /// The body.
    pub text: String,
}

/// The portal's templates and texts, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    screens: Arc<Handlebars<'static>>,
    mails: Arc<Handlebars<'static>>,
    languages: Languages,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("languages", &self.languages.keys()).finish_non_exhaustive()
    }
}

impl Pages {
    /// Compiles the files below `portal/`, by their names relative to `templates/`.
    pub fn compile<'f>(
        files: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Self, PageError> {
        let (mut languages, mut pages, mut mails) = (BTreeMap::new(), strict(), strict());
        mails.register_escape_fn(no_escape);
        for (file, text) in files {
            let broken = |what: String| PageError::File { file: file.to_owned(), what };
            let Some(name) = file.strip_prefix(FOLDER) else { continue };
            if let Some(language) = stem(name, "texts/", ".toml") {
                let texts: Texts =
                    toml::from_str(text).map_err(|error| broken(error.to_string()))?;
                languages.insert(language.to_owned(), texts);
            } else if let Some(page) = stem(name, "page/", ".hbs") {
                let made = pages.register_template_string(&format!("page/{page}"), text);
                made.map_err(|error| broken(error.to_string()))?;
            } else if let Some(mail) = stem(name, "mail/", ".hbs") {
                let made = mails.register_template_string(mail, text);
                made.map_err(|error| broken(error.to_string()))?;
            }
        }
        check_keys(&languages)?;
        let languages = Arc::new(languages);
        for registry in [&mut pages, &mut mails] {
            registry.register_helper("t", Box::new(Sentence(Arc::clone(&languages))));
            registry.register_helper("date", Box::new(Dated));
        }
        Ok(Self { screens: Arc::new(pages), mails: Arc::new(mails), languages })
    }

    /// The languages with their own names, by tag.
    pub fn languages(&self) -> impl Iterator<Item = (&str, &str)> {
        let name = |texts: &'_ Texts| texts.get("language").cloned();
        debug_assert!(self.languages.values().all(|texts| name(texts).is_some()));
        self.languages.iter().map(|(tag, texts)| {
            (tag.as_str(), texts.get("language").map_or(tag.as_str(), String::as_str))
        })
    }

    /// The first of the wanted tags that is spoken here, whatever its region; English where none is.
    pub fn choose<'w>(&self, wanted: impl IntoIterator<Item = &'w str>) -> &str {
        wanted.into_iter().find_map(|tag| self.spoken(tag)).unwrap_or(ENGLISH)
    }

    fn spoken(&self, tag: &str) -> Option<&str> {
        let tag = tag.trim().to_ascii_lowercase();
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        self.languages.get_key_value(language).map(|(known, _)| known.as_str())
    }

    /// A sentence alone.
    pub fn text(&self, language: &str, key: &str, values: &[(&str, &str)]) -> String {
        let found = self.languages.get(language).and_then(|texts| texts.get(key));
        let values = values.iter().copied();
        match self.languages.get(language) {
            Some(texts) if is_rtl(texts) => {
                let apart: Vec<(&str, String)> =
                    values.map(|(name, value)| (name, isolated(value))).collect();
                let apart = apart.iter().map(|(name, value)| (*name, value.as_str()));
                fill(found.map_or(key, String::as_str), apart)
            }
            _ => fill(found.map_or(key, String::as_str), values),
        }
    }

    /// An instant as a language writes it, with its clock and zone.
    pub fn instant(&self, language: &str, zoned: &Zoned) -> String {
        date::written(Language::of(language), zoned)
    }

    /// A day as a language writes it.
    pub fn day(&self, language: &str, day: Date) -> String {
        date::written_day(Language::of(language), day)
    }

    /// A page; `context.lang` names its language.
    pub fn page(&self, page: &str, context: &Value) -> Result<String, PageError> {
        let made = self.screens.render(&format!("page/{page}"), context);
        made.map_err(|error| PageError::Render { page: page.to_owned(), what: error.to_string() })
    }

    /// A mail: the template's first line is its subject.
    pub fn mail(&self, mail: &str, context: &Value) -> Result<PortalMail, PageError> {
        let made = self.mails.render(mail, context);
        let text = made.map_err(|error| PageError::Render {
            page: mail.to_owned(),
            what: error.to_string(),
        })?;
        let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
        let text = super::wrap::fill(text);
        Ok(PortalMail { subject: subject.trim().to_owned(), text })
    }
}

fn stem<'n>(name: &'n str, folder: &str, ending: &str) -> Option<&'n str> {
    name.strip_prefix(folder)?.strip_suffix(ending)
}

fn strict() -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry
}

/// Every language says as much as the English one.
fn check_keys(languages: &BTreeMap<String, Texts>) -> Result<(), PageError> {
    let missing = || PageError::File {
        file: format!("{FOLDER}texts/{ENGLISH}.toml"),
        what: "is missing".into(),
    };
    let english = languages.get(ENGLISH).ok_or_else(missing)?;
    for (language, texts) in languages {
        let differ: Vec<&str> = english
            .keys()
            .filter(|key| !texts.contains_key(*key))
            .chain(texts.keys().filter(|key| !english.contains_key(*key)))
            .map(String::as_str)
            .collect();
        if !differ.is_empty() {
            let keys = differ.join(", ");
            return Err(PageError::Keys { language: language.clone(), keys });
        }
    }
    Ok(())
}

/// Whether a language is written from right to left.
fn is_rtl(texts: &Texts) -> bool {
    texts.get("direction").is_some_and(|direction| direction == "rtl")
}

/// A value that keeps its own direction between words of another one, as UAX #9 says it: the groups of a number
/// or a code stand in their order. Text without a letter of either direction runs from left to right there.
fn isolated(value: &str) -> String {
    const FIRST_STRONG_ISOLATE: char = '\u{2068}';
    const POP_DIRECTIONAL_ISOLATE: char = '\u{2069}';
    format!("{FIRST_STRONG_ISOLATE}{value}{POP_DIRECTIONAL_ISOLATE}")
}

/// Puts values where `{name}` stands.
fn fill<'v>(text: &str, values: impl IntoIterator<Item = (&'v str, &'v str)>) -> String {
    let mut filled = text.to_owned();
    for (name, value) in values {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

/// The helper `t`.
struct Sentence(Languages);

impl HelperDef for Sentence {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, HandlebarsError> {
        let failed = |what: String| HandlebarsError::from(RenderErrorReason::Other(what));
        let key = helper.param(0).and_then(|key| key.value().as_str());
        let key = key.ok_or_else(|| failed("`t` wants a key".into()))?;
        let root = context.data();
        let of_root = |path: &str| root.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let texts = self.0.get(of_root("/lang"));
        let text = texts
            .and_then(|texts| texts.get(key))
            .ok_or_else(|| failed(format!("there is no text `{key}`")))?;
        let shown = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // strict mode looks at what is printed, not at what a helper is given
        if let Some((name, _)) = helper.hash().iter().find(|(_, value)| value.is_value_missing()) {
            return Err(failed(format!("`{key}` is given no `{name}`")));
        }
        let always = [("brand", of_root("/brand/name")), ("site", of_root("/brand/site"))];
        let always = always.map(|(name, value)| (name, value.to_owned()));
        let own = helper.hash().iter().map(|(name, value)| (*name, shown(value.value())));
        // the brand's words first: what somebody typed is put in last and read no more
        let mut values: Vec<(&str, String)> = always.into_iter().chain(own).collect();
        if texts.is_some_and(is_rtl) {
            values.iter_mut().for_each(|(_, value)| *value = isolated(value));
        }
        let values = values.iter().map(|(name, value)| (*name, value.as_str()));
        Ok(Value::from(fill(text, values)).into())
    }
}

/// The helper `date`: an instant as the page's language writes it.
struct Dated;

impl HelperDef for Dated {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, HandlebarsError> {
        let language = context.data().pointer("/lang").and_then(Value::as_str);
        let values: Vec<&Value> = helper.params().iter().map(PathAndJson::value).collect();
        let made = date::date(Language::of(language.unwrap_or_default()), &values);
        let text = made.map_err(|what| RenderErrorReason::Other(format!("`date` {what}")))?;
        Ok(Value::from(text).into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pages(de: &str) -> Result<Pages, PageError> {
        Pages::compile([
            ("portal/texts/en.toml", "language = 'English'\nhello = 'Hello {who}, from {brand}.'"),
            ("portal/texts/de.toml", de),
            ("portal/page/layout.hbs", "<html lang=\"{{lang}}\">{{> @partial-block}}</html>"),
            ("portal/page/hello.hbs", "{{#> page/layout}}{{t \"hello\" who=name}}{{/page/layout}}"),
            ("portal/mail/hello.hbs", "{{t \"hello\" who=name}}\nBody\n"),
            ("mail/other.hbs", "{{broken"),
        ])
    }

    #[test]
    fn a_page_speaks_its_language_and_escapes_what_was_typed() {
        let pages = pages("language = 'Deutsch'\nhello = 'Guten Tag {who} & {brand}'").unwrap();
        let context = json!({"lang": "de", "name": "<b>{brand}", "brand": {"name": "Quick"}});
        let page = pages.page("hello", &context).unwrap();
        assert_eq!(page, "<html lang=\"de\">Guten Tag &lt;b&gt;{brand} &amp; Quick</html>");
        let mail = pages.mail("hello", &context).unwrap();
        assert_eq!(
            (mail.subject.as_str(), mail.text.trim()),
            ("Guten Tag <b>{brand} & Quick", "Body")
        );
        assert_eq!(pages.choose(["pt-BR", "DE_at", "en"]), "de");
        assert_eq!(pages.choose(["pt"]), "en");
        assert!(pages.page("hello", &json!({"lang": "de"})).is_err(), "strict");
    }

    #[test]
    fn between_words_from_right_to_left_a_value_keeps_its_own_direction() {
        let pages = pages("language = 'עברית'\ndirection = 'rtl'\nhello = 'שלום {who}, {brand}'");
        // the other texts of this test have no direction
        let error = pages.unwrap_err().to_string();
        assert!(error.contains("direction"), "{error}");
        let pages = Pages::compile([
            (
                "portal/texts/en.toml",
                "language = 'English'\ndirection = 'ltr'\nhello = 'Hello {who}'",
            ),
            ("portal/texts/he.toml", "language = 'עברית'\ndirection = 'rtl'\nhello = 'שלום {who}'"),
            ("portal/page/hello.hbs", "{{t \"hello\" who=name}}"),
        ])
        .unwrap();
        let page = |lang| pages.page("hello", &json!({"lang": lang, "name": "12-34"})).unwrap();
        assert_eq!(page("en"), "Hello 12-34");
        assert_eq!(page("he"), "שלום \u{2068}12-34\u{2069}");
        assert_eq!(pages.text("he", "hello", &[("who", "a")]), "שלום \u{2068}a\u{2069}");
    }

    #[test]
    fn a_language_that_says_less_is_refused_by_its_keys() {
        let error = pages("language = 'Deutsch'\nextra = 'x'").unwrap_err().to_string();
        assert!(error.contains("texts/de.toml") && error.contains("hello, extra"), "{error}");
    }
}
