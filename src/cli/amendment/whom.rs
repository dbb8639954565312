//! Whom an amendment is for: named one by one, a whole class, or a file with an account a line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
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

/// Who was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Their numbers, each once.
    pub(super) numbers: Vec<u64>,
    /// Lines that named nobody.
    pub(super) unmatched: u64,
    told: Vec<u64>,
}

impl Whom {
    pub(super) async fn find(
        &self,
        campaign: &str,
        engine: &Engine,
        context: &Context<'_>,
    ) -> Result<Found, CliError> {
        let mut numbers = BTreeSet::new();
        let mut found = Found::default();
        if let Some(label) = &self.class {
            numbers.extend(of_class(campaign, label, engine).await?);
        } else if let Some(path) = &self.from {
            found = from_file(campaign, path, engine, &mut numbers).await?;
        }
        for who in &self.who {
            let who = context.who(who)?;
            numbers.extend(find_to_act(engine, campaign, &who).await?);
        }
        found.numbers = numbers.into_iter().collect();
        Ok(found)
    }
}

impl Found {
    /// Tells of the lines that named nobody; what stands in them may be an address, so it is not said.
    pub(super) fn say(&self, context: &Context<'_>) {
        for line in &self.told {
            context.printer.say(&format!("line {line} names nobody of the campaign"));
        }
        let more = self.unmatched.saturating_sub(self.told.len() as u64);
        if more > 0 {
            context.printer.say(&format!("and {more} lines more"));
        }
    }
}

async fn of_class(campaign: &str, label: &str, engine: &Engine) -> Result<Vec<u64>, CliError> {
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
    let filter =
        DeliveryFilter { class: Some(class.to_owned()), reason, ..DeliveryFilter::default() };
    let row = engine.campaign(campaign).await?;
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = engine.store.list_deliveries(row.id, &filter, after, PAGE).await;
        let page = page.map_err(crate::engine::EngineError::from)?;
        let Some(last) = page.last() else { return Ok(numbers) };
        after = Some(last.number);
        numbers.extend(page.iter().map(|listing| listing.number));
    }
}

async fn from_file(
    campaign: &str,
    path: &Path,
    engine: &Engine,
    numbers: &mut BTreeSet<u64>,
) -> Result<Found, CliError> {
    let shown = || path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| CliError::File { path: shown(), source })?;
    let mut found = Found::default();
    let mut kept = String::from("line,text\n");
    for (line, account) in (1..).zip(text.trim_start_matches('\u{FEFF}').lines()) {
        let account = account.trim();
        if account.is_empty() {
            continue;
        }
        let named = engine.find_account(campaign, account).await?;
        if named.is_empty() {
            found.unmatched += 1;
            if found.told.len() < TOLD {
                found.told.push(line);
            }
            // Writing to a String cannot fail.
            let _ = writeln!(kept, "{line},\"{}\"", account.replace('"', "\"\""));
        }
        numbers.extend(named);
    }
    if found.unmatched > 0 {
        keep(&engine.workspace.unmatched(campaign), &kept)?;
    }
    Ok(found)
}

/// For the owner alone: it may hold addresses.
fn keep(path: &Path, text: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    let file = |source| CliError::File { path: path.display().to_string(), source };
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut out| out.write_all(text.as_bytes()))
        .map_err(file)
}
