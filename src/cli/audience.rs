//! `forthwith audience`.

use clap::Subcommand;

use super::context::Context;
use super::listing::{Listing, facts};
use super::output::count;
use super::status::source_sum;
use super::{AsJson, Bars, CliError};
use crate::engine::seal::Sealed;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Read the affected accounts from their source and freeze them; runs once a campaign
    Seal {
        /// The campaign
        campaign: String,
    },
    /// List the accounts whose source rows contradict each other, with the lines; each is settled by
    /// an amendment before the notice can be approved
    Conflicts {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        form: AsJson,
    },
    /// List the addresses that too many accounts share to be mailed unseen; addresses are masked
    Worklist {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        form: AsJson,
    },
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Seal { campaign } => seal(&campaign, context).await,
        Verb::Conflicts { campaign, form } => conflicts(&campaign, form, context).await,
        Verb::Worklist { campaign, form } => worklist(&campaign, form.json, context).await,
    }
}

async fn conflicts(campaign: &str, form: AsJson, context: &Context<'_>) -> Result<(), CliError> {
    let found = context.with_engine(async |engine| Ok(engine.conflicts(campaign).await?)).await?;
    let columns = ["number", "account", "address", "line", "others"];
    Listing::print(context.printer, &columns, form.json, &found, "no conflict is open")?;
    if !found.is_empty() {
        context.printer.say(&format!(
            "`line` was sealed, `others` contradict it. `forthwith amendment release {campaign} WHO` \
             keeps the sealed row; `replace-address`, `withdraw` and `waive` do not."
        ));
    }
    Ok(())
}

async fn worklist(campaign: &str, json: bool, context: &Context<'_>) -> Result<(), CliError> {
    let crowded = context.with_engine(async |engine| Ok(engine.worklist(campaign).await?)).await?;
    let columns = ["address", "accounts", "first"];
    Listing::print(context.printer, &columns, json, &crowded, "no address is crowded")?;
    if !crowded.is_empty() {
        context.printer.say(&format!(
            "Their people: `forthwith delivery list {campaign} --class held --reason shared`"
        ));
    }
    Ok(())
}

async fn seal(campaign: &str, context: &Context<'_>) -> Result<(), CliError> {
    let sealed = context
        .with_engine(async |engine| {
            let bars = Bars::new(context.printer);
            Ok(engine.seal(campaign, &bars).await?)
        })
        .await?;
    context.printer.data(&summary(&sealed))?;
    if sealed.row.totals.duplicates + sealed.row.totals.conflicts > 0 {
        let file = context.workspace.duplicates(campaign);
        context.printer.say(&format!("Duplicates and conflicts: {}", file.display()));
    }
    if sealed.row.totals.conflicts > 0 {
        context.printer.say(
            "Accounts with conflicting rows are expired like all others; their notices are held, and \
             the notice is approved once each is settled: `forthwith audience conflicts`.",
        );
    }
    context.printer.say(&format!(
        "Next: `forthwith containment plan {campaign}`, or `forthwith campaign plan {campaign}` \
         where no credentials were exposed"
    ));
    Ok(())
}

fn summary(sealed: &Sealed) -> String {
    let row = &sealed.row;
    let mut lines = vec![
        ("Source rows", source_sum(&row.totals)),
        ("Root", hex::encode(row.root)),
        ("Source", format!("{} {}", row.source_kind, row.source_name)),
        ("Source SHA-256", hex::encode(row.source_digest)),
        ("Read at", row.as_of.to_string()),
        ("Names refused", count(row.names_refused)),
        ("Copies", count(row.copies)),
    ];
    if let Some(path) = &sealed.rejects.path {
        let by_reason: Vec<_> = sealed
            .rejects
            .counts
            .iter()
            .map(|(reason, rows)| format!("{} {reason}", count(*rows)))
            .collect();
        lines.push(("Rejected", format!("{}: {}", path.display(), by_reason.join(", "))));
    }
    facts(&lines)
}
