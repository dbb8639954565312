//! `forthwith reply`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::context::Context;
use super::listing::{Listing, facts};
use super::{AsJson, CliError};
use crate::domain::provider::{ProviderName, ProviderTable};
use crate::domain::reply::{Action, Phase, Reading, Rule, SmtpReply};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Say what a server's reply is read as, by which rule, and what is done about it
    Explain(ExplainArgs),
    /// Print the rules in force, in the order in which they are tried
    List(AsJson),
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The reply as a log shows it, code first; several lines in one argument
    #[arg(value_name = "REPLY")]
    reply: String,
    /// The step it answered
    #[arg(long, value_name = "PHASE", value_parser = [
        "connect", "greeting", "ehlo", "tls", "auth", "mail", "rcpt", "data", "dot",
    ])]
    phase: String,
    /// The recipient's mailbox provider, by its name in the provider table
    #[arg(long, value_name = "NAME", default_value = "other")]
    provider: String,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// One rule as listed.
#[derive(Debug, Serialize)]
struct RuleView<'a> {
    name: &'a str,
    provider: String,
    phase: String,
    code: String,
    status: String,
    text: String,
    class: &'static str,
    blame: &'static str,
    action: String,
    source: &'a str,
}

/// What a reply was read as.
#[derive(Debug, Serialize)]
struct ReadingView<'a> {
    code: u16,
    status: Option<String>,
    class: &'static str,
    means: &'static str,
    blame: &'static str,
    result: &'static str,
    rule: Option<&'a str>,
    source: &'a str,
    action: String,
}

/// Where a class comes from that no rule gave.
const GENERAL: &str = "general rules by code and status: docs/protocol.md, Replies";

pub(super) fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let config = context.config()?;
    match verb {
        Verb::List(form) => {
            let rows: Vec<RuleView<'_>> = config.replies.rules().map(view).collect();
            let columns = [
                "name", "provider", "phase", "code", "status", "text", "class", "action", "source",
            ];
            Listing::print(context.printer, &columns, form.json, &rows, "no rules")
        }
        Verb::Explain(args) => {
            check_provider(&args.provider, &config.providers)?;
            let reply = SmtpReply::parse(&args.reply).ok_or_else(|| {
                CliError::refused(
                    "that is no reply of an SMTP server; hint: begin with its code, as in \
                     \"550 5.1.1 no such user\"",
                )
            })?;
            let phase = Phase::parse(&args.phase)
                .ok_or_else(|| CliError::refused("there is no such phase; hint: `--help`"))?;
            let reading = config.replies.read(phase, &args.provider, &reply);
            let told = explained(&reading, &reply);
            if args.json {
                return context.printer.json(&told);
            }
            context.printer.data(&told.text())
        }
    }
}

/// A provider nobody is sorted under is a misspelt one.
fn check_provider(name: &str, table: &ProviderTable) -> Result<(), CliError> {
    let mut known: Vec<&str> = table.names().map(ProviderName::as_str).collect();
    known.sort_unstable();
    if known.contains(&name) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(CliError::refused(format!("there is no provider of that name; hint: one of {known}")))
}

fn view(rule: &Rule) -> RuleView<'_> {
    let [phase, code, status, text] = rule.matches_shown();
    RuleView {
        name: rule.name(),
        provider: rule.providers().join(", "),
        phase,
        code,
        status,
        text,
        class: rule.class().word(),
        blame: rule.class().blame().word(),
        action: rule.action().to_string(),
        source: rule.source(),
    }
}

fn explained<'a>(reading: &Reading<'a>, reply: &SmtpReply) -> ReadingView<'a> {
    let result = reading.class.result(reply.code());
    ReadingView {
        code: reply.code(),
        status: reply.enhanced().map(|status| status.to_string()),
        class: reading.class.word(),
        means: reading.class.meaning(),
        blame: reading.class.blame().word(),
        result: result.word(),
        rule: reading.rule.map(Rule::name),
        source: reading.rule.map_or(GENERAL, Rule::source),
        action: done(&reading.action, result),
    }
}

/// What is done about it, the default of its result included.
fn done(action: &Action, result: crate::domain::delivery::AttemptResult) -> String {
    use crate::domain::delivery::AttemptResult as R;
    let person = match result {
        R::Accepted => "the person is told",
        R::Refused => "another channel has to reach the person",
        R::Policy => "the person waits until the provider is tried again",
        _ if action.wait.is_some() => "",
        _ => "the person is tried again by the schedule",
    };
    let lane = match result {
        R::Policy if !action.is_for_lane() => {
            "the provider is suspended for the campaign's suspend_for"
        }
        _ => "",
    };
    let own = action.to_string();
    [person, lane, &own].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

impl ReadingView<'_> {
    fn text(&self) -> String {
        facts(&[
            ("Code", self.code.to_string()),
            ("Status", self.status.clone().unwrap_or_else(|| "-".into())),
            ("Class", format!("{}: {}", self.class, self.means)),
            ("Blame", self.blame.to_owned()),
            ("Result", self.result.to_owned()),
            ("Rule", self.rule.unwrap_or("none").to_owned()),
            ("Source", self.source.to_owned()),
            ("Done", self.action.clone()),
        ])
    }
}
