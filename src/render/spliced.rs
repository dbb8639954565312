//! A notice rendered once for all people of one shape, with marks where personal values stand.
//!
//! The people of a campaign differ in a few ways that templates ask about (their shape) and in values that
//! are only printed: name, link, reference and merge fields. The template language has no way to ask more of
//! a printed value than whether it is empty, except as a word's parameter, which the lint notes. So what was
//! rendered with marks, and the values put in their places, is what would have been rendered; the first
//! person of each shape is rendered both ways, and where the two differ nothing is spliced.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use handlebars::html_escape;
use serde_json::Value;

use super::context::{RecipientContext, Shape};
use super::templates::{Rendered, one_line};
use super::wrap;

/// Around the number of a value; private characters that no template has.
const MARK: [char; 2] = ['\u{f8f1}', '\u{f8f2}'];

/// So many shapes are kept; whoever comes after is rendered in full.
const MOST: usize = 256;

/// A text, each piece with the value that follows it.
type Pieces = Vec<(String, Option<usize>)>;

/// A notice with gaps.
pub(super) struct Spliced {
    subject: Pieces,
    text: Vec<Part>,
    html: Pieces,
}

/// Of the text part.
enum Part {
    /// Lines without personal values, filled.
    Filled(String),
    /// One line, to be filled with its values in place.
    Line(Pieces),
}

/// What is known of a shape.
#[derive(Clone)]
pub(super) enum Known {
    /// Its notice with gaps.
    Spliced(Arc<Spliced>),
    /// It has to be rendered in full.
    InFull,
}

/// The shapes met so far.
#[derive(Default)]
pub(super) struct Shapes(Mutex<Vec<(Shape, Known)>>);

impl fmt::Debug for Shapes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shapes").finish_non_exhaustive()
    }
}

/// Whether a path is that of a value which is only printed, or of several.
pub(super) fn is_personal(path: &str) -> bool {
    path == "reference"
        || ["person.name", "person.link", "person.fields"].iter().any(|own| path.starts_with(own))
}

impl Shapes {
    /// What is known of the shape of a person; `None` where nobody of it was met.
    pub(super) fn find(&self, recipient: &RecipientContext) -> Option<Known> {
        let shapes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shapes.iter().find(|(shape, _)| shape.is_of(recipient)).map(|(_, known)| known.clone())
    }

    /// Keeps the notice of a shape, `marked` as [`mark`] has it, if it gives what this person's was
    /// `rendered` to.
    pub(super) fn learn(
        &self,
        recipient: &RecipientContext,
        marked: Option<&Rendered>,
        rendered: &Rendered,
    ) {
        let spliced = marked.and_then(Spliced::of);
        let known = spliced
            .filter(|spliced| spliced.with(recipient) == *rendered)
            .map_or(Known::InFull, |spliced| Known::Spliced(Arc::new(spliced)));
        let mut shapes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() < MOST && !shapes.iter().any(|(shape, _)| shape.is_of(recipient)) {
            shapes.push((recipient.shape(), known));
        }
    }
}

/// Puts marks in the places of a person's values; those that are empty stay so.
pub(super) fn mark(person: &mut Value) {
    let mut number = 0;
    let mut put = |value: Option<&mut Value>| {
        if let Some(Value::String(text)) = value
            && !text.is_empty()
        {
            *text = format!("{}{number}{}", MARK[0], MARK[1]);
        }
        number += 1;
    };
    put(person.pointer_mut("/person/name"));
    put(person.pointer_mut("/person/link"));
    put(person.pointer_mut("/reference"));
    let fields = person.pointer_mut("/person/fields").and_then(Value::as_object_mut);
    for (_, value) in fields.into_iter().flatten() {
        put(Some(value));
    }
}

impl Spliced {
    /// The notice with gaps, if its marks can be read.
    fn of(marked: &Rendered) -> Option<Self> {
        Some(Self {
            subject: pieces(&marked.subject)?,
            text: parts(&marked.text)?,
            html: pieces(&marked.html)?,
        })
    }

    /// The notice of one person of its shape.
    pub(super) fn with(&self, recipient: &RecipientContext) -> Rendered {
        let values = recipient.values();
        let plain = |value: usize| Cow::Borrowed(values.get(value).copied().unwrap_or_default());
        let mut subject = String::new();
        splice(&self.subject, &mut subject, plain);
        let mut text = String::with_capacity(4096);
        let mut line = String::new();
        for part in &self.text {
            match part {
                Part::Filled(lines) => text.push_str(lines),
                Part::Line(pieces) => {
                    line.clear();
                    splice(pieces, &mut line, plain);
                    wrap::fill_line(line.trim_end(), &mut text);
                }
            }
        }
        let length = self.html.iter().map(|(piece, _)| piece.len() + 64).sum();
        let mut html = String::with_capacity(length);
        splice(&self.html, &mut html, |value| Cow::Owned(html_escape(&plain(value))));
        Rendered { subject: one_line(&subject), text, html }
    }
}

fn splice<'v>(
    pieces: &[(String, Option<usize>)],
    out: &mut String,
    value: impl Fn(usize) -> Cow<'v, str>,
) {
    for (piece, after) in pieces {
        out.push_str(piece);
        if let Some(number) = after {
            out.push_str(&value(*number));
        }
    }
}

/// Cuts a text at its marks; `None` where they are not as they were set.
fn pieces(text: &str) -> Option<Pieces> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, marked)) = rest.split_once(MARK[0]) {
        let (number, after) = marked.split_once(MARK[1])?;
        pieces.push((before.to_owned(), Some(number.parse().ok()?)));
        rest = after;
    }
    pieces.push((rest.to_owned(), None));
    Some(pieces)
}

/// The text part by lines, as [`wrap::fill`] fills them: those without marks are filled here.
fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut filled = String::new();
    let (mut blank_due, mut is_first) = (false, true);
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            blank_due = !is_first;
            continue;
        }
        is_first = false;
        if std::mem::take(&mut blank_due) {
            filled.push('\n');
        }
        if line.contains(MARK[0]) {
            parts.push(Part::Filled(std::mem::take(&mut filled)));
            parts.push(Part::Line(pieces(line)?));
        } else {
            wrap::fill_line(line, &mut filled);
        }
    }
    parts.push(Part::Filled(filled));
    Some(parts)
}
