//! `forthwith campaign recover`.

use std::path::PathBuf;

use clap::Args;

use super::ask::Wanted;
use super::context::Context;
use super::listing::facts;
use super::output::count;
use super::{Bars, CliError};
use crate::engine::Engine;
use crate::engine::rewind::{CampaignRecovery, Recover, RecoverReport, Sought};

#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    /// A further folder with journals: of another disk, of another host; may be given several times
    #[arg(long, value_name = "DIR")]
    journals: Vec<PathBuf>,
    /// Which backup was restored, in your words; kept with the signature
    #[arg(long, value_name = "TEXT")]
    backup_note: Option<String>,
    /// The operator who signs
    #[arg(
        long = "as",
        alias = "operator",
        value_name = "NAME",
        required_unless_present = "dry_run"
    )]
    operator: Option<String>,
    /// A file with the operator's password; else `FORTHWITH_PASSWORD`, else a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Only show what it would do; nothing is written
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn recover(
    args: &RecoverArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let bars = Bars::new(context.printer);
    let sought = Sought { journals: args.journals.clone(), note: args.backup_note.clone() };
    let plan = engine.recover(&sought, Recover::Look, &bars).await?;
    if args.dry_run {
        return shown(&plan, true, args.json, context);
    }
    context.printer.say(&text(&plan, true));
    context.confirm("Go on?", args.yes)?;
    let name = args.operator.as_deref().unwrap_or_default();
    let signer = context.signer(engine, &Wanted::of(name, args.password_file.as_ref())).await?;
    let done = engine.recover(&sought, Recover::Signed(&signer), &bars).await?;
    drop(bars);
    shown(&done, false, args.json, context)?;
    context.printer.say(&next_steps(&done));
    Ok(())
}

fn shown(
    report: &RecoverReport,
    is_plan: bool,
    json: bool,
    context: &Context<'_>,
) -> Result<(), CliError> {
    if json { context.printer.json(report) } else { context.printer.data(&text(report, is_plan)) }
}

/// The whole report; a plan says what would be done.
fn text(report: &RecoverReport, is_plan: bool) -> String {
    let missing = report.missing_batches.map_or_else(|| "not known".into(), count);
    let proof = if report.is_proved {
        "the journals tell everything: whoever they do not name was left alone".to_owned()
    } else {
        format!("the journals do not tell everything: {}", report.unproved_because)
    };
    let mut lines = Vec::new();
    if report.cause.is_empty() {
        lines.push(("Nothing is rewound", "journals found later are read as evidence".to_owned()));
    } else {
        lines.push(("Rewound", report.words.clone()));
        lines.push(("Backup ends with", format!("ledger batch {}", report.backup_batch)));
        lines.push(("Batches lost", missing));
        lines.push(("Evidence", proof));
        let incarnations = format!("{} to {}", report.from_incarnation, report.to_incarnation);
        lines.push(("Incarnation", incarnations));
    }
    lines.push(("Journals read", count(report.journals)));
    if report.in_flight > 0 {
        let said = "attempts on their way when it was made are settled";
        lines.push(("In the backup", format!("{} {said}", count(report.in_flight))));
    }
    if !report.missing_lives.is_empty() {
        let lives: Vec<String> = report.missing_lives.iter().map(ToString::to_string).collect();
        lines.push(("Journals missing", format!("of lives {}", lives.join(", "))));
    }
    lines.extend(report.broken.iter().map(|path| ("Journal damaged", path.clone())));
    let mut parts = vec![facts(&lines)];
    parts.extend(report.campaigns.iter().map(|campaign| campaign_text(campaign, is_plan)));
    for unknown in &report.unknown {
        parts.push(format!(
            "Journals also tell of campaign {}, which this database does not know (it was sealed, or \
             sealed anew, after the backup): {} attempts, {} accepted. They are kept: {}",
            unknown.campaign,
            count(unknown.attempts),
            count(unknown.accepted),
            unknown.folders.join(", ")
        ));
    }
    parts.join("\n\n")
}

fn campaign_text(campaign: &CampaignRecovery, is_plan: bool) -> String {
    let will = if is_plan { "would be " } else { "" };
    let attempts: Vec<String> = campaign
        .attempts
        .iter()
        .map(|(result, number)| format!("{} {result}", count(*number)))
        .collect();
    let attempts = if attempts.is_empty() { "none".into() } else { attempts.join(", ") };
    let mut lines = vec![
        ("Campaign", campaign.name.clone()),
        ("Attempts put back", attempts),
        ("People moved", count(campaign.moved)),
    ];
    if campaign.settled > 0 {
        lines.push(("Doubts settled", count(campaign.settled)));
    }
    if campaign.second_copies > 0 {
        lines.push(("Second copies", format!("{}, certain", count(campaign.second_copies))));
    }
    if campaign.held > 0 {
        lines.push((
            "Held in doubt",
            format!(
                "{} people {will}held: nothing proves they were not told",
                count(campaign.held)
            ),
        ));
    }
    if campaign.links_in_doubt > 0 {
        let said = "their links are lost, so a notice sent again carries a new one";
        lines.push(("Doubtful links", format!("{}: {said}", count(campaign.links_in_doubt))));
    }
    if campaign.links_unknown > 0 {
        let said = "told, with a link this database cannot redeem; they see the site's own way";
        lines.push(("Links not known", format!("{} people {said}", count(campaign.links_unknown))));
    }
    if campaign.notice_paused {
        lines.push(("Notice", format!("{will}paused")));
    }
    if campaign.containment_paused {
        lines.push(("Containment", format!("{will}paused")));
    }
    facts(&lines)
}

/// What a person has to do next, in its order.
fn next_steps(report: &RecoverReport) -> String {
    if report.cause.is_empty() {
        return "Doubts that these journals settle are settled.".into();
    }
    let mut steps = vec![
        "Make again what operators did since the backup: approvals, amendments, settled doubts, gates, \
         the canary's go, cancellations. They are lost with the database."
            .to_owned(),
    ];
    if report.campaigns.iter().any(|campaign| campaign.held > 0) {
        steps.push(
            "Settle who is held in doubt by the relay's log: `forthwith delivery resolve CAMPAIGN --all \
             --not-sent --reason TEXT` for those it never took, `--accepted` for those it did."
                .into(),
        );
    }
    steps.push(
        "Containment runs again from the backup's state: it reads before it writes. What was expired \
         since counts as a stranger's value and is expired again, so whoever set a new password since \
         has to do it once more, unless the directory dates the change."
            .into(),
    );
    steps.push(
        "Then `forthwith containment resume CAMPAIGN`, `forthwith campaign resume CAMPAIGN` and \
         `forthwith campaign run CAMPAIGN`."
            .into(),
    );
    let numbered = steps.iter().enumerate().map(|(at, step)| format!("{}. {step}", at + 1));
    format!("The database is recovered. Next:\n{}", numbered.collect::<Vec<_>>().join("\n"))
}
