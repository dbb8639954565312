//! The canary's draw: by a keyed hash of the account, so that nobody can choose themselves into it and a
//! repeated load draws the same people.

use crate::engine::campaign_file::canary::{Canary, MOST_PER_CENT};

/// Who is drawn, and how many more may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Draw {
    /// Lots below it win.
    below: u64,
    left: u64,
}

impl Draw {
    /// A draw from about `estimate` rows; from an unknown number, a tenth of them up to the size.
    pub(super) fn new(canary: Option<Canary>, estimate: Option<u64>) -> Self {
        let Some(canary) = canary else { return Self::default() };
        let tenth = |of: u64| of.saturating_mul(MOST_PER_CENT).div_ceil(100);
        let (left, of) = match estimate {
            Some(0) => return Self::default(),
            Some(rows) => (canary.size.min(tenth(rows)), rows),
            None => return Self { below: u64::MAX / 100 * MOST_PER_CENT, left: canary.size },
        };
        let share = (u128::from(left) << 64) / u128::from(of);
        Self { below: u64::try_from(share).unwrap_or(u64::MAX), left }
    }

    /// Whether anybody may still win.
    pub(super) fn is_open(&self) -> bool {
        self.left > 0
    }

    /// Whether a lot wins a place.
    pub(super) fn wins(&mut self, lot: u64) -> bool {
        let wins = self.left > 0 && lot < self.below;
        self.left -= u64::from(wins);
        wins
    }
}

/// How many rows a source has, from how much of it the first `rows` took.
pub(super) fn estimate(rows: u64, done: u64, total: Option<u64>) -> Option<u64> {
    let total = total?;
    if done == 0 || done >= total {
        return Some(rows);
    }
    let estimate = u128::from(total) * u128::from(rows) / u128::from(done);
    Some(u64::try_from(estimate).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many evenly spread lots win.
    fn won(size: u64, estimate: Option<u64>, rows: u64) -> u64 {
        let mut draw = Draw::new(Some(Canary { size }), estimate);
        (0..rows).filter(|row| draw.wins(row * (u64::MAX / rows))).count() as u64
    }

    #[test]
    fn a_canary_is_its_size_or_a_tenth_and_never_more() {
        for (size, rows, expected) in
            [(500, 100_000_u64, 500), (500, 1_000, 100), (500, 60, 6), (7, 60, 7), (500, 5, 1)]
        {
            let expected = expected.min(rows.div_ceil(10));
            assert_eq!(won(size, Some(rows), rows), expected, "{size} {rows}");
            // twice as many rows as estimated: the size holds
            assert_eq!(won(size, Some(rows), rows * 2), expected);
        }
        assert_eq!(won(50, None, 100_000), 50);
        assert_eq!(won(50, None, 100), 10);
        assert_eq!(Draw::new(None, Some(100)), Draw::default());
        assert_eq!(won(50, Some(0), 100), 0);
    }

    #[test]
    fn a_source_is_as_long_as_its_beginning_says() {
        assert_eq!(estimate(1_000, 50_000, Some(5_000_000)), Some(100_000));
        assert_eq!(estimate(60, 4_000, Some(4_000)), Some(60));
        assert_eq!(estimate(60, 0, Some(0)), Some(60));
        assert_eq!(estimate(60, 100, None), None);
    }
}
