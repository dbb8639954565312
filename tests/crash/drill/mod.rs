//! The drill: one campaign that is killed again and again, and the comparison of the sink's own record with
//! the database.
//!
//! The work is done by real processes (`forthwith`, and its sink, which outlives the kills). The library is
//! used for reading alone: to open sealed rows, and to read journals.

pub mod bar;
mod compare;
mod database;
mod forthwith;
mod furniture;
mod house;
mod machine;
mod migration;
pub mod options;
mod people;
mod preparation;
mod record;
pub mod report;
pub mod reset;
mod restore;
mod sending;
mod shop;
mod sink;
mod story;
mod sums;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use self::bar::Bar;
use self::house::House;
use self::options::Options;
use self::report::Report;

/// The campaign's name.
pub const CAMPAIGN: &str = "thaw";

/// Makes one run to its end and compares.
pub async fn run(options: &Options, seed: u64, bar: &Bar) -> Result<Report> {
    bar.note(&format!("seed {seed}"));
    let began = Instant::now();
    let (folder, _kept) = folder(options.keep.as_deref(), seed)?;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut report = Report::new(options, seed);
    migration::kill(options, &folder, &mut rng, &mut report, bar).await?;
    let house = House::found(options, &folder, &mut rng, &mut report, bar).await?;
    if options.restore {
        restore::run(&house, &mut report, bar).await?;
    } else {
        sending::run(&house, &mut rng, &mut report, bar).await?;
    }
    story::tell(&house, &mut report).await?;
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Where it all lies: the folder named, which is kept, else one that goes when the run ends well.
fn folder(keep: Option<&Path>, seed: u64) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(named) = keep {
        let folder = named.join(format!("seed-{seed}"));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        return Ok((folder.canonicalize()?, None));
    }
    let temporary = tempfile::Builder::new().prefix("forthwith-crash-").tempdir()?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}
