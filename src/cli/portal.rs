//! `forthwith portal`.

use std::time::Duration;

use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::context::Context;
use crate::engine::EngineError;
use crate::engine::portal::Portal;
use crate::lifecycle;
use crate::web::{Listening, portal as pages};

/// Pauses between looks for requests and mails that wait: what a person notices of it.
const LOOK: Duration = Duration::from_millis(300);
/// Pauses between looks for resets that an earlier portal left half done.
const SWEEP: Duration = Duration::from_secs(5);
/// The pause after the database failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Serve the public pages on which people choose a new password, until Ctrl-C
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The campaigns, all of one brand; without any, all whose containment is approved
    campaigns: Vec<String>,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let Verb::Serve(args) = verb;
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
                tokio::join!(serving, answer(&portal, &stop), sweep(&portal, &stop));
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

/// Ends what was left half done.
async fn sweep(portal: &Portal, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match portal.end_claims().await {
            Ok((0, _)) => {}
            Ok((ended, _)) => tracing::info!(ended, "resets that were left half done are ended"),
            Err(error) => tracing::error!(%error, "resets that were left half done wait"),
        }
        let _ = tokio::time::timeout(SWEEP, stop.cancelled()).await;
    }
}
