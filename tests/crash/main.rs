//! `scripts/crash`: real campaigns of the real binary, killed at random moments, and what they came to.
//!
//! Exit 0 when every promise held, 1 when one was broken, 2 when a run is void or could not be made.

#[path = "../it/harness/files.rs"]
pub mod files;
#[path = "../it/harness/form.rs"]
pub mod form;

mod drill;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser as _, Subcommand};

use drill::bar::Bar;
use drill::options::Options;
use drill::{report, reset};
use rand::RngExt as _;

#[derive(clap::Parser)]
#[command(
    name = "scripts/crash",
    about = "Kills real campaigns at random moments and compares",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    seeds: Seeds,
}

#[derive(Subcommand)]
enum Other {
    /// Kills a portal while people set new passwords
    Reset {
        #[command(flatten)]
        options: reset::options::Options,
        #[command(flatten)]
        seeds: Seeds,
    },
}

#[derive(Args)]
struct Seeds {
    /// Every random choice of the run; drawn and printed by default
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// So many seeds one after another, each one more than the last
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
}

/// What a run came to.
struct Came {
    told: String,
    broken: bool,
    void: bool,
}

impl Seeds {
    /// Makes a run for each seed: the reports, and whether one could not be made.
    async fn each<R>(
        &self,
        run: impl AsyncFn(u64) -> anyhow::Result<(R, Came)>,
    ) -> (Vec<R>, ExitCode) {
        let mut out = std::io::stdout();
        let (mut reports, mut broken, mut void) = (Vec::new(), false, false);
        let first = self.seed.unwrap_or_else(|| rand::rng().random_range(1..1_000_000));
        for seed in first..first.saturating_add(self.seeds) {
            match run(seed).await {
                Ok((report, came)) => {
                    // One that breaks off in the middle has told what it knew.
                    let _ = write!(out, "{}", came.told);
                    broken |= came.broken;
                    void |= came.void;
                    reports.push(report);
                }
                Err(error) => {
                    let _ = writeln!(out, "seed {seed}: the run could not be made: {error:#}");
                    void = true;
                }
            }
        }
        (reports, ExitCode::from(if broken { 1 } else { u8::from(void) * 2 }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { other, options, seeds } = Arguments::parse();
    let bar = Bar::new(true);
    let (table, code) = match other {
        None => {
            let (reports, code) = seeds
                .each(async |seed| {
                    let one = drill::run(&options, seed, &bar).await?;
                    let (broken, void) = (!one.breaks.is_empty(), !one.void.is_empty());
                    Ok((one.clone(), Came { told: one.told(), broken, void }))
                })
                .await;
            (report::table(&reports), code)
        }
        Some(Other::Reset { options, seeds }) => {
            let (reports, code) = seeds
                .each(async |seed| {
                    let one = reset::run(&options, seed, &bar).await?;
                    let (broken, void) = (!one.breaks.is_empty(), !one.void.is_empty());
                    Ok((one.clone(), Came { told: one.told(), broken, void }))
                })
                .await;
            (reset::report::table(&reports), code)
        }
    };
    let _ = writeln!(std::io::stdout(), "{table}");
    code
}
