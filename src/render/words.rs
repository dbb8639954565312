//! The words templates may use: `date`, `list`, `number`, `count`, `length` and `plural`.
//!
//! Plain functions from a language and JSON values to a phrase, shared by the lint and by handlebars,
//! so that what passes at plan can't fail when sent.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason,
    ScopedJson,
};
use serde_json::Value;

use super::language::Language;

pub(super) mod date;
mod length;
mod list;
mod number;

/// What a template's parameters come to in a language; the refusal says what was expected.
pub(super) type Word = fn(Language, &[&Value]) -> Result<String, String>;

const WORDS: [(&str, Word); 6] = [
    ("date", date::date),
    ("list", list::list),
    ("number", number::number),
    ("count", number::count),
    ("plural", number::plural),
    ("length", length::length),
];

/// The word a template calls `name`.
pub(super) fn find(name: &str) -> Option<Word> {
    WORDS.iter().find(|(known, _)| *known == name).map(|(_, word)| *word)
}

/// How a word is written where it works.
pub(super) fn example(name: &str) -> &'static str {
    match name {
        "date" => "{{date incident.discovered_at}}",
        "list" => "{{list incident.exposed}}",
        "number" => "{{number person.fields.total}} with a field of type number",
        "count" => "{{count person.accounts}}",
        "plural" => "{{plural person.accounts \"# account\" \"# accounts\"}}",
        _ => "{{length reset.token_for}}",
    }
}

/// Makes every word known to a registry, in one language.
pub(super) fn register(registry: &mut Handlebars<'_>, language: Language) {
    for (name, word) in WORDS {
        registry.register_helper(name, Box::new(Spoken { name, word, language }));
    }
}

struct Spoken {
    name: &'static str,
    word: Word,
    language: Language,
}

impl HelperDef for Spoken {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        if helper.params().iter().any(handlebars::PathAndJson::is_value_missing) {
            return Err(RenderErrorReason::MissingVariable(Some(self.name.to_owned())).into());
        }
        let values: Vec<&Value> =
            helper.params().iter().map(handlebars::PathAndJson::value).collect();
        (self.word)(self.language, &values)
            .map(|phrase| ScopedJson::Derived(Value::String(phrase)))
            .map_err(|message| {
                RenderErrorReason::Other(format!("`{}` {message}", self.name)).into()
            })
    }
}

#[cfg(test)]
fn say(word: Word, language: Language, values: &[Value]) -> Result<String, String> {
    word(language, &values.iter().collect::<Vec<_>>())
}
