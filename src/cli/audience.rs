//! `forthwith audience`.

mod check;
mod compare;

use clap::{Args, Subcommand};

use super::context::Context;
use super::listing::{Listing, facts};
use super::output::count;
use super::status::source_line;
use super::{AsJson, Bars, CliError};
use crate::engine::seal::Sealed;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Read and clean the whole audience and show what a seal would come to; the database stays as it is
    Check {
        /// The campaign
        campaign: String,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
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
    /// Compare two audiences by account: sealed people where there are any, else the source
    Diff(compare::DiffArgs),
    /// Compare the sealed people with a second list of accounts
    Reconcile(ReconcileArgs),
}

#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// The campaign
    campaign: String,
    /// The second list, a CSV file
    #[arg(long, value_name = "FILE")]
    with: std::path::PathBuf,
    /// The column of its accounts
    #[arg(long, value_name = "NAME")]
    column: String,
    /// What stands between its values; else what a line `sep=;` says, else a comma
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// How it is written: utf-8, windows-1252 or utf-16
    #[arg(long, value_name = "NAME", default_value = "utf-8")]
    encoding: String,
    /// End with exit code 1 unless both name the same accounts
    #[arg(long)]
    expect_equal: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Seal { campaign } => seal(&campaign, context).await,
        Verb::Conflicts { campaign, form } => conflicts(&campaign, form, context).await,
        Verb::Worklist { campaign, form } => worklist(&campaign, form.json, context).await,
        Verb::Check { campaign, json } => check::check(&campaign, json, context).await,
        Verb::Diff(args) => compare::diff(&args, context).await,
        Verb::Reconcile(args) => compare::reconcile(args, context).await,
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
    let (sealed, differences) = context
        .with_engine(async |engine| {
            let bars = Bars::new(context.printer);
            let sealed = engine.seal(campaign, &bars).await?;
            let excluded = sealed.row.excluded.values().sum();
            let expect = engine.campaign_file(campaign)?.audience.expect;
            let differences = expect.differences(&sealed.row.totals, excluded);
            Ok((sealed, differences))
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
    check::say_encoding(sealed.rejects.counts.contains_key("not-utf8"), context);
    if !differences.is_empty() {
        context.printer.say(&format!(
            "The notice will not be planned: {}. Containment goes on all the same.",
            differences.join("; ")
        ));
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
        ("Source rows", source_line(&row.totals, &row.excluded)),
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
