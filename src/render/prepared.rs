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

/// One person's notice.
enum Made {
    /// By what is known of their shape.
    Spliced(Arc<Spliced>),
    /// Rendered by itself.
    InFull(Rendered),
}

/// Bodies as they are.
fn plain(text: &str, output: &mut Vec<u8>) {
    output.extend_from_slice(text.as_bytes());
}

impl Prepared {
    /// Templates with these facts, by language; bodies stay as they are.
    pub(super) fn of(templates: Templates, shared: BTreeMap<String, Map<String, Value>>) -> Self {
        Self { templates, shared, shapes: Arc::default(), encode: plain }
    }

    /// With bodies to be encoded this way by [`encode`](Self::encode).
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
        Ok(match self.made(recipient)? {
            Made::Spliced(known) => known.with(recipient),
            Made::InFull(rendered) => rendered,
        })
    }

    /// Fills `encoded` with the same, which costs little once somebody of the person's shape was met.
    pub fn encode(
        &self,
        recipient: &RecipientContext,
        encoded: &mut Encoded,
    ) -> Result<(), RenderError> {
        match self.made(recipient)? {
            Made::Spliced(known) => known.encode_with(recipient, encoded),
            Made::InFull(rendered) => rendered.encode(self.encode, encoded),
        }
        Ok(())
    }

    /// A person's notice by what is known of their shape, else rendered in full and learned from.
    fn made(&self, recipient: &RecipientContext) -> Result<Made, RenderError> {
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
        let is_new = known.is_none();
        if let Some(Known::Spliced(known)) = known {
            return Ok(Made::Spliced(known));
        }
        let mut person = Value::Object(fields(recipient)?);
        let rendered = locale.render(&all(shared, &person))?;
        if is_new {
            mark(&mut person);
            let marked = locale.unfilled(&all(shared, &person)).ok();
            self.shapes.learn(recipient, marked.as_ref(), &rendered, self.encode);
        }
        Ok(Made::InFull(rendered))
    }
}

/// Both halves side by side.
fn all(shared: &Map<String, Value>, person: &Value) -> Context {
    let mut all = shared.clone();
    all.extend(person.as_object().cloned().unwrap_or_default());
    Context::from(Value::Object(all))
}
