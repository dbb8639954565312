//! The sink: a process of its own that outlives every kill.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::forthwith::{Forthwith, Line};
use super::record::Record;

/// A running sink.
pub struct SinkProcess {
    child: Child,
    pub port: u16,
    pub record: Record,
    dot_delay: Duration,
}

impl SinkProcess {
    /// Starts one with these further options.
    pub fn start(
        forthwith: &Forthwith,
        record: &Path,
        dot_delay: Duration,
        more: &[String],
    ) -> Result<Self> {
        let record = Record::at(record);
        let mut words = vec![
            "sink".to_owned(),
            "--listen=127.0.0.1:0".into(),
            format!("--record={}", record.path().display()),
            format!("--dot-delay-ms={}", dot_delay.as_millis()),
        ];
        words.extend_from_slice(more);
        let line = Line { words, signer: None };
        let mut command = forthwith.command(&line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().context("the sink has no output")?;
        let mut first = String::new();
        BufReader::new(out).read_line(&mut first)?;
        let port = first.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.with_context(|| format!("the sink said `{}`", first.trim()))?;
        Ok(Self { child, port, record, dot_delay })
    }

    /// Waits until it has finished what a dead client left it with.
    pub async fn quiet(&self) {
        tokio::time::sleep(self.dot_delay + Duration::from_millis(60)).await;
        let mut before = self.record.len();
        loop {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let now = self.record.len();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

impl Drop for SinkProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
