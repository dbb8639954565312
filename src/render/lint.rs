//! Reads a parsed template the way handlebars would, against every sample, and refuses what
//! handlebars lets pass: misspelt conditions, unescaped output, unknown helpers, empty prints.
//!
//! Knows templates and JSON only. A path must exist in *every* sample; what is printed must not be
//! empty in any sample that comes to that point. A fault does not end the walk: it goes on behind the
//! element it stands in.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{JsonTruthy, Template};
use serde_json::Value;

use super::context::CLASS_FLAGS;
use super::error::{Place, RenderError};
use super::language::Language;
use super::scope::{Missing, Scope, View, absolute};
use super::words;

/// Where partials live; `{{> x}}` is the file `x.hbs`.
pub(super) const PARTIALS: &str = "mail/partials/";

/// Inside `{{#each credentials}}`, as the paths there begin.
const CREDENTIALS: &str = "credentials[].";

/// The walk through one template and its partials.
pub(super) struct Lint<'l> {
    parsed: &'l BTreeMap<String, Template>,
    html: bool,
    language: Language,
    paths: BTreeSet<String>,
    worked: BTreeSet<String>,
    /// The credentials, of all samples, whose class the template says something about.
    spoken_of: BTreeSet<*const Value>,
    trail: Vec<String>,
    /// The path noted last, and under which prefix.
    noted: Option<(String, String)>,
    faults: Vec<RenderError>,
}

/// What the walk through a template came to.
pub(super) struct Looked {
    /// Every path it and its partials look at, from the root, list items as `[]`.
    pub(super) paths: BTreeSet<String>,
    /// Those of them that are a word's parameter: of all others nothing is asked but whether there is
    /// something to print.
    pub(super) worked: BTreeSet<String>,
    /// The flag of a class it is silent about, and the sample.
    pub(super) untold: Option<(&'static str, String)>,
    /// All that is wrong, in the order of the template.
    pub(super) faults: Vec<RenderError>,
}

/// Walks the template `name`, whose words are written in `language`. `html` forbids unescaped output.
pub(super) fn check(
    name: &str,
    parsed: &BTreeMap<String, Template>,
    html: bool,
    language: Language,
    samples: &[(String, Value)],
) -> Looked {
    let Some(template) = parsed.get(name) else {
        let faults = vec![RenderError::MissingPart { template: name.to_owned() }];
        let (paths, worked) = (BTreeSet::new(), BTreeSet::new());
        return Looked { paths, worked, untold: None, faults };
    };
    let mut lint = Lint {
        parsed,
        html,
        language,
        paths: BTreeSet::new(),
        worked: BTreeSet::new(),
        spoken_of: BTreeSet::new(),
        trail: vec![name.to_owned()],
        noted: None,
        faults: Vec::new(),
    };
    lint.template(template, &Scope::of(samples), (1, 1));
    let untold = lint.untold(samples);
    Looked { paths: lint.paths, worked: lint.worked, untold, faults: lint.faults }
}

impl Lint<'_> {
    fn template(&mut self, template: &Template, scope: &Scope<'_>, outer: (usize, usize)) {
        for (at, element) in template.elements.iter().enumerate() {
            // The branches of `else if` carry no position of their own.
            let position = template.mapping.get(at).map_or(outer, |place| (place.0, place.1));
            if let Err(fault) = self.element(element, scope, position) {
                self.faults.push(fault);
            }
        }
    }

