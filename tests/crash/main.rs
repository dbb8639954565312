//! `scripts/crash`: real campaigns of the real binary, killed at random moments, and what they came to.
//!
//! Exit 0 when every promise held, 1 when one was broken, 2 when a run is void or could not be made.

#[path = "../it/harness/files.rs"]
pub mod files;

mod drill;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use drill::bar::Bar;
use drill::options::Options;
use drill::report::{Report, table};
use rand::RngExt as _;

#[derive(clap::Parser)]
#[command(name = "scripts/crash", about = "Kills real campaigns at random moments and compares")]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Every random choice of the run; drawn and printed by default
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// So many seeds one after another, each one more than the last
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { options, seed, seeds } = Arguments::parse();
    let mut out = std::io::stdout();
    let mut reports: Vec<Report> = Vec::new();
    let mut failed = false;
    let first = seed.unwrap_or_else(|| rand::rng().random_range(1..1_000_000));
    for seed in first..first.saturating_add(seeds) {
        let bar = Bar::new(true);
        match drill::run(&options, seed, &bar).await {
            Ok(report) => {
                // One that breaks off in the middle has told what it knew.
                let _ = write!(out, "{}", report.told());
                reports.push(report);
            }
            Err(error) => {
                let _ = writeln!(out, "seed {seed}: the run could not be made: {error:#}");
                failed = true;
            }
        }
    }
    let _ = writeln!(out, "{}", table(&reports));
    let broken = reports.iter().any(|report| !report.breaks.is_empty());
    let void = failed || reports.iter().any(|report| !report.void.is_empty());
    ExitCode::from(if broken { 1 } else { u8::from(void) * 2 })
}
