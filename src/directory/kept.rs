//! Connections that a call left in order, for the next one that reads or writes: in a wave of people who set
//! their passwords each would else open several at the company's directory. A read-back never takes one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one is kept that nobody takes: the rest between two people of a wave, and less than a load
/// balancer or a fail-over lets a connection live that leads to the wrong place.
const FOR: Duration = Duration::from_secs(5);
/// The most of one sort.
const MOST: usize = 4;

struct Idle<K, C> {
    sort: K,
    conn: C,
    since: Instant,
}

/// Connections nobody uses at the moment, by what they are good for.
pub(super) struct Kept<K, C>(Arc<Mutex<Vec<Idle<K, C>>>>);

impl<K, C> Default for Kept<K, C> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, C> std::fmt::Debug for Kept<K, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl<K: PartialEq + Send + 'static, C: Send + 'static> Kept<K, C> {
    /// The one of this sort that was used last.
    pub(super) fn take(&self, sort: &K) -> Option<C> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prune(&mut all);
        let at = all.iter().rposition(|idle| idle.sort == *sort)?;
        Some(all.remove(at).conn)
    }

    /// Keeps one on which nothing is under way; gives it back where there are enough.
    pub(super) fn put(&self, sort: K, conn: C) -> Option<C> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().filter(|idle| idle.sort == sort).count() >= MOST {
            return Some(conn);
        }
        all.push(Idle { sort, conn, since: Instant::now() });
        drop(all);
        let all = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(FOR).await;
            let Some(all) = all.upgrade() else { return };
            prune(&mut all.lock().unwrap_or_else(PoisonError::into_inner));
        });
        None
    }
}

fn prune<K, C>(all: &mut Vec<Idle<K, C>>) {
    all.retain(|idle| idle.since.elapsed() < FOR);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_of_a_sort_is_taken_and_no_more_are_kept_than_some() {
        let kept = Kept::default();
        for conn in 0..6 {
            let back = kept.put("reads", conn);
            assert_eq!(back, (conn >= 4).then_some(conn));
        }
        assert_eq!(kept.put("writes", 9), None);
        assert_eq!((kept.take(&"reads"), kept.take(&"reads")), (Some(3), Some(2)));
        assert_eq!((kept.take(&"writes"), kept.take(&"writes")), (Some(9), None));
    }

    #[tokio::test]
    async fn one_that_nobody_took_in_time_is_given_to_nobody() {
        let kept = Kept::default();
        let held = Arc::new(());
        let age = || kept.0.lock().unwrap()[0].since = Instant::now().checked_sub(FOR).unwrap();
        kept.put("reads", Arc::clone(&held));
        age();
        prune(&mut kept.0.lock().unwrap());
        assert_eq!(Arc::strong_count(&held), 1, "nobody holds it any more");
        kept.put("reads", held);
        age();
        assert!(kept.take(&"reads").is_none());
    }
}
