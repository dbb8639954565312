//! `forthwith support`.

use clap::{Args, Subcommand};

use super::context::Context;
use super::listing::{Listing, facts};
use super::{AsJson, Bars, CliError};
use crate::engine::support::SupportLimits;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// What there is to say to somebody who calls: whether, when and how, never who; kept as a look-up
    Find(FindArgs),
    /// The very words somebody gets; kept as a look-up
    Text(TextArgs),
    /// Send somebody a fresh copy of their notice, to the sealed address alone; kept as a look-up
    Renotice(RenoticeArgs),
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

#[derive(Debug, Args)]
pub(super) struct RenoticeArgs {
    /// The campaign
    campaign: String,
    /// The recipient's number, as `support find` tells it
    number: u64,
    /// Do not ask
    #[arg(long)]
    yes: bool,
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
        Verb::Renotice(args) => renotice(args, (by, limits), context).await,
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

async fn renotice(
    args: RenoticeArgs,
    (by, limits): (String, SupportLimits),
    context: &Context<'_>,
) -> Result<(), CliError> {
    let (name, number) = (&args.campaign, args.number);
    context.printer.say(
        "A fresh copy of their notice goes to the address that was sealed, and to no other. A personal link in \
         an earlier one stops working. This cannot be undone.",
    );
    context
        .confirm(&format!("Send recipient {number} of `{name}` their notice again?"), args.yes)?;
    let asked = context
        .with_engine(async |engine| Ok(engine.support_renotice(name, number, &by, limits).await?))
        .await?;
    let (whose, which) = (asked.number.to_string(), asked.generation.to_string());
    context.printer.data(&facts(&[("Recipient", whose), ("Notice", which)]))?;
    if asked.number != number {
        context.printer.say(&format!(
            "One notice names them and other accounts of the same mailbox; it goes out as that of recipient {}.",
            asked.number
        ));
    }
    context.printer.say(&if asked.is_running {
        "It goes out now: a worker runs.".to_owned()
    } else {
        format!("It goes out with the next `forthwith campaign run {name}`.")
    });
    Ok(())
}
