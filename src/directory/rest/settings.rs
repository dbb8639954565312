//! What the settings of every directory that is spoken to over HTTP have in common: where they leave a bound
//! out, and what of them makes no sense.

use crate::domain::duration::HumanDuration;

pub fn hundred() -> usize {
    100
}

pub fn eight() -> usize {
    8
}

pub fn thirty_seconds() -> HumanDuration {
    HumanDuration::from_secs(30)
}

/// How hard a server may be asked.
pub struct Load {
    /// The key of the most accounts at once, and how many those are.
    pub rows: (&'static str, usize),
    pub concurrency: usize,
    pub per_second: Option<u32>,
    pub timeout: HumanDuration,
}

impl Load {
    /// What is out of bounds: the key, and what to say about it.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let (rows_key, rows) = self.rows;
        let per_second = self.per_second.map_or(1, |most| most as usize);
        let values = [
            (rows_key, rows, 1_000, "for 100"),
            ("concurrency", self.concurrency, 64, "for 8"),
            ("per_second", per_second, 10_000, "for no bound"),
        ];
        let mut found: Vec<(&'static str, String)> = values
            .iter()
            .filter(|(_, value, most, _)| !(1..=*most).contains(value))
            .map(|(key, _, most, usual)| {
                (*key, format!("must be between 1 and {most}; hint: leave it out {usual}"))
            })
            .collect();
        if self.timeout.is_zero() {
            found.push(("timeout", "is nothing; hint: timeout = \"30s\"".into()));
        }
        found
    }
}
