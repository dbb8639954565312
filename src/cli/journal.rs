//! `forthwith journal`.

use clap::{Args, Subcommand};

use super::context::Context;
use super::listing::Listing;
use super::output::count;
use super::{AsJson, CliError};
use crate::engine::Engine;
use crate::engine::journals::JournalView;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the workers' journals: whose they are, from when to when, how large
    List(AsJson),
    /// Delete journals of closed campaigns that no backup needs any more
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// The ledger batch that your oldest backup holds at least, as `campaign status` showed it when the
    /// backup was made
    #[arg(long, value_name = "BATCH")]
    backup: i64,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    form: AsJson,
}

const COLUMNS: [&str; 11] = [
    "life",
    "worker",
    "incarnation",
    "campaign",
    "first_at",
    "last_at",
    "attempts",
    "segments",
    "bytes",
    "boot",
    "state",
];

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    context
        .with_engine(async |engine| match verb {
            Verb::List(form) => show(&engine.journals().await?, form, "no journals", context),
            Verb::Prune(args) => prune(&args, &engine, context).await,
        })
        .await
}

fn show(
    journals: &[JournalView],
    form: AsJson,
    nothing: &str,
    context: &Context<'_>,
) -> Result<(), CliError> {
    Listing::print(context.printer, &COLUMNS, form.json, journals, nothing)
}

async fn prune(args: &PruneArgs, engine: &Engine, context: &Context<'_>) -> Result<(), CliError> {
    let needless = engine.prunable(args.backup).await?;
    let nothing = "no journal can go: those that are left belong to campaigns that are not closed, or a \
                   backup may need them";
    show(&needless, args.form, nothing, context)?;
    if needless.is_empty() {
        return Ok(());
    }
    let bytes: u64 = needless.iter().map(|journal| journal.bytes).sum();
    let question = format!(
        "These {} journals, {} bytes, are deleted. A backup older than ledger batch {} cannot be \
         recovered by them any more. Go on?",
        count(needless.len() as u64),
        count(bytes),
        args.backup
    );
    context.confirm(&question, args.yes)?;
    let gone = engine.prune(args.backup, &Context::actor()).await?;
    context.printer.say(&format!("{} journals are deleted.", count(gone.len() as u64)));
    Ok(())
}
