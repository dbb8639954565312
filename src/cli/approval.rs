//! Planning and approving a track: what `containment` and `campaign` have in common.

use std::collections::BTreeMap;

use clap::Args;

use super::CliError;
use super::ask::Signing;
use super::context::Context;
use super::listing::facts;
use super::output::count;
use crate::domain::track::{Environment, Track};
use crate::engine::Engine;
use crate::engine::census::Census;
use crate::engine::plan::Plan;

#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// The campaign
    campaign: String,
    #[command(flatten)]
    signing: Signing,
    /// Sign without asking
    #[arg(long)]
    yes: bool,
}

/// Signs what is planned, after showing it.
pub(super) async fn approve(
    args: &ApproveArgs,
    track: Track,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let name = &args.campaign;
    // people were counted when it was planned
    let planned = engine.plan_with(name, track, true, None).await?;
    let environment = engine.campaign(name).await?.environment;
    context.printer.data(&describe(name, &planned, environment))?;
    match environment {
        Environment::Rehearsal => context.confirm(&format!("Approve this {track}?"), args.yes)?,
        Environment::Live => {
            let act = match track {
                Track::Containment => "approve expiring the credentials",
                Track::Notice => "approve the notice",
            };
            context.confirm_live(name, planned.head_count, act, args.yes)?;
        }
    }
    let signer = context.signer(engine, &args.signing.wanted()).await?;
    let approval = engine.approve(name, track, &signer).await?;
    if approval.digest != planned.digest {
        return Err(CliError::refused(format!(
            "what was signed ({}) is not what was shown ({}): it was planned anew meanwhile; hint: \
             look at it with `forthwith campaign status {name}`, and plan and approve again",
            approval.digest, planned.digest
        )));
    }
    let by = approval.signed_by.join(" and ");
    context.printer.say(&if approval.is_complete {
        format!("The {track} of `{name}` is approved, signed by {by}.")
    } else {
        format!("Signed by {by}; a second operator has to sign, too.")
    });
    Ok(())
}

/// Who the notice would go to.
fn census_lines(census: &Census) -> Vec<(&'static str, String)> {
    let people = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(key, n)| format!("{key} {}", count(*n))).collect::<Vec<_>>().join(", ")
    };
    let mut lines = vec![("Languages", people(&census.locales))];
    if !census.missed.is_empty() {
        lines.push(("Not written in", people(&census.missed)));
    }
    if !census.lacking.is_empty() {
        lines.push(("Lacking", people(&census.lacking)));
    }
    lines.push(("Names refused", count(census.names_refused)));
    lines
}

/// A plan as it is shown before it is signed.
pub(super) fn describe(name: &str, plan: &Plan, environment: Environment) -> String {
    let kinds: Vec<&str> = plan.kinds.iter().map(|kind| kind.word()).collect();
    let exposed = if kinds.is_empty() { "no credentials".to_owned() } else { kinds.join(", ") };
    let label = match plan.track {
        Track::Containment => "Expires",
        Track::Notice => "Speaks of",
    };
    let mut lines = vec![
        ("Campaign", format!("{name} ({environment})")),
        ("Track", plan.track.to_string()),
        ("People", count(plan.head_count)),
        (label, exposed),
        ("Digest", plan.digest.to_string()),
    ];
    lines.extend(plan.census.iter().flat_map(census_lines));
    let mut text = facts(&lines);
    let parts = plan.snapshot.0.iter().map(|(part, digest)| {
        let start: String = digest.chars().take(16).collect();
        format!("\n  {start}  {part}")
    });
    text.push_str("\nIt is made of");
    text.extend(parts);
    text
}
