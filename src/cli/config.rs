//! `forthwith config`.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError, problem};
use crate::app::SHIPPED;
use crate::config::check;
use crate::domain::clock::{Clock as _, SystemClock};
use crate::domain::problem::Problem;

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Verb {
    /// Read the configuration, the keys, every incident, every campaign and its templates, and list
    /// all that is wrong
    Check(AsJson),
    /// Print every setting in force, with where it comes from
    Show(AsJson),
}

/// One setting as listed.
#[derive(Serialize)]
struct SettingView<'a> {
    key: &'a str,
    value: &'a toml::Value,
    origin: String,
}

/// What may be meant so, as listed.
#[derive(Serialize)]
struct Remark<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    remark: bool,
}

pub(super) fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Check(form) => check_files(form, context),
        Verb::Show(form) => {
            let config = context.config()?;
            let rows: Vec<SettingView<'_>> = config
                .settings()
                .iter()
                .map(|(key, leaf)| SettingView {
                    key,
                    value: &leaf.value,
                    origin: leaf.origin.to_string(),
                })
                .collect();
            let columns = ["key", "value", "origin"];
            Listing::print(context.printer, &columns, form.json, &rows, "")
        }
    }
}

fn check_files(form: AsJson, context: &Context<'_>) -> Result<(), CliError> {
    let now = SystemClock.now();
    let findings = check::check(&context.workspace, &context.variables, SHIPPED, now);
    if form.json {
        for problem in &findings.problems {
            context.printer.json_line(problem)?;
        }
        for problem in &findings.remarks {
            context.printer.json_line(&Remark { problem, remark: true })?;
        }
    } else {
        let look = context.printer.data_look();
        let (faults, remarks) = (&findings.problems, &findings.remarks);
        let shown = [problem::shown(faults, look), problem::remarks(remarks, look)];
        let shown: Vec<String> = shown.into_iter().filter(|text| !text.is_empty()).collect();
        if !shown.is_empty() {
            context.printer.data(&shown.join("\n\n"))?;
        }
    }
    context.printer.say(&format!("{} files read", findings.read.len()));
    match findings.problems.len() {
        0 => {
            context.printer.say(match findings.remarks.len() {
                0 => "nothing is wrong with them",
                _ => "nothing is wrong with them; the remarks are worth a look",
            });
            Ok(())
        }
        1 => Err(CliError::refused("1 problem; hint: mend it and check again")),
        more => Err(CliError::refused(format!("{more} problems; hint: mend them and check again"))),
    }
}
