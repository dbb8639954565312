//! `forthwith pace`.

use clap::{Args, Subcommand};

use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError};
use crate::domain::pace::PaceSetting;
use crate::engine::Engine;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show every provider's pace as it is in force, and what the day has used
    Show {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        form: AsJson,
    },
    /// Set the pace over all, or a provider's; a running campaign follows within a second
    Set(SetArgs),
    /// Take back what was set: the campaign's file and providers.toml hold again
    Reset {
        /// The campaign
        campaign: String,
        /// Only this provider's; without it the pace over all
        #[arg(long, value_name = "NAME", conflicts_with = "everywhere")]
        provider: Option<String>,
        /// Every scope's
        #[arg(long)]
        everywhere: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The campaign
    campaign: String,
    /// The provider's name in providers.toml; without it the pace over all
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Notices a second
    #[arg(long, value_name = "N")]
    per_second: Option<f64>,
    /// Notices a day (UTC)
    #[arg(long, value_name = "N")]
    per_day: Option<u64>,
}

const COLUMNS: [&str; 6] = ["scope", "per_second", "per_day", "today", "at_once", "from"];

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    context.with_engine(async |engine| with_engine(verb, &engine, context).await).await
}

async fn with_engine(verb: Verb, engine: &Engine, context: &Context<'_>) -> Result<(), CliError> {
    let (printer, by) = (context.printer, Context::actor());
    match verb {
        Verb::Show { campaign, form } => {
            let rows = engine.paces(&campaign).await?;
            Listing::new(printer, &COLUMNS, form.json).page(&rows)?;
            for row in rows.iter().filter(|row| !form.json && row.suspended_until.is_some()) {
                printer.say(&format!(
                    "{} is suspended until {}: {}",
                    row.scope,
                    row.suspended_until.as_deref().unwrap_or_default(),
                    row.cause.as_deref().unwrap_or_default()
                ));
            }
        }
        Verb::Set(SetArgs { campaign, provider, per_second, per_day }) => {
            let setting = PaceSetting { per_second, per_day };
            let now = engine.set_pace(&campaign, provider.as_deref(), setting, &by).await?;
            printer.say(&format!(
                "{} of `{campaign}`: {}, within a second.",
                provider.map_or("All".to_owned(), |name| format!("Provider `{name}`")),
                words(now)
            ));
        }
        Verb::Reset { campaign, provider, everywhere } => {
            let gone = engine.reset_pace(&campaign, provider.as_deref(), everywhere, &by).await?;
            printer.say(match gone {
                0 => "Nothing was set.",
                _ => "The files hold again, within a second.",
            });
        }
    }
    Ok(())
}

fn words(setting: PaceSetting) -> String {
    let rate = setting.per_second.map(|rate| format!("{rate} notices a second"));
    let quota = setting.per_day.map(|quota| format!("{quota} a day"));
    [rate, quota].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
