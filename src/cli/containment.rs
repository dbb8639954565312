//! `forthwith containment`.

use clap::Subcommand;

use super::CliError;
use super::approval::{ApproveArgs, approve, describe};
use super::context::Context;
use crate::domain::track::Track;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Try the statements, show what would be approved, and keep it for signing
    Plan {
        /// The campaign
        campaign: String,
        /// Only show it; nothing is kept
        #[arg(long)]
        check: bool,
    },
    /// Sign what is planned; two operators have to
    Approve(ApproveArgs),
    /// Stop expiring, at once
    Pause {
        /// The campaign
        campaign: String,
    },
    /// Let a paused containment go on
    Resume {
        /// The campaign
        campaign: String,
    },
}

const TRACK: Track = Track::Containment;

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    context
        .with_engine(async |engine| match verb {
            Verb::Plan { campaign, check } => {
                let plan = engine.plan(&campaign, TRACK, check).await?;
                let environment = engine.campaign(&campaign).await?.environment;
                context.printer.data(&describe(&campaign, &plan, environment))?;
                for note in &plan.notes {
                    context.printer.say(&format!("Note: {note}."));
                }
                if !check {
                    context.printer.say(&format!(
                        "Next: two operators run `forthwith containment approve {campaign} \
                         --operator NAME`"
                    ));
                }
                Ok(())
            }
            Verb::Approve(args) => approve(&args, TRACK, &engine, context).await,
            Verb::Pause { campaign } => {
                engine.pause(&campaign, TRACK, &Context::actor()).await?;
                context.printer.say(&format!("Containment of `{campaign}` is paused."));
                Ok(())
            }
            Verb::Resume { campaign } => {
                engine.resume(&campaign, TRACK, &Context::actor()).await?;
                context.printer.say(&format!(
                    "Containment of `{campaign}` may go on: `forthwith secure run {campaign}`"
                ));
                Ok(())
            }
        })
        .await
}
