//! `forthwith campaign cancel` and `close`: the two ends of a campaign.

use clap::Args;
use serde::Serialize;

use super::ask::SignedAct;
use super::context::Context;
use super::listing::facts;
use super::output::count;
use super::{Bars, CliError};
use crate::engine::Engine;
use crate::engine::cancel::Cancelled;
use crate::engine::close::Check;

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The campaign
    campaign: String,
    #[command(flatten)]
    act: SignedAct,
}

#[derive(Debug, Args)]
pub(super) struct CloseArgs {
    /// The campaign
    campaign: String,
    /// Only show the checklist; exit 1 where something is left
    #[arg(long)]
    check: bool,
    /// Close although the company's endpoint did not take every reset, or its directory is gone with
    /// replaced passwords in it; the reason is signed, with what was left
    #[arg(long, value_name = "WHY")]
    leave: Option<String>,
    /// The operator who signs
    #[arg(long, value_name = "NAME", required_unless_present = "check")]
    operator: Option<String>,
    /// A file with the operator's password; else `FORTHWITH_PASSWORD`, else a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<std::path::PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The checklist as JSON
    #[arg(long)]
    json: bool,
}

/// Cancels, after showing what that means.
pub(super) async fn cancel(
    args: &CancelArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let name = &args.campaign;
    let people = engine.standing(name).await?.deliveries;
    context.printer.say(&format!(
        "Of {} people, {} were told and at least {} may have been; the other {} will not be told by this \
         campaign. Cancelling cannot be undone.",
        count(people.sealed),
        count(people.told),
        count(people.in_doubt + people.in_flight),
        count(people.queued + people.deferred + people.held + people.fallback),
    ));
    context.confirm(&format!("Cancel `{name}`?"), args.act.yes)?;
    let signer = context.signer(engine, &args.act.signing.wanted()).await?;
    let bars = Bars::new(context.printer);
    let cancelled = engine.cancel(name, &args.act.reason, &signer, &bars).await?;
    drop(bars);
    context.printer.data(&told(&cancelled))?;
    context.printer.say(&next(name, &cancelled));
    Ok(())
}

fn told(cancelled: &Cancelled) -> String {
    facts(&[
        ("Told", count(cancelled.told)),
        ("Possibly told", count(cancelled.possibly_told)),
        ("Untold", count(cancelled.untold)),
        ("Of those, secured", count(cancelled.secured_untold)),
    ])
}

fn next(name: &str, cancelled: &Cancelled) -> String {
    let mut parts = vec![format!("`{name}` is cancelled; nobody more is told.")];
    if cancelled.secured_untold > 0 {
        parts.push(format!(
            "{} people cannot sign in with their old credentials and were not told why: tell support.",
            count(cancelled.secured_untold)
        ));
    }
    if let Some(path) = &cancelled.correction {
        parts.push(format!(
            "The correction is drafted in `{path}`: read it, then `forthwith audience seal \
             {name}-correction`.",
            path = path.display()
        ));
    }
    parts.join(" ")
}

/// One line of the checklist as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    checks: &'a [Check],
    can_be_closed: bool,
}

/// Shows the checklist and closes, where everything holds.
pub(super) async fn close(
    args: &CloseArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let name = &args.campaign;
    let checks = engine.closing_checks(name).await?;
    let left = checks.iter().filter(|check| check.is_open(args.leave.is_some())).count();
    if args.json {
        context.printer.json(&Listed { checks: &checks, can_be_closed: left == 0 })?;
    } else {
        context.printer.data(&checks.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    if left > 0 {
        return Err(CliError::refused(format!(
            "{left} of {} points are open, so `{name}` stays as it is; hint: each says what to do",
            checks.len()
        )));
    }
    let (false, Some(operator)) = (args.check, &args.operator) else { return Ok(()) };
    context.confirm(&format!("Close `{name}`? Its personal links end with it."), args.yes)?;
    let wanted = super::ask::Wanted::of(operator, args.password_file.as_ref());
    let signer = context.signer(engine, &wanted).await?;
    let bars = Bars::new(context.printer);
    engine.close(name, args.leave.as_deref(), &signer, &bars).await?;
    drop(bars);
    context.printer.say(&format!("`{name}` is closed."));
    Ok(())
}

fn line(check: &Check) -> String {
    let mark = if check.holds { "yes" } else { "NO " };
    let because = if check.holds { String::new() } else { format!("\n       {}", check.because) };
    format!("  {mark}  {}{because}", check.what)
}
