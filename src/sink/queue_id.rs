//! Queue ids of accepted mail.

use std::sync::atomic::{AtomicU64, Ordering};

/// Queue ids: a part of this start, so that a sink started again on the same Maildir repeats
/// none, and a number.
#[derive(Debug)]
pub(super) struct QueueIds {
    start: u64,
    next: AtomicU64,
}

impl QueueIds {
    pub(super) fn new() -> Self {
        // Ambient randomness on purpose: an id decides nothing, it must only differ from those
        // of every earlier start, whatever the seed.
        Self { start: rand::random(), next: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> String {
        let mut id = String::with_capacity(16);
        push_base36(&mut id, self.start, 9);
        push_base36(&mut id, self.next.fetch_add(1, Ordering::Relaxed), 7);
        id
    }
}

/// Appends the last `places` digits of `number`, so that later ids sort later.
fn push_base36(id: &mut String, number: u64, places: u32) {
    for place in (0..places).rev() {
        let digit = number / 36_u64.pow(place) % 36;
        id.extend(u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, 36)));
    }
    id.make_ascii_uppercase();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids_are_upper_case_unique_and_sorted() {
        let (first, second) = (QueueIds::new(), QueueIds::new());
        let ids: Vec<String> = (0..2000).map(|_| first.next()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| {
            id.len() == 16 && id.bytes().all(|o| o.is_ascii_uppercase() || o.is_ascii_digit())
        }));
        assert!(!ids.contains(&second.next()));
    }
}
