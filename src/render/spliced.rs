//! A notice rendered once for all people of one shape, with marks where personal values stand.
//!
//! The people of a campaign differ in a few ways that templates ask about (their shape) and in values that
//! are only printed: name, link, reference and merge fields. The template language has no way to ask more of
//! a printed value than whether it is empty, except as a word's parameter, which the lint notes. So what was
//! rendered with marks, and the values put in their places, is what would have been rendered; the first
//! person of each shape is rendered both ways, and where the two differ nothing is spliced.
//!
//! A message carries bodies encoded line by line, so lines without such values are encoded once too.

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

/// Room for most lines, in bytes.
const LINE: usize = 256;

/// A text, each piece with the value that follows it.
type Pieces = Vec<(String, Option<usize>)>;

/// Puts whole lines of a body at the end as a message carries them; each line by itself, whatever stands
/// before and after it.
pub type Encode = fn(&str, &mut Vec<u8>);

/// A notice whose bodies are as a message carries them. Filled again and again: its room is kept.
#[derive(Default, PartialEq, Eq)]
pub struct Encoded {
    /// One line, without control characters; not encoded.
    pub subject: String,
    /// The text part.
    pub text: Vec<u8>,
    /// The HTML part.
    pub html: Vec<u8>,
}

impl Rendered {
    /// Fills `encoded` with it.
    pub(super) fn encode(&self, encode: Encode, encoded: &mut Encoded) {
        encoded.clear();
        encoded.subject.push_str(&self.subject);
        encode(&self.text, &mut encoded.text);
        encode(&self.html, &mut encoded.html);
    }
}

impl Encoded {
    fn clear(&mut self) {
        let Self { subject, text, html } = self;
        subject.clear();
        text.clear();
        html.clear();
    }
}

/// A notice with gaps.
pub(super) struct Spliced {
    subject: Pieces,
    text: Vec<Part>,
    html: Vec<Part>,
    encode: Encode,
}

/// Of a body.
enum Part {
    /// Lines without personal values: as they are, in the text part filled; and encoded.
    Same(String, Vec<u8>),
    /// One line, its values to be put in; in the text part it is filled after that.
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
        encode: Encode,
    ) {
        let spliced = marked.and_then(|marked| Spliced::of(marked, encode));
        let is_right = |spliced: &Spliced| {
            let (mut by_parts, mut whole) = (Encoded::default(), Encoded::default());
            spliced.encode_with(recipient, &mut by_parts);
            rendered.encode(encode, &mut whole);
            spliced.with(recipient) == *rendered && by_parts == whole
        };
        let known = spliced
            .filter(is_right)
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
    fn of(marked: &Rendered, encode: Encode) -> Option<Self> {
        Some(Self {
            subject: pieces(&marked.subject)?,
            text: text_parts(&marked.text, encode)?,
            html: html_parts(&marked.html, encode)?,
            encode,
        })
    }

    fn subject(&self, values: &[&str]) -> String {
        let mut subject = String::with_capacity(LINE);
        splice(&self.subject, &mut subject, |value| plain(values, value));
        one_line(&subject)
    }

    /// The notice of one person of its shape.
    pub(super) fn with(&self, recipient: &RecipientContext) -> Rendered {
        let values = recipient.values();
        Rendered {
            subject: self.subject(&values),
            text: self.text.iter().map(|part| part.plain(|line| filled(line, &values))).collect(),
            html: self.html.iter().map(|part| part.plain(|line| escaped(line, &values))).collect(),
        }
    }

    /// Fills `encoded` with the same.
    pub(super) fn encode_with(&self, recipient: &RecipientContext, encoded: &mut Encoded) {
        let values = recipient.values();
        encoded.clear();
        encoded.subject.push_str(&self.subject(&values));
        self.encode(&self.text, |line| filled(line, &values), &mut encoded.text);
        self.encode(&self.html, |line| escaped(line, &values), &mut encoded.html);
    }

    fn encode(&self, parts: &[Part], line: impl Fn(&Pieces) -> String, body: &mut Vec<u8>) {
        for part in parts {
            match part {
                Part::Same(_, encoded) => body.extend_from_slice(encoded),
                Part::Line(pieces) => (self.encode)(&line(pieces), body),
            }
        }
    }
}

impl Part {
    /// Its lines; `line` makes one of pieces.
    fn plain(&self, line: impl Fn(&Pieces) -> String) -> Cow<'_, str> {
        match self {
            Self::Same(lines, _) => Cow::Borrowed(lines),
            Self::Line(pieces) => Cow::Owned(line(pieces)),
        }
    }
}

fn plain<'v>(values: &[&'v str], number: usize) -> Cow<'v, str> {
    Cow::Borrowed(values.get(number).copied().unwrap_or_default())
}

/// One line of the text part, filled after its values are put in.
fn filled(pieces: &Pieces, values: &[&str]) -> String {
    let (mut line, mut filled) = (String::with_capacity(LINE), String::with_capacity(LINE));
    splice(pieces, &mut line, |value| plain(values, value));
    wrap::fill_line(line.trim_end(), &mut filled);
    filled
}

/// One line of the HTML part, its values escaped.
fn escaped(pieces: &Pieces, values: &[&str]) -> String {
    let mut line = String::with_capacity(LINE);
    splice(pieces, &mut line, |value| Cow::Owned(html_escape(&plain(values, value))));
    line
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

/// Collects lines that are the same for all, and those that are not.
struct Parts {
    done: Vec<Part>,
    same: String,
    encode: Encode,
}

impl Parts {
    fn new(encode: Encode) -> Self {
        Self { done: Vec::new(), same: String::new(), encode }
    }

    fn line(&mut self, pieces: Pieces) {
        self.end_same();
        self.done.push(Part::Line(pieces));
    }

    fn end_same(&mut self) {
        let same = std::mem::take(&mut self.same);
        if !same.is_empty() {
            let mut encoded = Vec::new();
            (self.encode)(&same, &mut encoded);
            self.done.push(Part::Same(same, encoded));
        }
    }

    fn done(mut self) -> Vec<Part> {
        self.end_same();
        self.done
    }
}

/// The text part by lines, as [`wrap::fill`] fills them: those without marks are filled here.
fn text_parts(text: &str, encode: Encode) -> Option<Vec<Part>> {
    let mut parts = Parts::new(encode);
    let (mut blank_due, mut is_first) = (false, true);
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            blank_due = !is_first;
            continue;
        }
        is_first = false;
        if std::mem::take(&mut blank_due) {
            parts.same.push('\n');
        }
        if line.contains(MARK[0]) {
            parts.line(pieces(line)?);
        } else {
            wrap::fill_line(line, &mut parts.same);
        }
    }
    Some(parts.done())
}

/// The HTML part by lines, with their ends.
fn html_parts(html: &str, encode: Encode) -> Option<Vec<Part>> {
    let mut parts = Parts::new(encode);
    for line in html.split_inclusive('\n') {
        if line.contains(MARK[0]) {
            parts.line(pieces(line)?);
        } else {
            parts.same.push_str(line);
        }
    }
    Some(parts.done())
}
