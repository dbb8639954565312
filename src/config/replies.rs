//! Reply rules: the shipped table, and a workspace's own rules before it.

use crate::domain::problem::{Problem, ProblemList, nearest};
use crate::domain::provider::{ProviderName, ProviderTable};
use crate::domain::reply::{ReplyRules, RuleFile};
use crate::domain::toml_file::Problems;

/// The rules every workspace has.
const SHIPPED: &str = include_str!("../../config/replies.toml");

/// A workspace's own rules, beside `forthwith.toml`.
pub const FILE: &str = "replies.toml";

/// The shipped table alone.
pub fn shipped() -> Result<ReplyRules, String> {
    let file = toml::from_str(SHIPPED).map_err(|error| error.to_string())?;
    ReplyRules::new(file, None).map_err(|fault| fault.to_string())
}

/// What helps where a problem has no hint of its own.
const HINT: &str =
    "the head of `config/replies.toml` explains every key; `forthwith reply rules` lists all rules";

/// The table with the workspace's own rules, or all that is wrong with them. A rule for a provider that
/// nobody is sorted under would never match, so it is refused too.
pub(super) fn read(
    own: Option<&str>,
    providers: Option<&ProviderTable>,
    list: &mut ProblemList,
) -> Option<ReplyRules> {
    let ours = |what: String| Problem::of("config/replies.toml", &what);
    let shipped: RuleFile = match toml::from_str(SHIPPED) {
        Ok(file) => file,
        Err(error) => {
            list.push(ours(error.to_string()));
            return None;
        }
    };
    let Some(text) = own else {
        return ReplyRules::new(shipped, None)
            .map_err(|fault| list.push(ours(fault.to_string())))
            .ok();
    };
    let mut problems = Problems::of(FILE, text, HINT);
    let rules = problems.read(SHIPPED).and_then(|file: RuleFile| {
        check_providers(&file, providers, &mut problems);
        take(&shipped, file, &mut problems)
    });
    let is_fine = problems.is_empty();
    list.take(problems.into_list());
    rules.filter(|_| is_fine)
}

fn check_providers(
    file: &RuleFile,
    providers: Option<&ProviderTable>,
    problems: &mut Problems<'_>,
) {
    let Some(table) = providers else { return };
    for (place, rule, provider) in file.providers() {
        if table.names().any(|name| name.as_str() == provider) {
            continue;
        }
        let near = nearest(&provider, table.names().map(ProviderName::as_str));
        let hint = near.map_or_else(
            || "use a name of providers.toml, or `other`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let text = format!("rule `{rule}`: there is no provider `{provider}`; hint: {hint}");
        problems.at_within(&format!("rule.{place}.provider"), text);
    }
}

/// The table; each faulty rule is noted and left out, so that the next one is found too.
fn take(shipped: &RuleFile, mut own: RuleFile, problems: &mut Problems<'_>) -> Option<ReplyRules> {
    // the places of the rules that are left, as the file counts them
    let mut places: Vec<usize> = (0..own.count()).collect();
    loop {
        let fault = match ReplyRules::new(shipped.clone(), Some(own.clone())) {
            Ok(rules) => return Some(rules),
            Err(fault) => fault,
        };
        match &fault.rule {
            Some((place, _)) if *place < places.len() => {
                let written = places.remove(*place);
                problems.at_within(&format!("rule.{written}"), fault.to_string());
                own.leave_out(*place);
            }
            _ => {
                problems.at_within("adapt", fault.to_string());
                return None;
            }
        }
    }
}
