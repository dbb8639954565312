//! `forthwith delivery`.

use clap::{Args, Subcommand};

use super::ask::Signing;
use super::context::Context;
use super::listing::{Listing, facts};
use super::output::{count, harmless};
use super::{AsJson, Bars, CliError};
use crate::engine::Engine;
use crate::engine::report::Story;
use crate::engine::resolve::Verdict;
use crate::store::reports::DeliveryFilter;

/// Rows asked for at a time.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List what became of each notice; accounts and addresses are masked
    List(ListArgs),
    /// Tell one person's whole story
    Show {
        /// The campaign
        campaign: String,
        /// A number, an account or an address; `-` asks for it, so that an address stays off the
        /// command line
        #[arg(value_name = "WHO")]
        who: String,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Settle notices whose fate is unknown, with a reason and a signature
    Resolve(ResolveArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The campaign
    campaign: String,
    /// Only this class
    #[arg(long, value_name = "CLASS", value_parser = [
        "queued", "deferred", "in-doubt", "held", "fallback", "told", "withdrawn", "waived",
    ])]
    class: Option<String>,
    /// Only this reason, such as `bounced` or `address:missing`
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only people of whom some attempt was ever in doubt
    #[arg(long)]
    ever_in_doubt: bool,
    #[command(flatten)]
    form: AsJson,
}

#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// The campaign
    campaign: String,
    /// Numbers, accounts or addresses of people in doubt (`number:N` where a text could be both)
    #[arg(value_name = "WHO", required_unless_present = "all", conflicts_with = "all")]
    who: Vec<String>,
    /// Everybody in doubt
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    verdict: VerdictArgs,
    /// How you know; kept with the signature
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    signing: Signing,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What is known of them; exactly one.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
struct VerdictArgs {
    /// The relay took it: they are told
    #[arg(long)]
    accepted: bool,
    /// It never left: it may be sent again
    #[arg(long)]
    not_sent: bool,
    /// Let it go: nobody will ever know
    #[arg(long)]
    waive: bool,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    context
        .with_engine(async |engine| match verb {
            Verb::List(args) => list(&args, &engine, context).await,
            Verb::Show { campaign, who, json } => {
                let who = context.who(&who)?;
                for number in find(&engine, &campaign, &who).await? {
                    let story = engine.story(&campaign, number).await?;
                    if json {
                        context.printer.json(&story)?;
                    } else {
                        tell(&story, context)?;
                    }
                }
                Ok(())
            }
            Verb::Resolve(args) => resolve(&args, &engine, context).await,
        })
        .await
}

async fn list(args: &ListArgs, engine: &Engine, context: &Context<'_>) -> Result<(), CliError> {
    let filter = DeliveryFilter {
        class: args.class.clone(),
        reason: args.reason.clone(),
        ever_in_doubt: args.ever_in_doubt,
    };
    let columns = [
        "number",
        "account",
        "address",
        "class",
        "reason",
        "in_flight",
        "attempts",
        "due_at",
        "changed_at",
        "reference",
    ];
    let mut listing = Listing::new(context.printer, &columns, args.form.json);
    let mut after = None;
    loop {
        let page = engine.deliveries(&args.campaign, &filter, after, PAGE).await?;
        listing.page(&page)?;
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.number),
            _ => break,
        }
    }
    listing.finish("no deliveries of that kind");
    Ok(())
}

/// The people to look at. What was typed is not repeated: it may be an address.
pub(super) async fn find(engine: &Engine, campaign: &str, who: &str) -> Result<Vec<u64>, CliError> {
    somebody(campaign, engine.find(campaign, who).await?)
}

/// The people to act on, where the text can mean nobody else.
pub(super) async fn find_to_act(
    engine: &Engine,
    campaign: &str,
    who: &str,
) -> Result<Vec<u64>, CliError> {
    somebody(campaign, engine.find_to_act(campaign, who).await?)
}

fn somebody(campaign: &str, found: Vec<u64>) -> Result<Vec<u64>, CliError> {
    if found.is_empty() {
        return Err(CliError::refused(format!(
            "nobody of campaign `{campaign}` has that number, account or address; hint: `forthwith \
             delivery list {campaign}`"
        )));
    }
    Ok(found)
}

