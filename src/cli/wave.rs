//! `forthwith wave`.

use clap::Subcommand;

use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List a campaign's waves in order: their people, what they wait for, by when they are due
    List {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        form: AsJson,
    },
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let Verb::List { campaign, form } = verb;
    let status = context.with_engine(async |engine| Ok(engine.standing(&campaign).await?)).await?;
    let columns = [
        "number",
        "name",
        "state",
        "people",
        "told",
        "left",
        "person_open",
        "deadline",
        "opened_at",
        "waits_for",
    ];
    let nothing = "no waves yet; hint: they are made when the notice is approved";
    Listing::print(context.printer, &columns, form.json, &status.waves, nothing)
}
