//! What a run came to, and the table of several.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use forthwith::domain::address::EmailAddress;

use super::compare::Found;
use super::options::{Machine, Options};

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    pub promise: &'static str,
    pub number: Option<u64>,
    /// Masked.
    pub address: String,
    pub text: String,
    /// What record, database and journal have about this person.
    pub story: Vec<String>,
}

impl Break {
    /// Of the whole.
    pub fn of(promise: &'static str, text: String) -> Self {
        Self { promise, number: None, address: String::new(), text, story: Vec::new() }
    }

    /// Of one person.
    pub fn about(promise: &'static str, number: Option<u64>, address: &str, text: String) -> Self {
        let masked = EmailAddress::parse(address).map(|address| address.to_string());
        let address = masked.unwrap_or_else(|_| "an address".into());
        Self { promise, number, address, text, story: Vec::new() }
    }
}

/// Most breaks that are told in full.
const TOLD: usize = 20;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub seed: u64,
    /// What was played, in words.
    pub played: String,
    /// Kills that really struck a command before sending, by the command.
    pub before: Vec<(String, u32)>,
    /// Kills while sending.
    pub kills: u32,
    /// Those of them at which a transaction was open.
    pub hits: u32,
    /// Starts at which both sums were counted.
    pub checks: u32,
    pub found: Found,
    /// People in doubt at most.
    pub most_doubts: u64,
    /// What sending lasted, in seconds.
    pub sending: f64,
    pub seconds: f64,
    /// Of the sums, and of everything else.
    pub sum_breaks: u32,
    pub breaks: Vec<Break>,
    /// Why the run says nothing.
    pub void: Vec<String>,
}

impl Report {
    pub fn new(options: &Options, seed: u64) -> Self {
        let mut played = format!("{} {}", options.policy.word(), options.mode.word());
        match options.machine {
            Some(Machine::Delete) => played.push_str(", journals deleted"),
            Some(Machine::Truncate) => played.push_str(", journals truncated"),
            None => {}
        }
        if options.restore {
            played.push_str(if options.without_journals {
                ", backup restored, no journals"
            } else {
                ", backup restored"
            });
        }
        Self { seed, played, ..Self::default() }
    }

    /// Notes what did not add up at a start.
    pub fn sums(&mut self, breaks: Vec<String>, after: &str) {
        self.checks += 1;
        self.sum_breaks += u32::try_from(breaks.len()).unwrap_or(u32::MAX);
        let told = |text| Break::of("the sums hold", format!("{text} (after {after})"));
        self.breaks.extend(breaks.into_iter().map(told));
    }

    /// What was broken, person by person, and why the run may be void.
    pub fn told(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for (command, kills) in &self.before {
            let _ = writeln!(text, "seed {}: {kills} kills struck {command}", self.seed);
        }
        for one in self.breaks.iter().take(TOLD) {
            let who = one.number.map(|number| format!(" {number} {}", one.address));
            let who = who.unwrap_or_default();
            let _ = writeln!(text, "BROKEN ({}):{who} {}", one.promise, one.text);
            for line in &one.story {
                let _ = writeln!(text, "    {line}");
            }
        }
        if self.breaks.len() > TOLD {
            let _ = writeln!(text, "and {} breaks more", self.breaks.len() - TOLD);
        }
        for why in &self.void {
            let _ = writeln!(text, "VOID: {why}");
        }
        text
    }

    fn verdict(&self) -> &'static str {
        if !self.breaks.is_empty() {
            "BROKEN"
        } else if self.void.is_empty() {
            "holds"
        } else {
            "void"
        }
    }
}

/// All runs in one table.
pub fn table(reports: &[Report]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header([
        "seed",
        "played",
        "kills",
        "hit open",
        "before",
        "accepted",
        "lost",
        "second",
        "in doubt",
        "at most",
        "sums",
        "broken",
        "sending s",
        "verdict",
    ]);
    for report in reports {
        let found = &report.found;
        let before: u32 = report.before.iter().map(|(_, kills)| kills).sum();
        table.add_row([
            report.seed.to_string(),
            report.played.clone(),
            report.kills.to_string(),
            report.hits.to_string(),
            before.to_string(),
            found.accepted.to_string(),
            found.lost.to_string(),
            found.second_copies.to_string(),
            found.in_doubt.to_string(),
            report.most_doubts.to_string(),
            format!("{}/{}", report.checks - report.sum_breaks.min(report.checks), report.checks),
            report.breaks.len().to_string(),
            format!("{:.1}", report.sending),
            report.verdict().to_owned(),
        ]);
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        if place != 1 && place != 13 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}
