//! `scripts/crash reset`: people set new passwords at a real portal that is killed in the middle, and every
//! account is looked at afterwards: each is in one of two states, and nobody's link or code is spent for
//! nothing.

mod compare;
mod life;
mod mails;
pub mod options;
mod person;
mod portal;
pub mod report;
mod town;

use std::time::Instant;

use anyhow::Result;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use self::life::Lives;
use self::options::Options;
use self::report::Report;
use self::town::Town;
use super::bar::Bar;
use super::folder;

/// Makes one run to its end and compares.
pub async fn run(options: &Options, seed: u64, bar: &Bar) -> Result<Report> {
    bar.note(&format!("seed {seed}"));
    // a browser wants one chosen even where it speaks no TLS; a second run finds the first one's
    let _ = rustls::crypto::ring::default_provider().install_default();
    let began = Instant::now();
    let (folder, _kept) = folder(options.keep.as_deref(), seed)?;
    let mut report = Report { seed, ..Report::default() };
    let town = Town::found(options, &folder, bar).await?;
    let mut lives = Lives::new(&town, StdRng::seed_from_u64(seed))?;
    while report.kills < options.kills {
        lives.live_and_die(&mut report, bar).await?;
    }
    bar.note(&format!("{} kills; the last portal ends what is open", report.kills));
    compare::all(&town, lives, &mut report, bar).await?;
    report.void(options);
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}
