//! Reply rules: the shipped table, and a workspace's own rules before it.

use super::layers::{Origin, Problem};
use crate::domain::provider::ProviderTable;
use crate::domain::reply::{ReplyRules, RuleFault, RuleFile};

/// The rules every workspace has.
const SHIPPED: &str = include_str!("../../config/replies.toml");

/// A workspace's own rules, beside `forthwith.toml`.
pub const FILE: &str = "replies.toml";

/// The shipped table alone.
pub fn shipped() -> Result<ReplyRules, String> {
    let file = toml::from_str(SHIPPED).map_err(|error| error.to_string())?;
    ReplyRules::new(file, None).map_err(|fault| fault.to_string())
}

/// The table with the workspace's own rules, or what is wrong with them, each at its line. A rule for
/// a provider that nobody is sorted under would never match, so it is refused too.
pub(super) fn read(
    own: Option<&str>,
    providers: Option<&ProviderTable>,
    problems: &mut Vec<Problem>,
) -> Option<ReplyRules> {
    let Some(text) = own else { return take(shipped(), problems) };
    let at = |line, what| Problem { origin: Origin::File { file: FILE.into(), line }, what };
    let file: RuleFile = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let start = error.span().unwrap_or_default().start;
            problems.push(at(line_of(text, start), error.message().to_owned()));
            return None;
        }
    };
    let before = problems.len();
    for (place, rule, provider) in file.providers() {
        let is_known = |table: &ProviderTable| table.names().any(|name| name.as_str() == provider);
        if providers.is_some_and(|table| !is_known(table)) {
            let what = format!(
                "rule `{rule}`: there is no provider `{provider}`; hint: use a name of \
                 providers.toml, or `other`"
            );
            problems.push(at(line_of_rule(text, place), what));
        }
    }
    let shipped = toml::from_str(SHIPPED).map_err(|error| error.to_string());
    let shipped = take(shipped, problems)?;
    match ReplyRules::new(shipped, Some(file)) {
        Ok(rules) if problems.len() == before => Some(rules),
        Ok(_) => None,
        Err(fault) => {
            problems.push(at(line_of_fault(text, &fault), fault.to_string()));
            None
        }
    }
}

fn take<T>(read: Result<T, String>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|what| problems.push(Problem { origin: Origin::Default, what })).ok()
}

fn line_of_fault(text: &str, fault: &RuleFault) -> usize {
    match &fault.rule {
        Some((place, _)) => line_of_rule(text, *place),
        None => line_where(text, |line| line == "[adapt]", 0),
    }
}

/// The line of the `[[rule]]` at this place, from 0.
fn line_of_rule(text: &str, place: usize) -> usize {
    line_where(text, |line| line == "[[rule]]", place)
}

fn line_where(text: &str, is_it: impl Fn(&str) -> bool, nth: usize) -> usize {
    let plain = |line: &str| line.split('#').next().unwrap_or_default().replace(' ', "");
    let mut found = text.lines().enumerate().filter(|(_, line)| is_it(&plain(line)));
    found.nth(nth).map_or(1, |(at, _)| at + 1)
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}
