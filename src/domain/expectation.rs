//! Control totals: what an audience should come to by somebody else's count.

use std::fmt;

use serde::Deserialize;

use super::totals::SourceTotals;

/// The parts of a whole that a percentage is kept in: three decimals of a percent.
const PARTS: u128 = 100_000;

/// `[audience.expect]`: what the source should come to. Whatever differs blocks the notice, and never
/// containment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Rows in the source, before `minus` and `intersect`.
    pub rows: Option<u64>,
    /// Accounts sealed, each once.
    pub accounts: Option<u64>,
    /// The most rows that may be rejected: a number, or a share such as `"0.5%"`.
    pub rejected_at_most: Option<Limit>,
}

/// The most there may be: a count, or a share of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "LimitText")]
pub enum Limit {
    /// So many.
    Count(u64),
    /// So many thousandths of a percent.
    Share(u32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LimitText {
    Count(u64),
    Share(String),
}

/// A text that is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a limit is a number of rows such as 20, or a share such as \"0.5%\", of at most three decimals"
)]
pub struct NoLimit;

impl TryFrom<LimitText> for Limit {
    type Error = NoLimit;

    fn try_from(text: LimitText) -> Result<Self, NoLimit> {
        match text {
            LimitText::Count(count) => Ok(Self::Count(count)),
            LimitText::Share(text) => share(&text).map(Self::Share).ok_or(NoLimit),
        }
    }
}

/// `"0.5%"` in thousandths of a percent.
fn share(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?.trim();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let parts = whole.parse::<u32>().ok()?.checked_mul(1_000)?;
    let parts = parts.checked_add(format!("{decimals:0<3}").parse().ok()?)?;
    (parts <= 100_000).then_some(parts)
}

impl Limit {
    /// Whether `count` of `all` is more than there may be.
    fn is_passed_by(self, count: u64, all: u64) -> bool {
        match self {
            Self::Count(most) => count > most,
            Self::Share(parts) => u128::from(count) * PARTS > u128::from(all) * u128::from(parts),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(parts) => {
                let text = format!("{}.{:03}", parts / 1_000, parts % 1_000);
                write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

impl Expectation {
    /// What differs, each with both numbers and the key that expects it; `excluded` rows were left
    /// out before the sums.
    pub fn differences(&self, totals: &SourceTotals, excluded: u64) -> Vec<String> {
        let read = totals.rows + excluded;
        let mut found = Vec::new();
        for (key, expected, is) in
            [("rows", self.rows, read), ("accounts", self.accounts, totals.sealed)]
        {
            if let Some(expected) = expected.filter(|expected| *expected != is) {
                found.push(format!("`expect.{key}` is {expected}, the source has {is}"));
            }
        }
        if let Some(limit) = self.rejected_at_most
            && limit.is_passed_by(totals.rejected, totals.rows)
        {
            found.push(format!(
                "`expect.rejected_at_most` is {limit}, {} of {} rows were rejected",
                totals.rejected, totals.rows
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(text: &str) -> Expectation {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_differs_is_named_with_both_numbers() {
        let totals =
            SourceTotals { rows: 1_000, sealed: 940, duplicates: 5, conflicts: 5, rejected: 50 };
        let met = expectation("rows = 1700\naccounts = 940\nrejected_at_most = \"5%\"");
        assert!(met.differences(&totals, 700).is_empty());
        let missed = expectation("rows = 1701\naccounts = 941\nrejected_at_most = \"4.999%\"");
        assert_eq!(
            missed.differences(&totals, 700),
            [
                "`expect.rows` is 1701, the source has 1700",
                "`expect.accounts` is 941, the source has 940",
                "`expect.rejected_at_most` is 4.999%, 50 of 1000 rows were rejected",
            ]
        );
        assert!(expectation("rejected_at_most = 50").differences(&totals, 0).is_empty());
        assert_eq!(expectation("rejected_at_most = 49").differences(&totals, 0).len(), 1);
        assert!(expectation("").differences(&totals, 0).is_empty());
    }

    #[test]
    fn a_limit_is_a_count_or_a_share_and_nothing_else() {
        for good in ["0", "7", "\"0%\"", "\"100%\"", "\"0.25%\"", "\"1 %\""] {
            assert!(
                toml::from_str::<Expectation>(&format!("rejected_at_most = {good}")).is_ok(),
                "{good}"
            );
        }
        for bad in ["-1", "0.5", "\"5\"", "\"101%\"", "\".5%\"", "\"1.2345%\"", "\"-1%\"", "\"%\""]
        {
            assert!(
                toml::from_str::<Expectation>(&format!("rejected_at_most = {bad}")).is_err(),
                "{bad}"
            );
        }
        assert_eq!(
            expectation("rejected_at_most = \"2.50%\"").rejected_at_most,
            Some(Limit::Share(2_500))
        );
    }
}
