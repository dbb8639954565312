//! Whom an amendment is for: named one by one, a whole class, or a file with an account a line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::CliError;
use crate::cli::context::Context;
use crate::cli::delivery::find_to_act;
use crate::engine::Engine;
use crate::store::reports::DeliveryFilter;

/// People asked for at a time.
const PAGE: u32 = 1_000;
/// Lines that named nobody and are told on the terminal; all are kept.
const TOLD: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Whom {
    /// Numbers, accounts or addresses (`number:N` where a text could be both); `-` asks for one
    #[arg(value_name = "WHO", required_unless_present_any = ["all", "from"],
          conflicts_with_all = ["all", "from"])]
    who: Vec<String>,
    /// With `--all`: everybody in this class, such as `deferred` or `held/conflict`
    #[arg(long, value_name = "CLASS", requires = "all")]
    class: Option<String>,
    /// Everybody in the class
    #[arg(long, requires = "class", conflicts_with = "from")]
    all: bool,
    /// A file with one account a line, nothing else; lines that name nobody are kept and listed
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Who is meant. A class is read by the page, each time anew: it may be everybody.
#[derive(Debug)]
pub(super) struct Found {
    meant: Meant,
    unmatched: Unmatched,
}

#[derive(Debug)]
enum Meant {
    /// Numbers in their order, each once.
    Named(Vec<u64>),
    /// Everybody who stands so.
    Class(DeliveryFilter),
}

/// Lines that named nobody.
#[derive(Debug, Default)]
struct Unmatched {
    lines: u64,
    told: Vec<u64>,
}

impl Whom {
    pub(super) async fn find(
        &self,
        campaign: &str,
        engine: &Engine,
        context: &Context<'_>,
    ) -> Result<Found, CliError> {
        if let Some(label) = &self.class {
            let meant = Meant::Class(filter(label)?);
            return Ok(Found { meant, unmatched: Unmatched::default() });
        }
        let mut numbers = Vec::new();
        let unmatched = match &self.from {
            Some(path) => from_file(campaign, path, engine, &mut numbers).await?,
            None => Unmatched::default(),
        };
        for who in &self.who {
            let who = context.who(who)?;
            numbers.extend(find_to_act(engine, campaign, &who).await?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Found { meant: Meant::Named(numbers), unmatched })
    }
}

impl Found {
    /// Lines that named nobody.
    pub(super) fn unmatched(&self) -> u64 {
        self.unmatched.lines
    }

    /// The next page of numbers after `after`; an empty one ends them.
    pub(super) async fn page(
        &self,
        campaign: &str,
        after: Option<u64>,
        engine: &Engine,
    ) -> Result<Vec<u64>, CliError> {
        match &self.meant {
            Meant::Named(numbers) => Ok(rest(numbers, after).to_vec()),
            Meant::Class(filter) => {
                let page = engine.of_class(campaign, filter, after, PAGE).await?;
                Ok(page.into_iter().map(|(number, _)| number).collect())
            }
        }
    }

    /// How many stand in which class now.
    pub(super) async fn classes(
        &self,
        campaign: &str,
        engine: &Engine,
    ) -> Result<BTreeMap<String, u64>, CliError> {
        let mut classes = BTreeMap::new();
        let mut after = None;
        loop {
            let page = match &self.meant {
                Meant::Named(numbers) => {
                    let some = rest(numbers, after);
                    after = some.last().copied();
                    engine.classes_of(campaign, some).await?
                }
                Meant::Class(filter) => {
                    let page = engine.of_class(campaign, filter, after, PAGE).await?;
                    after = page.last().map(|(number, _)| *number);
                    page.into_iter().fold(BTreeMap::new(), |mut sums, (_, label)| {
                        *sums.entry(label).or_default() += 1;
                        sums
                    })
                }
            };
            if after.is_none() {
                return Ok(classes);
            }
            for (label, people) in page {
                *classes.entry(label).or_default() += people;
            }
        }
    }

    /// Tells of the lines that named nobody; what stands in them may be an address, so it is not said.
    pub(super) fn say(&self, context: &Context<'_>) {
        let Unmatched { lines, told } = &self.unmatched;
        for line in told {
            context.printer.say(&format!("line {line} names nobody of the campaign"));
        }
        let more = lines.saturating_sub(told.len() as u64);
        if more > 0 {
            context.printer.say(&format!("and {more} lines more"));
        }
    }
}

/// At most a page of the numbers after `after`.
fn rest(numbers: &[u64], after: Option<u64>) -> &[u64] {
    let from = after.map_or(0, |after| numbers.partition_point(|number| *number <= after));
    &numbers[from..numbers.len().min(from + PAGE as usize)]
}

/// What a label such as `held/conflict` means in listings.
fn filter(label: &str) -> Result<DeliveryFilter, CliError> {
    let (class, reason) = match label.split_once('/') {
        Some((class, reason)) => (class, Some(reason.to_owned())),
        None => (label, None),
    };
    let known = ["queued", "deferred", "in-doubt", "held", "fallback", "told"];
    if !known.contains(&class) {
        return Err(CliError::refused(format!(
            "`{label}` is no class that an amendment leaves; hint: {}, with `/REASON` where only \
             some are meant",
            known.join(", ")
        )));
    }
    Ok(DeliveryFilter { class: Some(class.to_owned()), reason, ..DeliveryFilter::default() })
}

/// Reads the file line by line; of what names nobody each line is kept in a file of its own.
async fn from_file(
    campaign: &str,
    path: &Path,
    engine: &Engine,
    numbers: &mut Vec<u64>,
) -> Result<Unmatched, CliError> {
    let file = |source| CliError::File { path: path.display().to_string(), source };
    let text = BufReader::new(File::open(path).map_err(file)?);
    let mut unmatched = Unmatched::default();
    let mut kept = None;
    for (line, account) in (1..).zip(text.lines()) {
        let account = account.map_err(file)?;
        let account = account.trim_start_matches('\u{FEFF}').trim();
        if account.is_empty() {
            continue;
        }
        let named = engine.find_account(campaign, account).await?;
        if named.is_empty() {
            unmatched.lines += 1;
            if unmatched.told.len() < TOLD {
                unmatched.told.push(line);
            }
            keep(&engine.workspace.unmatched(campaign), &mut kept, line, account)?;
        }
        numbers.extend(named);
    }
    if let Some(mut kept) = kept {
        kept.flush().map_err(file)?;
    }
    Ok(unmatched)
}

/// For the owner alone: it may hold addresses. The first line makes the file anew.
fn keep(
    path: &Path,
    kept: &mut Option<BufWriter<File>>,
    line: u64,
    account: &str,
) -> Result<(), CliError> {
    let file = |source| CliError::File { path: path.display().to_string(), source };
    if kept.is_none() {
        let new = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
        let mut new = BufWriter::new(new.map_err(file)?);
        writeln!(new, "line,text").map_err(file)?;
        *kept = Some(new);
    }
    let Some(out) = kept else { return Ok(()) };
    writeln!(out, "{line},\"{}\"", account.replace('"', "\"\"")).map_err(file)
}
