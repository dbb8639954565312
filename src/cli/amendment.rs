//! `forthwith amendment`.

mod whom;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::whom::Whom;
use super::ask::Wanted;
use super::context::Context;
use super::listing::Listing;
use super::output::count;
use super::status::amendment_lines;
use super::{AsJson, CliError};
use crate::config::env::PASSWORDS;
use crate::domain::address::EmailAddress;
use crate::domain::amendment::{Change, Channel};
use crate::engine::Engine;
use crate::engine::amend::{Amended, Request};
use crate::engine::operators::Signer;

/// Rows asked for at a time.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Take people out who do not belong to the campaign; one operator signs
    Withdraw(ActArgs),
    /// Send one person's notice to another address, without token or code; two operators sign
    ReplaceAddress {
        /// The new address; `-` asks for it, so that it stays off the command line
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Have people told by another channel than mail; two operators sign
    ChangeChannel {
        /// The channel
        #[arg(long, value_name = "CHANNEL", value_parser = [
            "post", "phone", "in-person", "substitute",
        ])]
        to: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Start nothing more for people until they are released; one operator signs
    Hold(ActArgs),
    /// Let the machine go on with people who are held, as they were sealed; one operator signs
    Release(ActArgs),
    /// Let people go untold; one operator signs
    Waive(ActArgs),
    /// List the amendments, with their sums by kind; addresses are masked
    List {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        form: AsJson,
    },
}

/// What all acts have in common.
#[derive(Debug, Args)]
pub(super) struct ActArgs {
    /// The campaign
    campaign: String,
    #[command(flatten)]
    whom: Whom,
    /// Why; kept encrypted with the signatures
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// What proves it, such as a ticket; needed where it says where a notice goes, or lets somebody go
    /// for whom a person should act
    #[arg(long, value_name = "TEXT", default_value = "")]
    evidence: String,
    /// The operator who signs; twice where two have to
    #[arg(long, value_name = "NAME", required = true)]
    operator: Vec<String>,
    /// Files with the operators' passwords, in their order; else `FORTHWITH_PASSWORD`, with two
    /// operators `FORTHWITH_PASSWORD_1` and `_2`, else prompts
    #[arg(long, value_name = "FILE")]
    password_file: Vec<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let (change, args) = match verb {
        Verb::List { campaign, form } => {
            return context
                .with_engine(async |engine| list(&campaign, form, &engine, context).await)
                .await;
        }
        Verb::Withdraw(args) => (Change::Withdraw, args),
        Verb::Hold(args) => (Change::Hold, args),
        Verb::Release(args) => (Change::Release, args),
        Verb::Waive(args) => (Change::Waive, args),
        Verb::ReplaceAddress { to, act } => (Change::ReplaceAddress(address(&to, context)?), act),
        Verb::ChangeChannel { to, act } => {
            let channel = Channel::parse(&to).ok_or_else(|| {
                let known = Channel::ALL.map(Channel::word).join(", ");
                CliError::refused(format!("`{to}` is no channel; hint: {known}"))
            })?;
            (Change::ChangeChannel(channel), act)
        }
    };
    context.with_engine(async |engine| act(change, &args, &engine, context).await).await
}

/// The new address; what was typed is not repeated where it is none.
fn address(named: &str, context: &Context<'_>) -> Result<EmailAddress, CliError> {
    let typed = context.typed_if_dash(named, "New address: ")?;
    EmailAddress::parse(&typed)
        .map_err(|why| CliError::refused(format!("the new address: {why}; hint: `--to`")))
}

/// What becomes of them, in words.
fn means(change: &Change) -> &'static str {
    match change {
        Change::Withdraw => "withdrawn",
        Change::ReplaceAddress(_) => "sent their notice to the new address, without token or code",
        Change::ChangeChannel(_) => "left to the other channel",
        Change::Hold => "held until they are released",
        Change::Release => "released, as they were sealed",
        Change::Waive => "waived: nobody will tell them",
    }
}

async fn act(
    change: Change,
    args: &ActArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let name = &args.campaign;
    let found = args.whom.find(name, engine, context).await?;
    found.say(context);
    let means = means(&change);
    let people = count(found.numbers.len() as u64);
    if !found.numbers.is_empty() {
        let classes = engine.classes_of(name, &found.numbers).await?;
        context.printer.say(&breakdown(&classes));
        context.confirm(&format!("{people} people will be {means}. Go on?"), args.yes)?;
        let signers = signers(args, engine, context).await?;
        let request =
            Request { change, reason: args.reason.clone(), evidence: args.evidence.clone() };
        let amended = engine.amend(name, &found.numbers, &request, &signers).await?;
        report(&amended, &people, means, context);
        if !amended.left.is_empty() {
            return Err(CliError::refused(format!(
                "{} people were not amended; hint: each is named above with its reason",
                count(amended.left.len() as u64)
            )));
        }
    }
    if found.unmatched > 0 {
        return Err(CliError::refused(format!(
            "{} lines named nobody; hint: see `{}`",
            count(found.unmatched),
            engine.workspace.unmatched(name).display()
        )));
    }
    if found.numbers.is_empty() {
        context.printer.say("Nobody is meant.");
    }
    Ok(())
}

fn report(amended: &Amended, people: &str, means: &str, context: &Context<'_>) {
    for (number, why) in &amended.left {
        context.printer.say(&format!("recipient {number}: {why}"));
    }
    let done = count(amended.done.len() as u64);
    context.printer.say(&format!("{done} of {people} people are {means}."));
    let mut became: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, _, label) in &amended.done {
        *became.entry(label).or_default() += 1;
    }
    for (label, number) in became {
        context.printer.say(&format!("  {:>7}  {label}", count(number)));
    }
    if amended.renewed > 0 {
        context.printer.say(&format!(
            "{} of them had something sent to the old address: they get a new notice, and old links \
             are revoked.",
            count(amended.renewed)
        ));
    }
}

fn breakdown(classes: &BTreeMap<String, u64>) -> String {
    let parts = classes.iter().map(|(label, number)| format!("{} {label}", count(*number)));
    format!("They are now: {}.", parts.collect::<Vec<_>>().join(", "))
}

/// Everybody who signs, each with their own password.
async fn signers(
    args: &ActArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<Vec<Signer>, CliError> {
    if args.operator.len() > 2 {
        return Err(CliError::refused("one or two operators sign; hint: `--operator` twice"));
    }
    let mut signers = Vec::new();
    for (place, name) in args.operator.iter().enumerate() {
        let wanted = Wanted {
            name,
            file: args.password_file.get(place).map(PathBuf::as_path),
            variable: if args.operator.len() == 1 { PASSWORDS[0] } else { PASSWORDS[place + 1] },
            is_new: false,
        };
        signers.push(context.signer(engine, &wanted).await?);
    }
    Ok(signers)
}

async fn list(
    campaign: &str,
    form: AsJson,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let columns = ["number", "n", "kind", "to", "was", "became", "reason", "evidence", "by", "at"];
    let mut listing = Listing::new(context.printer, &columns, form.json);
    let mut after = (0, 0);
    loop {
        let page = engine.amendments(campaign, after, PAGE).await?;
        listing.page(&page)?;
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = (last.number, last.n),
            _ => break,
        }
    }
    listing.finish("no amendments");
    let sums = engine.amendment_sums(campaign).await?;
    if !form.json && !sums.is_empty() {
        context
            .printer
            .data(&format!("\nPeople they are in force for\n{}", amendment_lines(&sums)))?;
    }
    Ok(())
}
