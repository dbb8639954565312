//! `forthwith notice`: one notice to look at.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CliError;
use super::context::Context;
use super::output::harmless;
use crate::domain::address::EmailAddress;
use crate::domain::credential::CredentialClass;
use crate::domain::recipient::Addressee;
use crate::engine::Engine;
use crate::engine::preview::{AddressKind, Preview, Subject};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show one person's notice, or an invented person's, from the files as they are now
    Preview {
        #[command(flatten)]
        which: Which,
        /// Write the page here as well, to be opened in a browser; nothing is overwritten
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Send one to an operator's own address, marked as a test; it counts as nobody's notice
    Test {
        #[command(flatten)]
        which: Which,
        /// Where to; one of `[test] addresses` in forthwith.toml, or `-` to be asked
        #[arg(long, value_name = "ADDRESS")]
        to: String,
    },
}

/// Whose notice.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The campaign
    campaign: String,
    /// A sealed person: a number, an account or an address; `-` asks for it. Without it, an invented
    /// person
    #[arg(value_name = "WHO", conflicts_with_all = ["locale", "addressee", "address", "accounts"])]
    who: Option<String>,
    /// The invented person's language, such as `fr`
    #[arg(long, value_name = "LOCALE")]
    locale: Option<String>,
    /// Whom the invented person's notice speaks to
    #[arg(long, value_name = "ADDRESSEE", default_value = "self", value_parser = [
        "self", "guardian", "estate", "organisation",
    ])]
    addressee: String,
    /// What the invented person's address is like: theirs alone, read by several people, used by so many
    /// accounts that one notice stands for all, changed since the incident, not confirmed for long, or a
    /// second one beside that they had before
    #[arg(long, value_name = "KIND", default_value = "own", value_parser = [
        "own", "shared", "combined", "suspect", "dormant", "copy",
    ])]
    address: String,
    /// With `--address combined`: how many accounts use it
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    accounts: u64,
    /// What has become of every exposed credential, such as `no-password`
    #[arg(long, value_name = "CLASS")]
    class: Option<CredentialClass>,
}

impl Which {
    fn address_kind(&self) -> AddressKind {
        match self.address.as_str() {
            "shared" => AddressKind::Shared,
            "combined" => AddressKind::Combined { accounts: self.accounts },
            "suspect" => AddressKind::Suspect,
            "dormant" => AddressKind::Dormant,
            "copy" => AddressKind::Copy,
            _ => AddressKind::Own,
        }
    }

    async fn subject(&self, engine: &Engine, context: &Context<'_>) -> Result<Subject, CliError> {
        let Some(who) = &self.who else {
            return Ok(Subject::Variant {
                locale: self.locale.clone(),
                addressee: Addressee::parse(&self.addressee).unwrap_or_default(),
                address: self.address_kind(),
            });
        };
        let found = super::delivery::find(engine, &self.campaign, &context.who(who)?).await?;
        match found[..] {
            [number] => Ok(Subject::Person(number)),
            _ => Err(CliError::refused(format!(
                "that is {} people; hint: give a number of `forthwith delivery list {}`",
                found.len(),
                self.campaign
            ))),
        }
    }
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    context
        .with_engine(async |engine| match verb {
            Verb::Preview { which, html } => preview(&which, html, &engine, context).await,
            Verb::Test { which, to } => test(&which, &to, &engine, context).await,
        })
        .await
}

async fn preview(
    which: &Which,
    html: Option<PathBuf>,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let subject = which.subject(engine, context).await?;
    let shown = engine.preview_one(&which.campaign, &subject, which.class).await?;
    say_notes(&shown, context);
    context.printer.data(&text(&shown))?;
    if let Some(path) = html {
        context.workspace.write_new(&path, &shown.rendered.html)?;
        context.printer.say(&format!("The page is in `{}`.", path.display()));
    }
    Ok(())
}

fn say_notes(shown: &Preview, context: &Context<'_>) {
    for note in &shown.notes {
        context.printer.say(note);
    }
}

fn text(shown: &Preview) -> String {
    let lines: Vec<String> = shown.rendered.text.lines().map(harmless).collect();
    let (subject, body) = (harmless(&shown.rendered.subject), lines.join("\n"));
    format!("Language: {}\nSubject: {subject}\n\n{body}", shown.locale)
}

async fn test(
    which: &Which,
    to: &str,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let to = context.who(to)?;
    let to: EmailAddress =
        to.parse().map_err(|error| CliError::refused(format!("`--to`: {error}")))?;
    let subject = which.subject(engine, context).await?;
    let by = Context::actor();
    let sent = engine.send_test(&which.campaign, &subject, which.class, &to, &by).await?;
    say_notes(&sent.preview, context);
    let outcome = &sent.outcome;
    if sent.is_accepted() {
        let id = outcome.queue_id.as_deref().map(|id| format!(" as {id}")).unwrap_or_default();
        context
            .printer
            .say(&format!("The relay took the test for `{to}`{id}; nobody was counted."));
        return Ok(());
    }
    let code = outcome.code.map(|code| format!(" with {code}")).unwrap_or_default();
    Err(CliError::refused(format!(
        "the test for `{to}` ended {} at {}{code}; hint: `forthwith relay check`, and the relay's log",
        outcome.result.word(),
        if outcome.phase.is_empty() { "connect" } else { &outcome.phase },
    )))
}
