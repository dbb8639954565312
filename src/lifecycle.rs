//! The life of the process: its runtime, and the signals that end it.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Files that are open whatever is done: database, log and index, journals, locks, the runtime's own.
const FILES: u64 = 64;

/// What a shell reports for a process ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// Makes the runtime: at least two threads, so that one slow piece of work delays nobody else.
pub fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    Builder::new_multi_thread().worker_threads(cores.max(2)).enable_all().build()
}

/// Refuses a process that may not have the files open which it needs beside so many connections: it would
/// find out in the middle, and at every place in other words.
pub fn check_open_files(connections: u64) -> Result<(), String> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let needed = FILES + connections;
    match open_files(&limits) {
        Some(may) if may < needed => Err(format!(
            "this process may have {may} files open at once and needs {needed}; hint: `ulimit -n 1024` \
             before it in the same shell, or LimitNOFILE= in its service file"
        )),
        _ => Ok(()),
    }
}

/// The soft limit; none where there is no limit.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Runs `work` with a token that the first SIGINT, SIGTERM or SIGHUP cancels; `told` is called then. The
/// second one ends the process at once: what was on its way is recovered from the wire journal.
///
/// SIGHUP is what a terminal that closes sends. Under `nohup` it is ignored, and stays so.
pub async fn until_stopped<T>(
    told: impl FnOnce() + Send + 'static,
    work: impl AsyncFnOnce(CancellationToken) -> T,
) -> std::io::Result<T> {
    let hangup = if hangups_are_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
    let signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        hangup,
    };
    let token = CancellationToken::new();
    let listener = tokio::spawn(listen(signals, token.clone(), told));
    let done = work(token).await;
    listener.abort();
    Ok(done)
}

/// The signals that ask for an end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

async fn listen(mut signals: Signals, token: CancellationToken, told: impl FnOnce() + Send) {
    signals.next().await;
    token.cancel();
    told();
    signals.next().await;
    leave();
}

/// Whether whoever started this process has it ignore hangups, asked of the kernel: to listen for a
/// signal would end its being ignored.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_ignored(&status, SignalKind::hangup())
}

fn is_ignored(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw_value() - 1) & 1 == 1
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
    fn the_limit_of_open_files_is_the_soft_one() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            20                   1048576              files\n";
        assert_eq!(open_files(limits), Some(20));
        assert_eq!(open_files(&limits.replace("20 ", "unlimited ")), None);
        assert_eq!(open_files(""), None);
        assert!(check_open_files(u64::from(u32::MAX) << 30).unwrap_err().contains("ulimit -n"));
    }

    #[test]
    fn an_ignored_hangup_is_known_from_the_kernels_mask() {
        let nohup = "Name:\tforthwith\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(nohup, SignalKind::hangup()));
        assert!(!is_ignored(nohup, SignalKind::terminate()));
        assert!(!is_ignored("", SignalKind::hangup()));
    }

    #[test]
    fn work_that_nobody_stops_runs_to_its_end() {
        let done = run(runtime().unwrap(), async {
            until_stopped(|| {}, async |token| !token.is_cancelled()).await.unwrap()
        });
        assert!(done);
    }
}
