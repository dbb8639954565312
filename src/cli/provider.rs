//! `forthwith provider`.

use clap::Subcommand;

use super::CliError;
use super::context::Context;
use crate::domain::duration::HumanDuration;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Send nothing more to a mailbox provider for a while; its people wait and lose no time
    Suspend {
        /// The campaign
        campaign: String,
        /// The provider's name, as `forthwith pace show` lists it
        provider: String,
        /// For how long, such as 30m or 2h
        #[arg(long = "for", value_name = "TIME", value_parser = length)]
        rest: HumanDuration,
        /// Why, for whoever reads the status
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let a suspended provider go on before its time
    Resume {
        /// The campaign
        campaign: String,
        /// The provider's name
        provider: String,
    },
}

fn length(text: &str) -> Result<HumanDuration, String> {
    text.parse().map_err(|error: crate::domain::duration::DurationFault| error.to_string())
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    context
        .with_engine(async |engine| {
            match verb {
                Verb::Suspend { campaign, provider, rest, reason } => {
                    let by = Context::actor();
                    let until =
                        engine.suspend_provider(&campaign, &provider, rest, &reason, &by).await?;
                    context.printer.say(&format!(
                        "Nothing more goes to `{provider}` until {until}; `forthwith provider resume \
                         {campaign} {provider}` ends that earlier."
                    ));
                }
                Verb::Resume { campaign, provider } => {
                    engine.resume_provider(&campaign, &provider).await?;
                    context.printer.say(&format!("`{provider}` goes on."));
                }
            }
            Ok(())
        })
        .await
}
