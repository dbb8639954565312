//! Operations side by side, so many at once.

use std::future::Future;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// Carries all of these out, `most` at once, and gives what they came to in their order. The first error ends it
/// and drops what is still under way. One that takes long holds up none behind it.
pub async fn all<F, T, E>(operations: Vec<F>, most: usize) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let count = operations.len();
    let placed = operations.into_iter().enumerate();
    let mut under_way = stream::iter(placed.map(async |(at, operation)| {
        let came_to: Result<T, E> = operation.await;
        came_to.map(|came_to| (at, came_to))
    }))
    .buffer_unordered(most.max(1));
    let mut done = Vec::with_capacity(count);
    while let Some(one) = under_way.try_next().await? {
        done.push(one);
    }
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, came_to)| came_to).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn they_come_in_their_order_and_a_slow_one_holds_up_none() {
        let (now, most, all_passed) = (AtomicUsize::new(0), AtomicUsize::new(0), Notify::new());
        let one = async |at: u64| {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            match at {
                0 => all_passed.notified().await,
                19 => all_passed.notify_one(),
                _ => tokio::task::yield_now().await,
            }
            now.fetch_sub(1, Ordering::Relaxed);
            if at == 90 { Err(at) } else { Ok(at) }
        };
        let done = all((0..20).map(one).collect(), 3).await.unwrap();
        assert_eq!(done, (0..20).collect::<Vec<u64>>());
        assert_eq!(most.load(Ordering::Relaxed), 3);
        assert_eq!(all((85..95).map(one).collect(), 3).await, Err(90));
    }
}
