//! What a run came to, and the table of several.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::options::Options;
use crate::drill::report::Break;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub seed: u64,
    /// Kills of the portal.
    pub kills: u32,
    /// Those that came while people were on their way to the form.
    pub early: u32,
    /// Those that left a claim whose password is not in the directory.
    pub claimed: u32,
    /// Those that left a password in the directory and its claim open.
    pub changed: u32,
    /// Looks at both sums, and those at which they did not hold.
    pub checks: u32,
    pub sum_breaks: u32,
    /// People who sent a password and have it.
    pub reset: u32,
    /// People who sent one and whose account is as it was.
    pub expired: u32,
    /// People who sent more than one.
    pub raced: usize,
    pub breaks: Vec<Break>,
    /// Why the run says nothing, where it does not.
    pub void: Vec<String>,
    pub seconds: f64,
}

impl Report {
    /// What does not add up.
    pub fn sums(&mut self, found: Vec<String>) {
        self.checks += 1;
        self.sum_breaks += u32::from(!found.is_empty());
        let kills = self.kills;
        let broken = found.into_iter().map(|text| format!("after kill {kills}: {text}"));
        self.breaks.extend(broken.map(|text| Break::of("both sums hold", text)));
    }

    /// Whether the run says anything.
    pub fn void(&mut self, options: &Options) {
        let needed = options.hits_needed();
        for (hits, moment) in [
            (self.claimed, "between claim and directory"),
            (self.changed, "between directory and the end"),
        ] {
            if hits < needed {
                self.void.push(format!("{hits} kills came {moment}, {needed} are needed"));
            }
        }
    }

    /// Everything that was broken, in words.
    pub fn told(&self) -> String {
        let mut text = String::new();
        for one in &self.breaks {
            let number = one.number.map(|number| format!(" {number}")).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "seed {}: BROKEN: {}:{number} {} {}",
                self.seed, one.promise, one.address, one.text
            );
        }
        for why in &self.void {
            let _ = writeln!(text, "seed {}: void: {why}", self.seed);
        }
        text
    }

    fn verdict(&self) -> &'static str {
        match (self.breaks.is_empty(), self.void.is_empty()) {
            (false, _) => "BROKEN",
            (true, false) => "void",
            (true, true) => "held",
        }
    }
}

/// The table of several runs.
pub fn table(reports: &[Report]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header([
        "seed",
        "kills",
        "on the way",
        "claimed",
        "changed",
        "reset",
        "expired",
        "sent again",
        "sums",
        "broken",
        "seconds",
        "verdict",
    ]);
    for one in reports {
        table.add_row([
            one.seed.to_string(),
            one.kills.to_string(),
            one.early.to_string(),
            one.claimed.to_string(),
            one.changed.to_string(),
            one.reset.to_string(),
            one.expired.to_string(),
            one.raced.to_string(),
            format!("{}/{}", one.checks - one.sum_breaks, one.checks),
            one.breaks.len().to_string(),
            format!("{:.1}", one.seconds),
            one.verdict().to_owned(),
        ]);
    }
    for (place, column) in table.column_iter_mut().enumerate() {
        if place != 11 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}
