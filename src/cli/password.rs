//! `forthwith password`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::context::Context;
use super::listing::facts;
use super::output::count;
use super::{Bars, CliError};
use crate::engine::progress::Progress as _;
use crate::password_filter::{Built, ListForm, PasswordFilter, Stage, Wanted, build};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The filter of breached passwords that the portal asks
    #[command(subcommand)]
    Filter(FilterVerb),
}

#[derive(Debug, Subcommand)]
pub(super) enum FilterVerb {
    /// Make a filter of a list: SHA-1 hashes in their order, as Have I Been Pwned's downloader writes them
    Build(BuildArgs),
    /// Read a filter from end to end and say what it holds
    Check {
        /// The filter
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The list: a hash or a password a line
    source: PathBuf,
    /// The filter to write; an old one is replaced once the new one is complete
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The list holds passwords and no hashes
    #[arg(long)]
    plain: bool,
    /// The hashes stand in any order; they are sorted on the disk beside the filter
    #[arg(long)]
    unordered: bool,
}

pub(super) fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Filter(FilterVerb::Build(args)) => make(&args, context),
        Verb::Filter(FilterVerb::Check { file }) => check(&file, context),
    }
}

fn make(args: &BuildArgs, context: &Context<'_>) -> Result<(), CliError> {
    let form = if args.plain { ListForm::Plain } else { ListForm::Hashes };
    let is_ordered = !args.plain && !args.unordered;
    let wanted = Wanted { source: &args.source, out: &args.out, form, is_ordered };
    let bars = Bars::new(context.printer);
    let total = args.source.metadata().ok().filter(std::fs::Metadata::is_file);
    bars.begin("Reading the list", total.map(|file| file.len()), "bytes");
    let mut stage = Stage::Reading;
    let built = build(&wanted, &mut |now, done| {
        if now != stage {
            stage = now;
            bars.begin("Merging", None, "hashes");
        }
        bars.at(done);
    });
    let built = built.map_err(|error| CliError::refused(error.to_string()))?;
    bars.end();
    tell(&built, context)?;
    let file = args.out.display();
    context.printer.say(&format!(
        "Next: `password_filter = \"{file}\"` under [portal] in `forthwith.toml`; a relative path starts at \
         the workspace"
    ));
    Ok(())
}

fn tell(built: &Built, context: &Context<'_>) -> Result<(), CliError> {
    let Built { passwords, duplicates, rejected, bytes } = built;
    context.printer.data(&facts(&[
        ("Passwords", count(*passwords)),
        ("Duplicates", count(*duplicates)),
        ("Rejected lines", count(rejected.total)),
        ("Bytes", count(*bytes)),
    ]))?;
    for reject in &rejected.first {
        context.printer.say(&format!("  line {}: {}", reject.line, reject.reason));
    }
    let more = rejected.total - rejected.first.len() as u64;
    if more > 0 {
        context.printer.say(&format!("  and {} more", count(more)));
    }
    if let Some(kept) = &rejected.kept {
        context.printer.say(&format!(
            "The rejected lines are kept in `{}`; they may be passwords.",
            kept.display()
        ));
    }
    Ok(())
}

fn check(file: &Path, context: &Context<'_>) -> Result<(), CliError> {
    let filter =
        PasswordFilter::open(file).map_err(|error| CliError::refused(error.to_string()))?;
    context.printer.data(&facts(&[("Passwords", count(filter.count()))]))?;
    context.printer.say("The filter is whole.");
    Ok(())
}
