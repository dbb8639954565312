//! The life of the process: its runtime, and the signals that end it.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell reports for a process ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// Makes the runtime: at least two threads, so that one slow piece of work delays nobody else.
pub fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    Builder::new_multi_thread().worker_threads(cores.max(2)).enable_all().build()
}

/// Runs `work` with a token that the first SIGINT or SIGTERM cancels; `told` is called then. The
/// second one ends the process at once: what was on its way is recovered from the wire journal.
pub async fn until_stopped<T>(
    told: impl FnOnce() + Send + 'static,
    work: impl AsyncFnOnce(CancellationToken) -> T,
) -> std::io::Result<T> {
    let (interrupt, terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let listener = tokio::spawn(listen(interrupt, terminate, token.clone(), told));
    let done = work(token).await;
    listener.abort();
    Ok(done)
}

async fn listen(
    mut interrupt: Signal,
    mut terminate: Signal,
    token: CancellationToken,
    told: impl FnOnce() + Send,
) {
    either(&mut interrupt, &mut terminate).await;
    token.cancel();
    told();
    either(&mut interrupt, &mut terminate).await;
    leave();
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[expect(clippy::exit, reason = "a second signal asks for the process's death, not for its end")]
fn leave() {
    std::process::exit(INTERRUPTED);
}

/// Runs a future to its end on `runtime` and gives background work a moment to finish.
pub fn run<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_nobody_stops_runs_to_its_end() {
        let done = run(runtime().unwrap(), async {
            until_stopped(|| {}, async |token| !token.is_cancelled()).await.unwrap()
        });
        assert!(done);
    }
}
