//! What a point of a template can see: every sample, from the block it stands in.
//!
//! Owns the reading of paths (`field.field`, `@root.field`, `this`). Knows no templates and no
//! places; the lint turns what is missing into an error with a line.

use serde_json::Value;

/// One sample as seen from one point of a template.
#[derive(Clone)]
pub(super) struct View<'v> {
    /// The sample's name.
    pub(super) variant: &'v str,
    root: &'v Value,
    here: &'v Value,
    /// Whether the conditions passed so far hold for it. The others still show which fields exist.
    pub(super) live: bool,
    /// Whether one of those conditions was the class of the credential it looks at.
    pub(super) decided: bool,
}

/// All samples at one point, and the path of that point's block from the root.
pub(super) struct Scope<'v> {
    pub(super) views: Vec<View<'v>>,
    pub(super) prefix: String,
}

/// Why a path leads nowhere.
pub(super) enum Missing {
    /// Written in a way notices do not use.
    Form,
    /// No such field; the fields there are, for the hint.
    Field { known: String },
}

impl<'v> Scope<'v> {
    /// The top of a template.
    pub(super) fn of(samples: &'v [(String, Value)]) -> Self {
        let view = |(variant, value): &'v (String, Value)| View {
            variant,
            root: value,
            here: value,
            live: true,
            decided: false,
        };
        Self { views: samples.iter().map(view).collect(), prefix: String::new() }
    }

    /// The two branches of a condition, given its answer in each view.
    pub(super) fn split(&self, answers: &[bool]) -> (Self, Self) {
        let branch = |wanted: bool| Self {
            views: self
                .views
                .iter()
                .zip(answers)
                .map(|(view, answer)| View { live: view.live && *answer == wanted, ..view.clone() })
                .collect(),
            prefix: self.prefix.clone(),
        };
        (branch(true), branch(false))
    }

    /// The same where a condition on the class of a credential was met: `holding` views have decided.
    pub(super) fn decide(&mut self, holding: &[bool]) {
        for (view, holds) in self.views.iter_mut().zip(holding) {
            view.decided |= *holds;
        }
    }

    /// The items of the list at `path`, and the branch for empty lists, given the list in each
    /// view. `None` where one is no list, or all are empty and nothing inside could be checked.
    pub(super) fn enter(
        &self,
        path: &str,
        lists: &[Option<&'v Vec<Value>>],
    ) -> Option<(Self, Self)> {
        let mut views = Vec::new();
        let mut empty = Vec::with_capacity(lists.len());
        for (view, list) in self.views.iter().zip(lists) {
            let items = (*list)?;
            views.extend(items.iter().map(|here| View { here, ..view.clone() }));
            empty.push(items.is_empty());
        }
        if views.is_empty() {
            return None;
        }
        let prefix = format!("{}[].", absolute(path, &self.prefix));
        Some((Self { views, prefix }, self.split(&empty).0))
    }
}

impl<'v> View<'v> {
    /// What tells this view's item from all others: where it lies in memory.
    pub(super) fn item(&self) -> *const Value {
        self.here
    }

    /// The value at `path`.
    pub(super) fn look_up(&self, path: &str) -> Result<&'v Value, Missing> {
        let is_local = path.starts_with('@') && !path.starts_with("@root.");
        if is_local || path.contains("..") || path.contains(['/', '[']) {
            return Err(Missing::Form);
        }
        let (mut value, steps) = match path.strip_prefix("@root.") {
            Some(rest) => (self.root, rest),
            None => (self.here, path.strip_prefix("this.").unwrap_or(path)),
        };
        if steps != "this" {
            for step in steps.split('.') {
                let fields =
                    value.as_object().ok_or(Missing::Field { known: "none".to_owned() })?;
                value = fields.get(step).ok_or_else(|| Missing::Field {
                    known: match fields.len() {
                        0 => "none".to_owned(),
                        _ => fields.keys().cloned().collect::<Vec<_>>().join(", "),
                    },
                })?;
            }
        }
        Ok(value)
    }
}

/// A path as seen under `prefix`, from the root; list items as `[]`.
pub(super) fn absolute(path: &str, prefix: &str) -> String {
    match path.strip_prefix("@root.") {
        Some(rest) => rest.to_owned(),
        None if path == "this" => prefix.trim_end_matches('.').to_owned(),
        None => format!("{prefix}{}", path.strip_prefix("this.").unwrap_or(path)),
    }
}
