//! Templates with a campaign's facts in place: one person's notice, as it is or as a message carries it.

use std::collections::BTreeMap;
use std::sync::Arc;

use handlebars::Context;
use serde_json::{Map, Value};

use super::context::RecipientContext;
use super::error::RenderError;
use super::spliced::{Encode, Encoded, Known, Shapes, Spliced, mark};
use super::templates::{Rendered, Templates, fields};

/// Templates with a campaign's facts in place.
#[derive(Debug, Clone)]
pub struct Prepared {
    templates: Templates,
    shared: BTreeMap<String, Map<String, Value>>,
    /// What was rendered so far, with gaps.
    shapes: Arc<Shapes>,
    encode: Encode,
}

/// Bodies as they are.
fn plain(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

impl Prepared {
    /// Templates with these facts, by language; bodies stay as they are.
    pub(super) fn of(templates: Templates, shared: BTreeMap<String, Map<String, Value>>) -> Self {
        Self { templates, shared, shapes: Arc::default(), encode: plain }
    }

    /// With bodies to be encoded this way by [`encoded`](Self::encoded).
    #[must_use]
    pub fn encoding(self, encode: Encode) -> Self {
        Self { encode, shapes: Arc::default(), ..self }
    }

    /// The languages it can be rendered in.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.shared.keys().map(String::as_str)
    }

    /// Renders one person's notice in their language, which must be one of [`Self::locales`]: a notice is
    /// in one language throughout, so there is no closest one here.
    pub fn render(&self, recipient: &RecipientContext) -> Result<Rendered, RenderError> {
        self.made(recipient, Spliced::with, std::convert::identity)
    }

    /// The same with its bodies encoded, which costs little once somebody of the person's shape was met.
    pub fn encoded(&self, recipient: &RecipientContext) -> Result<Encoded, RenderError> {
        self.made(recipient, Spliced::encoded_with, |rendered| rendered.encoded(self.encode))
    }

    /// A person's notice by what is known of their shape, else rendered in full and learned from.
    fn made<T>(
        &self,
        recipient: &RecipientContext,
        spliced: impl Fn(&Spliced, &RecipientContext) -> T,
        in_full: impl FnOnce(Rendered) -> T,
    ) -> Result<T, RenderError> {
        let compiled = &self.templates.0;
        let wanted = recipient.locale();
        let (Some(locale), Some(shared)) = (compiled.locales.get(wanted), self.shared.get(wanted))
        else {
            return Err(compiled.unknown(wanted));
        };
        if !locale.tells_credentials && recipient.has_credentials() {
            return Err(RenderError::CredentialsUntold { notice: compiled.notice.clone() });
        }
        let known =
            if locale.only_prints { self.shapes.find(recipient) } else { Some(Known::InFull) };
        if let Some(Known::Spliced(known)) = &known {
            return Ok(spliced(known, recipient));
        }
        let mut person = Value::Object(fields(recipient)?);
        let rendered = locale.render(&all(shared, &person))?;
        if known.is_none() {
            mark(&mut person);
            let marked = locale.unfilled(&all(shared, &person)).ok();
            self.shapes.learn(recipient, marked.as_ref(), &rendered, self.encode);
        }
        Ok(in_full(rendered))
    }
}

/// Both halves side by side.
fn all(shared: &Map<String, Value>, person: &Value) -> Context {
    let mut all = shared.clone();
    all.extend(person.as_object().cloned().unwrap_or_default());
    Context::from(Value::Object(all))
}
