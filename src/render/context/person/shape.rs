//! What people of a campaign have in common when their notices are written, and what is one's own and only
//! printed.

use super::{PersonFacts, RecipientContext};
use crate::render::context::Reset;
use crate::secret::token::{PlainToken, ResetLink};

impl RecipientContext {
    /// What templates only print of this person: name, link, reference, merge fields by name. Each is one
    /// line, and either empty or more than blanks.
    pub(in crate::render) fn values(&self) -> Vec<&str> {
        let link = self.person.link.as_ref().map_or("", ResetLink::expose);
        let mut values = vec![self.person.name.as_str(), link, self.reference.as_str()];
        values.extend(self.person.fields.values().map(String::as_str));
        values
    }

    /// All else that templates can ask about this person.
    pub(in crate::render) fn shape(&self) -> Shape {
        Shape(Self {
            person: PersonFacts {
                name: stand_in(&self.person.name),
                fields: self
                    .person
                    .fields
                    .iter()
                    .map(|(name, value)| (name.clone(), stand_in(value)))
                    .collect(),
                link: None,
                ..self.person.clone()
            },
            reset: match &self.reset {
                // The link itself stands nowhere else, so it is not kept.
                Reset::Link { token_for, .. } => {
                    Reset::Link { link: PlainToken::sample().link(""), token_for: *token_for }
                }
                other => other.clone(),
            },
            reference: stand_in(&self.reference),
            ..self.clone()
        })
    }
}

/// As empty as the value, and nobody's.
fn stand_in(value: &str) -> String {
    if value.is_empty() { String::new() } else { "x".to_owned() }
}

/// What decides every word of a notice but the values that are only printed. Holds nothing of a person's.
pub(in crate::render) struct Shape(RecipientContext);

impl Shape {
    /// Whether somebody is of this shape.
    pub(in crate::render) fn is_of(&self, other: &RecipientContext) -> bool {
        let (shape, theirs) = (&self.0, &other.person);
        let PersonFacts {
            name, variant, trust, needs_new_password, knew_secret, unsubscribed, ..
        } = &shape.person;
        let alike = |one: &str, other: &str| one.is_empty() == other.is_empty();
        let reset = |reset: &Reset| match reset {
            Reset::Site => (0, None),
            Reset::Link { token_for, .. } => (1, Some(*token_for)),
            Reset::None => (2, None),
        };
        shape.locale == other.locale
            && (*variant, *trust) == (theirs.variant, theirs.trust)
            && (*needs_new_password, *knew_secret, *unsubscribed)
                == (theirs.needs_new_password, theirs.knew_secret, theirs.unsubscribed)
            && shape.credentials == other.credentials
            && shape.secrets == other.secrets
            && reset(&shape.reset) == reset(&other.reset)
            && alike(name, &theirs.name)
            && alike(&shape.reference, &other.reference)
            && shape.person.fields.len() == theirs.fields.len()
            && shape
                .person
                .fields
                .iter()
                .zip(&theirs.fields)
                .all(|((one, mine), (field, value))| one == field && alike(mine, value))
    }
}
