//! Operations side by side, so many at once.

use std::future::Future;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// Carries all of these out, `most` at once, and gives what they came to in their order; the first error
/// ends it, and drops what is still under way.
pub async fn all<F, T, E>(operations: Vec<F>, most: usize) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    stream::iter(operations).buffered(most.max(1)).try_collect().await
}
