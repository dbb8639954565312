//! `forthwith sink`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::CliError;
use super::context::Context;
use crate::lifecycle::until_stopped;
use crate::sink::{FaultRule, MailStore, Settings, Sink};

#[derive(Debug, Args)]
pub(super) struct SinkArgs {
    /// Where to listen; loopback only, port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2525")]
    listen: SocketAddr,
    /// Keep accepted mail in this Maildir, with one line a recipient in its `accepted.log`
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// A fault to play, such as `rcpt:550:0.02` or `drop-after-dot:share=0.01`; may be repeated
    #[arg(long = "fault", value_name = "RULE")]
    faults: Vec<FaultRule>,
    /// Seed of the faults: equal seeds give equal fates
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Wait so long before the final dot is answered, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    dot_delay_ms: u64,
}

pub(super) async fn run(args: SinkArgs, context: &Context<'_>) -> Result<(), CliError> {
    context.log_without_workspace()?;
    let printer = context.printer;
    let settings = Settings {
        listen: args.listen,
        store: args.maildir.map_or(MailStore::Count, MailStore::Maildir),
        faults: args.faults.into_iter().collect(),
        seed: args.seed,
        dot_delay: Duration::from_millis(args.dot_delay_ms),
        ..Settings::counting(args.listen)
    };
    let work = async |stop: tokio_util::sync::CancellationToken| {
        let sink = Sink::start(settings).await?;
        printer.data(&format!("listening on {}", sink.addr()))?;
        stop.cancelled().await;
        let counts = sink.counts();
        sink.stop().await;
        printer.json(&counts)
    };
    until_stopped(|| {}, work).await.map_err(CliError::Runtime)?
}
