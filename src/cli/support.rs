//! `forthwith support`.

use clap::{Args, Subcommand};

use super::context::Context;
use super::listing::Listing;
use super::{AsJson, Bars, CliError};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// What there is to say to somebody who calls: whether, when and how, never who; kept as a look-up
    Find(FindArgs),
    /// The very words somebody gets; kept as a look-up
    Text(TextArgs),
}

#[derive(Debug, Args)]
pub(super) struct FindArgs {
    /// A reference number, an account or an address; `-` asks for it, so that an address stays off the
    /// command line
    #[arg(value_name = "WHO")]
    who: String,
    /// Only this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    #[command(flatten)]
    form: AsJson,
}

#[derive(Debug, Args)]
pub(super) struct TextArgs {
    /// The campaign
    campaign: String,
    /// The recipient's number, as `support find` tells it
    number: u64,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let limits = context.config()?.support;
    let by = Context::actor();
    match verb {
        Verb::Find(args) => {
            let who = context.typed_if_dash(&args.who, "Reference number, account or address: ")?;
            let found = context
                .with_engine(async |engine| {
                    let (only, bars) = (args.campaign.as_deref(), Bars::new(context.printer));
                    Ok(engine.support_find(&who, only, &by, limits, &bars).await?)
                })
                .await?;
            let columns = [
                "campaign",
                "number",
                "reference",
                "notice",
                "told_on",
                "due_about",
                "password",
                "reset_on",
                "address",
            ];
            let nothing =
                "nobody by that is in any seal so far: as far as is known they are not affected";
            Listing::print(context.printer, &columns, args.form.json, &found, nothing)
        }
        Verb::Text(args) => {
            let preview = context
                .with_engine(async |engine| {
                    Ok(engine.support_text(&args.campaign, args.number, &by, limits).await?)
                })
                .await?;
            context
                .printer
                .data(&format!("{}\n\n{}", preview.rendered.subject, preview.rendered.text))?;
            for note in &preview.notes {
                context.printer.say(note);
            }
            Ok(())
        }
    }
}