    fn element(
        &mut self,
        element: &TemplateElement,
        scope: &Scope<'_>,
        at: (usize, usize),
    ) -> Result<(), RenderError> {
        match element {
            TemplateElement::RawString(text) => {
                if !text.trim().is_empty() {
                    self.speaks(scope);
                }
                Ok(())
            }
            TemplateElement::Comment(_) => Ok(()),
            TemplateElement::HtmlExpression(_) if self.html => {
                Err(RenderError::RawOutput { place: self.place(at) })
            }
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                self.expression(call, scope, at)
            }
            TemplateElement::HelperBlock(block) => self.block(block, scope, at),
            TemplateElement::PartialExpression(partial) => {
                let (Some(name), true) =
                    (partial.name.as_name(), partial.params.is_empty() && partial.hash.is_empty())
                else {
                    return Err(
                        self.unsupported(at, "a partial with parameters or a computed name")
                    );
                };
                self.partial(name, scope, at)
            }
            TemplateElement::PartialBlock(_) => Err(self.unsupported(at, "a partial block")),
            TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                Err(self.unsupported(at, "a decorator"))
            }
            _ => Err(self.unsupported(at, "this construct")),
        }
    }

    fn partial(
        &mut self,
        name: &str,
        scope: &Scope<'_>,
        at: (usize, usize),
    ) -> Result<(), RenderError> {
        let file = partial_file(name);
        let parsed = self.parsed;
        let Some(template) = parsed.get(&file).filter(|_| file.starts_with(PARTIALS)) else {
            return Err(RenderError::MissingPartial {
                place: self.place(at),
                partial: name.to_owned(),
            });
        };
        if self.trail.contains(&file) {
            return Err(RenderError::EndlessPartial {
                place: self.place(at),
                partial: name.to_owned(),
            });
        }
        self.trail.push(file);
        self.template(template, scope, (1, 1));
        self.trail.pop();
        Ok(())
    }

    fn expression(
        &mut self,
        call: &HelperTemplate,
        scope: &Scope<'_>,
        at: (usize, usize),
    ) -> Result<(), RenderError> {
        let name = call.name.as_name().unwrap_or_default();
        let Some(word) = words::find(name) else {
            if call.params.is_empty()
                && call.hash.is_empty()
                && matches!(call.name, Parameter::Path(_))
            {
                return self.print(name, scope, at);
            }
            return Err(RenderError::UnknownHelper {
                place: self.place(at),
                helper: name.to_owned(),
            });
        };
        if !call.hash.is_empty() {
            return Err(self.unsupported(at, "a named parameter"));
        }
        let first = call.params.first().and_then(Parameter::as_name).unwrap_or("…");
        let named = call.params.iter().filter_map(Parameter::as_name);
        self.worked.extend(named.map(|path| absolute(path, &scope.prefix)));
        for view in &scope.views {
            let mut values = Vec::with_capacity(call.params.len());
            for param in &call.params {
                values.push(match param {
                    Parameter::Literal(value) => value,
                    Parameter::Path(_) => {
                        self.resolve(param.as_name().unwrap_or_default(), view, &scope.prefix, at)?
                    }
                    _ => return Err(self.unsupported(at, "an expression inside an expression")),
                });
            }
            if !view.live {
                continue;
            }
            word(self.language, &values).map_err(|expected| RenderError::BadArgument {
                place: self.place(at),
                message: bad_argument(view.variant, name, first, &expected),
            })?;
        }
        Ok(())
    }

    fn print(
        &mut self,
        path: &str,
        scope: &Scope<'_>,
        at: (usize, usize),
    ) -> Result<(), RenderError> {
        for view in &scope.views {
            let value = self.resolve(path, view, &scope.prefix, at)?;
            let prints = match value {
                Value::String(text) => !text.trim().is_empty(),
                Value::Number(_) => true,
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
            };
            if view.live && !prints {
                return Err(RenderError::NothingToPrint {
                    place: self.place(at),
                    path: path.to_owned(),
                    variant: view.variant.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        block: &HelperTemplate,
        scope: &Scope<'_>,
        at: (usize, usize),
    ) -> Result<(), RenderError> {
        let name = block.name.as_name().unwrap_or_default();
        if !matches!(name, "if" | "unless" | "each") {
            return Err(RenderError::UnknownHelper {
                place: self.place(at),
                helper: name.to_owned(),
            });
        }
        let ([param], true, None) =
            (block.params.as_slice(), block.hash.is_empty(), &block.block_param)
        else {
            return Err(self.unsupported(at, "a block with other than one parameter"));
        };
        let (body, otherwise) = if name == "each" {
            self.items(param, scope, at)?
        } else {
            self.branches(param, name == "unless", scope, at)?
        };
        for (template, scope) in [(&block.template, body), (&block.inverse, otherwise)] {
            if let Some(template) = template {
                self.template(template, &scope, at);
            }
        }
        Ok(())
    }

    /// The scopes of a condition's two branches.
    fn branches<'v>(
        &mut self,
        param: &Parameter,
        negate: bool,
        scope: &Scope<'v>,
        at: (usize, usize),
    ) -> Result<(Scope<'v>, Scope<'v>), RenderError> {
        let mut answers = Vec::with_capacity(scope.views.len());
        for view in &scope.views {
            answers.push(self.holds(param, view, &scope.prefix, at)? != negate);
        }
        let (mut body, otherwise) = scope.split(&answers);
        let tested = param.as_name().unwrap_or_default();
        if !negate && scope.prefix == CREDENTIALS && CLASS_FLAGS.contains(&tested) {
            body.decide(&answers);
        }
        Ok((body, otherwise))
    }

    /// Text stands here: whoever's class was asked for on the way is told of it.
    fn speaks(&mut self, scope: &Scope<'_>) {
        let told = scope.views.iter().filter(|view| view.live && view.decided);
        self.spoken_of.extend(told.map(View::item));
    }

    /// The first credential of a sample that no word was said about.
    fn untold(&self, samples: &[(String, Value)]) -> Option<(&'static str, String)> {
        samples.iter().find_map(|(variant, sample)| {
            let credentials = sample["credentials"].as_array()?;
            let silent = credentials
                .iter()
                .find(|one| !self.spoken_of.contains(&std::ptr::from_ref(*one)))?;
            let flag = CLASS_FLAGS.into_iter().find(|flag| silent[*flag] == true)?;
            Some((flag, variant.clone()))
        })
    }

    fn holds(
        &mut self,
        param: &Parameter,
        view: &View<'_>,
        prefix: &str,
        at: (usize, usize),
    ) -> Result<bool, RenderError> {
        match param {
            Parameter::Path(_) => Ok(self
                .resolve(param.as_name().unwrap_or_default(), view, prefix, at)?
                .is_truthy(false)),
            Parameter::Subexpression(inner) => {
                let name = inner.name();
                if !matches!(name, "and" | "or" | "not") {
                    let (place, helper) = (self.place(at), name.to_owned());
                    return Err(RenderError::UnknownHelper { place, helper });
                }
                let mut answers = Vec::new();
                for param in inner.params().into_iter().flatten() {
                    answers.push(self.holds(param, view, prefix, at)?);
                }
                match (name, answers.as_slice()) {
                    ("and", [first, second]) => Ok(*first && *second),
                    ("or", [first, second]) => Ok(*first || *second),
                    ("not", [only]) => Ok(!only),
                    _ => {
                        Err(self.unsupported(at, "and/or without two parameters, not without one"))
                    }
                }
            }
            _ => Err(self.unsupported(at, "a condition that is always the same")),
        }
    }

    /// The scopes of a list's items, and of its `else` branch.
    fn items<'v>(
        &mut self,
        param: &Parameter,
        scope: &Scope<'v>,
        at: (usize, usize),
    ) -> Result<(Scope<'v>, Scope<'v>), RenderError> {
        let Parameter::Path(_) = param else {
            return Err(self.unsupported(at, "#each over anything but a field"));
        };
        let path = param.as_name().unwrap_or_default();
        let mut lists = Vec::with_capacity(scope.views.len());
        for view in &scope.views {
            lists.push(self.resolve(path, view, &scope.prefix, at)?.as_array());
        }
        scope
            .enter(path, &lists)
            .ok_or_else(|| RenderError::NoList { place: self.place(at), path: path.to_owned() })
    }

    fn resolve<'v>(
        &mut self,
        path: &str,
        view: &View<'v>,
        prefix: &str,
        at: (usize, usize),
    ) -> Result<&'v Value, RenderError> {
        let value = view.look_up(path).map_err(|missing| match missing {
            Missing::Form => {
                self.unsupported(at, "a path other than field.field, @root.field or this")
            }
            Missing::Field { known } => {
                RenderError::UnknownPath { place: self.place(at), path: path.to_owned(), known }
            }
        })?;
        // the same for all views of this point: noted with the first
        if self.noted.as_ref().is_none_or(|(noted, under)| noted != path || under != prefix) {
            self.paths.insert(absolute(path, prefix));
            self.noted = Some((path.to_owned(), prefix.to_owned()));
        }
        Ok(value)
    }

    fn place(&self, (line, column): (usize, usize)) -> Place {
        Place { template: self.trail.last().cloned().unwrap_or_default(), line, column }
    }

    fn unsupported(&self, at: (usize, usize), what: &'static str) -> RenderError {
        RenderError::Unsupported { place: self.place(at), what }
    }
}

/// What is wrong with a helper's parameters in one sample; `first` is the first of them.
fn bad_argument(variant: &str, helper: &str, first: &str, expected: &str) -> String {
    let example = words::example(helper);
    let usual = format!("as in {example}; inside {{{{#if {first}}}}} where that can be missing");
    let (expected, hint) = expected.split_once("; hint: ").unwrap_or((expected, &usual));
    format!("for the variant `{variant}`, `{helper}` {expected}; hint: {hint}")
}

/// The file of `{{> name}}`.
pub(super) fn partial_file(name: &str) -> String {
    format!("{name}.hbs")
}
