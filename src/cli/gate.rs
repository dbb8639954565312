//! `forthwith gate`.

use clap::{Args, Subcommand};

use super::ask::Signing;
use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError};
use crate::engine::Engine;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List a campaign's gates with the evidence they were shown
    List {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        form: AsJson,
    },
    /// Give a gate its evidence, signed; nothing else opens it
    Pass(PassArgs),
}

#[derive(Debug, Args)]
pub(super) struct PassArgs {
    /// The campaign
    campaign: String,
    /// The gate's name
    gate: String,
    /// What shows that it may open; kept encrypted, beside the signature
    #[arg(long, value_name = "TEXT")]
    evidence: String,
    #[command(flatten)]
    signing: Signing,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    context.with_engine(async |engine| with_engine(verb, &engine, context).await).await
}

async fn with_engine(verb: Verb, engine: &Engine, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::List { campaign, form } => {
            let gates = engine.gates(&campaign).await?;
            let columns = ["name", "wave", "passed", "text", "evidence", "by", "passed_at"];
            let nothing = "no gates; hint: [[gate]] in the campaign's file";
            Listing::print(context.printer, &columns, form.json, &gates, nothing)
        }
        Verb::Pass(args) => {
            let PassArgs { campaign, gate, evidence, signing, yes } = args;
            context.confirm(
                &format!(
                    "Gate `{gate}` of `{campaign}` will open and cannot be closed again. Go on?"
                ),
                yes,
            )?;
            let signer = context.signer(engine, &signing.wanted()).await?;
            engine.pass_gate(&campaign, &gate, &evidence, &signer).await?;
            context.printer.say(&format!(
                "Gate `{gate}` of `{campaign}` has its evidence; a run that waits goes on, and \
                 `forthwith campaign run {campaign}` does where none is there."
            ));
            Ok(())
        }
    }
}
