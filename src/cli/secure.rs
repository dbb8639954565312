//! `forthwith secure`.

use std::time::Duration;

use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::output::count;
use super::status::credential_lines;
use super::{Bars, CliError};
use crate::domain::duration::HumanDuration;
use crate::domain::track::{NoticeState, Track};
use crate::engine::Engine;
use crate::engine::launch::Typed;
use crate::engine::secure::{RecheckReport, SecureReport};
use crate::lifecycle::until_stopped;
use crate::store::credentials::Pick;
use crate::store::rechecks::RecheckCounts;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Expire every pending credential under the approved containment, read back, end sessions
    Run(RunArgs),
    /// Read again what was expired; say, and expire again, whatever came back
    Recheck {
        /// The campaign
        campaign: String,
        /// Go on until the campaign is closed, so often; such as `1d`
        #[arg(long, value_name = "TIME")]
        every: Option<HumanDuration>,
    },
    /// Have the company destroy the replaced passwords that it keeps for comparison; closing does it too
    Forget {
        /// The campaign
        campaign: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The campaign
    campaign: String,
    /// Take those that failed before instead
    #[arg(long)]
    retry_failed: bool,
    /// Only read and show what would change; works before any approval
    #[arg(long, conflicts_with = "retry_failed")]
    dry_run: bool,
    /// Look at so many accounts, spread over all, instead of at everybody
    #[arg(long, value_name = "N", requires = "dry_run")]
    sample: Option<u32>,
    /// With `--dry-run`: one JSON object instead of text
    #[arg(long, requires = "dry_run")]
    json: bool,
    #[command(flatten)]
    launch: LaunchArgs,
}

/// How a live campaign is let loose where nobody sits at a terminal.
#[derive(Debug, Args)]
pub(super) struct LaunchArgs {
    /// For the first run of a live campaign: its name and its head count, such as `"spring 9950"`
    #[arg(long, value_name = "NAME COUNT")]
    launch: Option<Typed>,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Run(args) if args.dry_run => dry_run(&args, context).await,
        Verb::Run(args) => pass(&args, context).await,
        Verb::Recheck { campaign, every } => recheck(&campaign, every, context).await,
        Verb::Forget { campaign, yes } => forget(&campaign, yes, context).await,
    }
}

async fn pass(args: &RunArgs, context: &Context<'_>) -> Result<(), CliError> {
    let campaign = &args.campaign;
    let pick = if args.retry_failed { Pick::Failed } else { Pick::Pending };
    let report = context
        .with_engine(async |engine| {
            launch_if_live(&engine, campaign, &[Track::Containment], &args.launch, context).await?;
            let bars = Bars::new(context.printer);
            let told = stopping(context);
            let work = async |soft| engine.secure_alone(campaign, pick, &bars, &soft).await;
            Ok(until_stopped(told, work).await.map_err(CliError::Runtime)??)
        })
        .await?;
    context.printer.data(&credential_lines(&report.totals))?;
    context.printer.say(&outcome(&report, campaign));
    Ok(())
}

async fn dry_run(args: &RunArgs, context: &Context<'_>) -> Result<(), CliError> {
    let found = context
        .with_engine(async |engine| {
            let bars = Bars::new(context.printer);
            Ok(engine.secure_dry_run(&args.campaign, args.sample, &bars).await?)
        })
        .await?;
    if args.json {
        return context.printer.json_line(&serde_json::json!({
            "campaign": args.campaign, "is_approved": found.is_approved,
            "accounts": found.accounts, "credentials": found.counts, "notes": found.notes,
        }));
    }
    context.printer.data(&credential_lines(&found.counts))?;
    let by = if found.is_approved { "the approved containment" } else { "the files as they are" };
    let accounts = count(found.accounts);
    context.printer.say(&format!("{accounts} accounts read by {by}; nothing was changed."));
    for note in &found.notes {
        context.printer.say(&format!("The pass would not begin: {note}"));
    }
    Ok(())
}

async fn forget(campaign: &str, yes: bool, context: &Context<'_>) -> Result<(), CliError> {
    let question = format!(
        "Destroy the replaced passwords of `{campaign}`? From then on nobody can tell whether a new password is \
         the stolen one."
    );
    context.confirm(&question, yes)?;
    let bars = Bars::new(context.printer);
    let gone = context
        .with_engine(async |engine| Ok(engine.forget_replaced(campaign, &bars).await?))
        .await?;
    context.printer.say(&match gone {
        Some(gone) => format!("{} replaced passwords are destroyed.", count(gone)),
        None => format!("The directory of `{campaign}` keeps none."),
    });
    Ok(())
}

