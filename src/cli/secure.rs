//! `forthwith secure`.

use clap::Subcommand;

use super::context::Context;
use super::output::count;
use super::status::credential_lines;
use super::{Bars, CliError};
use crate::domain::track::Environment;
use crate::engine::Engine;
use crate::engine::secure::SecureReport;
use crate::lifecycle::until_stopped;
use crate::store::credentials::Pick;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Expire every pending credential under the approved containment, read back, end sessions
    Run {
        /// The campaign
        campaign: String,
        /// Take those that failed before instead
        #[arg(long)]
        retry_failed: bool,
        /// Do not ask before a live campaign
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let Verb::Run { campaign, retry_failed, yes } = verb;
    let pick = if retry_failed { Pick::Failed } else { Pick::Pending };
    let report = context
        .with_engine(async |engine| {
            ask_if_live(&engine, &campaign, "expire credentials", yes, context).await?;
            let bars = Bars::new(context.printer);
            let told = stopping(context);
            let work = async |soft| engine.secure_alone(&campaign, pick, &bars, &soft).await;
            Ok(until_stopped(told, work).await.map_err(CliError::Runtime)??)
        })
        .await?;
    context.printer.data(&credential_lines(&report.totals))?;
    context.printer.say(&outcome(&report, &campaign));
    Ok(())
}

/// A live campaign is confirmed by name and head count.
pub(super) async fn ask_if_live(
    engine: &Engine,
    campaign: &str,
    act: &str,
    yes: bool,
    context: &Context<'_>,
) -> Result<(), CliError> {
    if yes || engine.campaign(campaign).await?.environment == Environment::Rehearsal {
        return Ok(());
    }
    let heads = engine.status(campaign).await?.source.sealed;
    context.confirm_live(campaign, heads, act, yes)
}

/// What is said when the first signal comes.
pub(super) fn stopping(context: &Context<'_>) -> impl FnOnce() + Send + use<> {
    let printer = context.printer.clone();
    move || printer.say("Stopping: what is open ends and is recorded. Once more ends it at once.")
}

fn outcome(report: &SecureReport, campaign: &str) -> String {
    let settled = count(report.settled);
    if report.is_done {
        format!("{settled} credentials settled now; none is pending.")
    } else {
        format!(
            "{settled} credentials settled now, others are pending; `forthwith secure run \
             {campaign}` goes on."
        )
    }
}
