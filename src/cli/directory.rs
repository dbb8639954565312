//! `forthwith directory`.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError};
use crate::directory::CheckReport;
use crate::domain::credential::CredentialKind;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Try every statement on three sealed accounts, look at the control accounts, and roll back;
    /// nothing is kept
    Check {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        form: AsJson,
    },
    /// Print the statements that mark a copy of a directory as this workspace's, for rehearsals
    Marker {
        /// Print the entry for an LDAP directory instead, below this base
        #[arg(long, value_name = "BASE")]
        ldap: Option<String>,
    },
}

/// One kind's check as listed.
#[derive(Serialize)]
struct CheckView {
    kind: &'static str,
    asked: u64,
    known: u64,
    without_value: u64,
    unknown_scheme: u64,
    changed: u64,
    read_back: u64,
    sessions: u64,
    sessions_ended: u64,
    sessions_left: u64,
    controls: u64,
}

impl From<(CredentialKind, CheckReport)> for CheckView {
    fn from((kind, report): (CredentialKind, CheckReport)) -> Self {
        Self {
            kind: kind.word(),
            asked: report.asked,
            known: report.read,
            without_value: report.without_value,
            unknown_scheme: report.unknown_scheme,
            changed: report.changed,
            read_back: report.read_back,
            sessions: report.sessions,
            sessions_ended: report.sessions_ended,
            sessions_left: report.sessions_left,
            controls: report.controls,
        }
    }
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let (campaign, form) = match verb {
        Verb::Check { campaign, form } => (campaign, form),
        Verb::Marker { ldap } => return marker(context, ldap.as_deref()).await,
    };
    let reports =
        context.with_engine(async |engine| Ok(engine.check_directory(&campaign).await?)).await?;
    let was_tried = reports.iter().all(|(_, report)| report.was_tried);
    let rows: Vec<CheckView> = reports.into_iter().map(CheckView::from).collect();
    let columns = [
        "kind",
        "asked",
        "known",
        "without_value",
        "unknown_scheme",
        "changed",
        "read_back",
        "sessions",
        "sessions_ended",
        "sessions_left",
        "controls",
    ];
    let nothing = "the incident exposed no credentials, so there was nothing to try";
    Listing::print(context.printer, &columns, form.json, &rows, nothing)?;
    context.printer.say(if was_tried {
        "Everything was rolled back: the directory is as before."
    } else {
        "This directory takes nothing back, so nothing was written: the first batch of a pass is the trial."
    });
    Ok(())
}

/// SQL or LDIF on stdout, to be piped into the copy's own client; the warning on stderr.
async fn marker(context: &Context<'_>, ldap: Option<&str>) -> Result<(), CliError> {
    let text = context
        .with_engine(async |engine| match ldap {
            Some(base) => Ok(engine.marker_entry(base).await?),
            None => Ok(engine.marker().await?.map(|statement| statement + ";").join("\n")),
        })
        .await?;
    context.printer.data(&text)?;
    context
        .printer
        .say("On a copy, never on the living: a rehearsal changes the directory it marks.");
    Ok(())
}
