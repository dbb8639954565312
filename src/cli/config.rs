//! `forthwith config`.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError, problem};
use crate::app::SHIPPED;
use crate::config::check;
use crate::domain::clock::{Clock as _, SystemClock};

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
    } else if !findings.problems.is_empty() {
        let look = context.printer.data_look();
        context.printer.data(&problem::shown(&findings.problems, look))?;
    }
    context.printer.say(&format!("{} files read", findings.read.len()));
    match findings.problems.len() {
        0 => {
            context.printer.say("nothing is wrong with them");
            Ok(())
        }
        1 => Err(CliError::refused("1 problem; hint: it says what to do")),
        more => Err(CliError::refused(format!("{more} problems; hint: each says what to do"))),
    }
}
