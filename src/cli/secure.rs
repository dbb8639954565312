//! `forthwith secure`.

use clap::{Args, Subcommand};

use super::context::Context;
use super::output::count;
use super::status::credential_lines;
use super::{Bars, CliError};
use crate::domain::track::Track;
use crate::engine::Engine;
use crate::engine::launch::Typed;
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
        #[command(flatten)]
        launch: LaunchArgs,
    },
}

/// How a live campaign is let loose where nobody sits at a terminal.
#[derive(Debug, Args)]
pub(super) struct LaunchArgs {
    /// For the first run of a live campaign: its name and its head count, such as `"spring 9950"`
    #[arg(long, value_name = "NAME COUNT")]
    launch: Option<Typed>,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let Verb::Run { campaign, retry_failed, launch } = verb;
    let pick = if retry_failed { Pick::Failed } else { Pick::Pending };
    let report = context
        .with_engine(async |engine| {
            launch_if_live(&engine, &campaign, &launch, context).await?;
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

/// Before the living are touched for the first time, the campaign's name and head count are typed.
pub(super) async fn launch_if_live(
    engine: &Engine,
    name: &str,
    launch: &LaunchArgs,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let (tracks, heads) = engine.unlaunched(name).await?;
    if tracks.is_empty() {
        return Ok(());
    }
    let typed = if let Some(typed) = &launch.launch {
        typed.clone()
    } else {
        let act = |track: &Track| match track {
            Track::Containment => "expire credentials",
            Track::Notice => "send notices",
        };
        let acts: Vec<&str> = tracks.iter().map(act).collect();
        context.typed_launch(heads, &acts.join(" and "))?
    };
    Ok(engine.launch(name, &tracks, &typed, &Context::actor()).await?)
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
