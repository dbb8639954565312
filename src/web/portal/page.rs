//! What every page is made of: layout, language links, a problem told where it is, and the values of its form.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use super::visitor::Visitor;
use super::{Site, message};
use crate::engine::portal::Portal;

/// The pages of one portal.
pub(super) struct Pages {
    base: String,
    languages: Vec<(String, String)>,
}

/// One page on its way to a browser.
pub(super) struct Page<'a> {
    name: &'static str,
    /// The path below the base, for the language links.
    here: &'static str,
    title: &'static str,
    step: Option<u8>,
    problem: Option<(String, &'static str)>,
    values: Value,
    site: &'a Site,
    visitor: &'a Visitor,
}

impl Pages {
    pub(super) fn new(portal: &Portal, base: String) -> Self {
        let languages = portal.pages().languages();
        let languages = languages.map(|(tag, name)| (tag.to_owned(), name.to_owned())).collect();
        Self { base, languages }
    }
}

impl<'a> Page<'a> {
    /// A page of this template at this path, with the text of this key as its title.
    pub(super) fn new(
        (site, visitor): (&'a Site, &'a Visitor),
        name: &'static str,
        here: &'static str,
        title: &'static str,
    ) -> Self {
        let values = json!({});
        Self { name, here, title, step: None, problem: None, values, site, visitor }
    }

    /// Which of the three steps it is.
    pub(super) fn step(self, step: u8) -> Self {
        Self { step: Some(step), ..self }
    }

    /// Values of its own.
    pub(super) fn with(mut self, values: Value) -> Self {
        if let (Some(own), Value::Object(more)) = (self.values.as_object_mut(), values) {
            own.extend(more);
        }
        self
    }

    /// What is wrong, by the key of its text, and in which field.
    pub(super) fn problem(self, key: &str, field: &'static str, values: &[(&str, &str)]) -> Self {
        let text = self.site.0.portal.pages().text(&self.visitor.language, key, values);
        let text = text.replace("{brand}", self.site.0.portal.brand().name.as_str());
        Self { problem: Some((text, field)), ..self }
    }

    /// The answer with this status.
    pub(super) fn answer(self, status: StatusCode) -> Response {
        let pages = &self.site.0.pages;
        let language = &self.visitor.language;
        let languages = pages
            .languages
            .iter()
            .map(|(tag, name)| json!({"tag": tag, "name": name, "current": tag == language}));
        let field = self.problem.as_ref().map_or("", |(_, field)| *field);
        let mut context = json!({
            "lang": language,
            "base": pages.base,
            "here": format!("{}{}", pages.base, self.here),
            "brand": self.site.0.portal.brand_words(language),
            "languages": languages.collect::<Vec<_>>(),
            "title": self.title,
            "step": self.step,
            "problem": self.problem.as_ref().map(|(text, _)| text),
            "field": field,
            "bad": {},
        });
        for known in ["address", "reference", "code", "token", "account", "password"] {
            context["bad"][known] = Value::from(known == field);
        }
        if let (Some(context), Value::Object(values)) = (context.as_object_mut(), self.values) {
            context.extend(values);
        }
        match self.site.0.portal.pages().page(self.name, &context) {
            Ok(page) => (status, Html(page)).into_response(),
            Err(error) => {
                tracing::error!(%error, "a page cannot be made");
                message::plain(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}