async fn recheck(
    campaign: &str,
    every: Option<HumanDuration>,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let every = match every {
        Some(every) if every.unsigned() < Duration::from_mins(1) => {
            return Err(CliError::refused(
                "`--every` is shorter than a minute; hint: `--every 1d`",
            ));
        }
        other => other,
    };
    let came_back = context
        .with_engine(async |engine| {
            let told = stopping(context);
            let work = async |soft| rechecks(&engine, campaign, every, &soft, context).await;
            until_stopped(told, work).await.map_err(CliError::Runtime)?
        })
        .await?;
    if came_back.regressed == 0 {
        return Ok(());
    }
    Err(CliError::refused(format!(
        "ALARM: {} expired credentials had come back, and {} of them are expired again; hint: was the \
         directory restored from a backup? Whoever did it should know; `forthwith credential list \
         {campaign} --class regressed` shows who is still open",
        count(came_back.regressed),
        count(came_back.mended)
    )))
}

/// One re-check, or one after another until the campaign is closed; the alarms of all.
async fn rechecks(
    engine: &Engine,
    campaign: &str,
    every: Option<HumanDuration>,
    soft: &CancellationToken,
    context: &Context<'_>,
) -> Result<RecheckCounts, CliError> {
    let bars = Bars::new(context.printer);
    let mut all = RecheckCounts::default();
    loop {
        let report = engine.recheck(campaign, &bars, soft).await?;
        context.printer.data(&found(&report))?;
        all.add(report.counts);
        let Some(every) = every else { return Ok(all) };
        if report.counts.regressed > 0 {
            context.printer.say("ALARM: expired credentials had come back.");
        }
        let waits = tokio::time::sleep(every.unsigned());
        if soft.run_until_cancelled(waits).await.is_none() {
            return Ok(all);
        }
        let notice = engine.campaign(campaign).await?.control.notice;
        if matches!(notice, NoticeState::Closed | NoticeState::Cancelled) {
            return Ok(all);
        }
    }
}

fn found(report: &RecheckReport) -> String {
    let counts = &report.counts;
    let more = if report.is_whole { "" } else { "; stopped, the next one goes on" };
    format!(
        "{} checked = {} fine + {} regressed ({} expired again) + {} set elsewhere{more}",
        count(counts.checked),
        count(counts.fine),
        count(counts.regressed),
        count(counts.mended),
        count(counts.reset_elsewhere)
    )
}

/// Before the living are touched for the first time, the campaign's name and head count are typed. What
/// is let loose is what the command does, and it is said, also where nobody is asked.
pub(super) async fn launch_if_live(
    engine: &Engine,
    name: &str,
    among: &[Track],
    launch: &LaunchArgs,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let (tracks, heads) = engine.unlaunched(name, among).await?;
    if tracks.is_empty() {
        return Ok(());
    }
    let act = |track: &Track| match track {
        Track::Containment => "expire credentials",
        Track::Notice => "send notices",
    };
    let acts = tracks.iter().map(act).collect::<Vec<_>>().join(" and ");
    let typed = match &launch.launch {
        Some(typed) => typed.clone(),
        None => context.typed_launch(heads, &acts)?,
    };
    engine.launch(name, &tracks, &typed, &Context::actor()).await?;
    if launch.launch.is_some() {
        let heads = count(heads);
        context.printer.say(&format!("`{name}` is let loose, live, for {heads} people: {acts}."));
    }
    Ok(())
}

/// What is said when the first signal comes.
pub(super) fn stopping(context: &Context<'_>) -> impl FnOnce() + Send + use<> {
    let printer = context.printer.clone();
    move || printer.say("Stopping: what is open ends and is recorded. Once more ends it at once.")
}

fn outcome(report: &SecureReport, campaign: &str) -> String {
    let settled = count(report.settled);
    if let Some(note) = &report.paused {
        format!(
            "{settled} credentials settled now. Containment paused so that you look: {note}. \
             `forthwith containment resume {campaign}` lets it go on, then `forthwith secure run \
             {campaign}`."
        )
    } else if report.is_done {
        format!("{settled} credentials settled now; none is pending.")
    } else {
        format!(
            "{settled} credentials settled now, others are pending; `forthwith secure run \
             {campaign}` goes on."
        )
    }
}
