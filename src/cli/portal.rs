//! `forthwith portal`.

use std::time::Duration;

use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::ask::SignedAct;
use super::context::Context;
use super::listing::facts;
use super::output::count;
use crate::engine::EngineError;
use crate::engine::portal::Portal;
use crate::lifecycle;
use crate::web::{Listening, portal as pages};

/// Pauses between looks for requests and mails that wait: what a person notices of it.
const LOOK: Duration = Duration::from_millis(300);
/// Pauses between looks for resets that an earlier portal left half done, for events that wait, and for what
/// is old.
const SWEEP: Duration = Duration::from_secs(5);
/// The pause after the database failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Serve the public pages on which people choose a new password, until Ctrl-C
    Serve(ServeArgs),
    /// Take back every link and code of a campaign at once
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// The campaign
    campaign: String,
    #[command(flatten)]
    act: SignedAct,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The campaigns, all of one brand; without any, all whose containment is approved
    campaigns: Vec<String>,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Serve(args) => serve(args, context).await,
        Verb::Revoke(args) => revoke(args, context).await,
    }
}

async fn revoke(args: RevokeArgs, context: &Context<'_>) -> Result<(), CliError> {
    let name = &args.campaign;
    context.printer.say(&format!(
        "No link and no code of `{name}` will work any more. People can ask for new codes at the portal; links \
         come back with a re-notice only. This cannot be undone."
    ));
    context.confirm(&format!("Take back every link and code of `{name}`?"), args.act.yes)?;
    let revoked = context
        .with_engine(async |engine| {
            let signer = context.signer(&engine, &args.act.signing.wanted()).await?;
            Ok(engine.revoke_links(name, &args.act.reason, &signer).await?)
        })
        .await?;
    context
        .printer
        .data(&facts(&[("Links", count(revoked.tokens)), ("Codes", count(revoked.codes))]))?;
    context.printer.say("They are taken back.");
    Ok(())
}

async fn serve(args: ServeArgs, context: &Context<'_>) -> Result<(), CliError> {
    let config = context.config()?;
    let connections = config.web.connections as u64 + 64;
    lifecycle::check_open_files(connections).map_err(CliError::refused)?;
    context
        .with_engine(async |engine| {
            let portal = engine.portal(&args.campaigns, config.portal.clone()).await?;
            let listening = Listening::bind(&config.web)
                .await
                .map_err(|error| EngineError::refused(error.to_string()))?;
            let address = listening.address()?;
            context
                .printer
                .say(&format!("serving {} at {address}; Ctrl-C ends it", portal.page().as_str()));
            let router = pages::router(portal.clone(), &config.web);
            let work = async |stop: CancellationToken| {
                let serving = listening.serve(router, stop.clone());
                tokio::join!(
                    serving,
                    answer(&portal, &stop),
                    sweep(&portal, &stop),
                    tell(&portal, &stop)
                );
            };
            lifecycle::until_stopped(|| {}, work).await?;
            Ok(())
        })
        .await
}

/// Answers requests and sends what they come to.
async fn answer(portal: &Portal, stop: &CancellationToken) {
    if let Err(error) = portal.rescue_errands().await {
        tracing::error!(%error, "mails of an earlier portal could not be taken over");
    }
    while !stop.is_cancelled() {
        let pause = match one_round(portal).await {
            Ok(0) => LOOK,
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(%error, "codes and confirmations are late");
                AFTER_FAILURE
            }
        };
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
    }
}

async fn one_round(portal: &Portal) -> Result<u64, EngineError> {
    let answered = portal.answer_requests().await?;
    Ok(answered + portal.send_errands().await?)
}

/// Tells the company of resets: in a task of its own, since its endpoint may be slow.
async fn tell(portal: &Portal, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let told = tokio::select! {
            () = stop.cancelled() => break,
            told = portal.tell_events() => told,
        };
        match told {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::error!(%error, "events of resets wait"),
        }
        let _ = tokio::time::timeout(SWEEP, stop.cancelled()).await;
    }
}

/// Ends what was left half done, and forgets what is old.
async fn sweep(portal: &Portal, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = portal.learn_bounds().await {
            tracing::error!(%error, "a directory does not say yet which passwords it takes");
        }
        match portal.end_claims().await {
            Ok((0, _)) => {}
            Ok((ended, _)) => tracing::info!(ended, "resets that were left half done are ended"),
            Err(error) => tracing::error!(%error, "resets that were left half done wait"),
        }
        match portal.forget().await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "old requests for codes are forgotten"),
            Err(error) => tracing::error!(%error, "old requests for codes are kept for now"),
        }
        let _ = tokio::time::timeout(SWEEP, stop.cancelled()).await;
    }
}
