//! A set of numbers, a bit each: 3 MB for 24 million people.

/// Numbers of rows.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct Numbers(Vec<u64>);

impl Numbers {
    pub(super) fn add(&mut self, number: u64) {
        let Ok(word) = usize::try_from(number / 64) else { return };
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(in crate::store::sqlite) fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_there_once_it_was_added() {
        let mut numbers = Numbers::default();
        for number in [0, 63, 64, 1_000, 24_000_999] {
            assert!(!numbers.has(number));
            numbers.add(number);
            assert!(numbers.has(number) && !numbers.has(number + 1));
        }
    }
}
