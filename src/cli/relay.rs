//! `forthwith relay`.

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::{AsJson, CliError};
use crate::engine::relay::RelayReport;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Connect, secure the connection, log in, and say what the relay offers; sends nothing
    Check {
        #[command(flatten)]
        form: AsJson,
    },
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let Verb::Check { form } = verb;
    let report = context.with_engine(async |engine| Ok(engine.try_relay().await?)).await?;
    if form.json {
        return context.printer.json(&as_value(&report));
    }
    context.printer.data(&lines(&report))?;
    for note in &report.notes {
        context.printer.say(note);
    }
    Ok(())
}

fn offers(report: &RelayReport) -> Vec<String> {
    let offered = report.offered;
    let size = offered.size.map(|octets| match octets {
        0 => "SIZE".to_owned(),
        octets => format!("SIZE {octets}"),
    });
    let words = [
        (offered.pipelining, "PIPELINING"),
        (offered.dsn, "DSN"),
        (offered.smtputf8, "SMTPUTF8"),
        (offered.eight_bit_mime, "8BITMIME"),
        (offered.enhanced, "ENHANCEDSTATUSCODES"),
        (offered.starttls, "STARTTLS"),
        (offered.auth.plain, "AUTH PLAIN"),
        (offered.auth.login, "AUTH LOGIN"),
        (offered.auth.xoauth2, "AUTH XOAUTH2"),
    ];
    let named = words.into_iter().filter(|(has, _)| *has).map(|(_, word)| word.to_owned());
    named.chain(size).collect()
}

fn lines(report: &RelayReport) -> String {
    let log_in = match &report.logged_in {
        Some((mechanism, user)) => format!("as {user}, by {}", mechanism.word()),
        None => "none (relay.auth.user is empty)".to_owned(),
    };
    let offers = offers(report);
    let offers = if offers.is_empty() { "nothing we use".into() } else { offers.join(", ") };
    format!(
        "relay       {}\nconnection  {}\nlog-in      {log_in}\noffers      {offers}",
        report.relay, report.security
    )
}

fn as_value(report: &RelayReport) -> serde_json::Value {
    json!({
        "relay": report.relay,
        "connection": report.security.to_string(),
        "is_private": report.security.is_private(),
        "mechanism": report.logged_in.as_ref().map(|(mechanism, _)| mechanism.word()),
        "user": report.logged_in.as_ref().map(|(_, user)| user),
        "offers": offers(report),
        "notes": report.notes,
    })
}