fn tell(story: &Story, context: &Context<'_>) -> Result<(), CliError> {
    let delivery = &story.delivery;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let stands = if delivery.reason.is_empty() {
        delivery.class.to_owned()
    } else {
        format!("{} ({})", delivery.class, delivery.reason)
    };
    let flight = if delivery.in_flight { ", an attempt is in flight" } else { "" };
    let mut lines = vec![
        ("Number", delivery.number.to_string()),
        ("Reference", delivery.reference.clone()),
        ("Account", delivery.account.clone()),
        ("Address", format!("{} ({})", delivery.address, story.address_reason)),
        ("Stands", format!("{stands}{flight}")),
        ("Since", or_none(&delivery.changed_at)),
        ("Next due", or_none(&delivery.due_at)),
        ("Sealed at", or_none(&story.sealed_at)),
        ("Seal root", story.seal_root.clone()),
        ("In the ledger", story.person.clone()),
    ];
    if story.at_address > 1 {
        lines.push(("Accounts there", count(story.at_address)));
    }
    lines.extend(story.carrier.map(|number| ("Told with", number.to_string())));
    lines.extend(story.copy_of.map(|number| ("Copy of", number.to_string())));
    context.printer.data(&facts(&lines))?;
    context.printer.data("\nCredentials")?;
    let columns = ["kind", "class", "reason", "changed_at"];
    Listing::print(context.printer, &columns, false, &story.credentials, "none settled")?;
    context.printer.data("\nAttempts")?;
    let columns = [
        "generation",
        "n",
        "dated_at",
        "result",
        "class",
        "phase",
        "code",
        "enhanced",
        "queue_id",
        "reply",
    ];
    Listing::print(context.printer, &columns, false, &story.attempts, "none")?;
    if !story.tokens.is_empty() {
        context.printer.data("\nPersonal links")?;
        let columns =
            ["generation", "state", "issued_at", "expires_at", "consumed_at", "revoked_at"];
        Listing::print(context.printer, &columns, false, &story.tokens, "")?;
    }
    tell_amendments(story, context)?;
    for attempt in &story.attempts {
        for end in &attempt.resolutions {
            let (generation, n) = (attempt.generation, attempt.n);
            context.printer.data(&harmless(&format!(
                "Attempt {generation}.{n} was settled as {} by {} at {}: {}",
                end.result, end.by, end.at, end.reason
            )))?;
        }
    }
    Ok(())
}

fn tell_amendments(story: &Story, context: &Context<'_>) -> Result<(), CliError> {
    if story.amendments.is_empty() {
        return Ok(());
    }
    context.printer.data("\nAmendments")?;
    let columns = ["n", "kind", "to", "was", "became", "reason", "evidence", "by", "at"];
    Listing::print(context.printer, &columns, false, &story.amendments, "")
}

async fn resolve(
    args: &ResolveArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let (verdict, means) = match (args.verdict.accepted, args.verdict.not_sent) {
        (true, _) => (Verdict::Accepted, "counted as told"),
        (_, true) => (Verdict::NotSent, "queued and sent again"),
        _ => (Verdict::Waive, "waived: nobody will tell them"),
    };
    let mut numbers = Vec::new();
    for who in &args.who {
        numbers.extend(find_to_act(engine, &args.campaign, &context.who(who)?).await?);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let doubts = engine.standing(&args.campaign).await?.deliveries.in_doubt;
    let people = if args.all { doubts } else { numbers.len() as u64 };
    if people == 0 {
        context.printer.say("Nobody is in doubt.");
        return Ok(());
    }
    let people = count(people);
    context.confirm(&format!("{people} people will be {means}. Go on?"), args.yes)?;
    let signer = context.signer(engine, &args.signing.wanted()).await?;
    let (name, reason) = (&args.campaign, &args.reason);
    let settled = if args.all {
        let bars = Bars::new(context.printer);
        engine.resolve_all(name, verdict, reason, &signer, &bars).await?
    } else {
        engine.resolve(name, &numbers, verdict, reason, &signer).await?
    };
    context.printer.say(&format!("{} of {people} people are {means}.", count(settled.moved)));
    if settled.renewed > 0 {
        context.printer.say(&format!(
            "{} of them get a new notice with a new link: the old one is \
             revoked, or lost with a database that was restored.",
            count(settled.renewed)
        ));
    }
    Ok(())
}
