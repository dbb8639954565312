//! The portal: a process to be killed.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use reqwest::Client;

use crate::drill::CAMPAIGN;
use crate::drill::forthwith::{Forthwith, Line};

/// How long a portal may take until it answers.
const PATIENCE: Duration = Duration::from_mins(1);

/// One life of the portal.
pub struct Portal {
    child: Child,
}

/// A port that nobody listens at.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Where the portals' words go.
pub fn log(forthwith: &Forthwith) -> PathBuf {
    forthwith.folder.join("portal.log")
}

impl Portal {
    /// Starts one and waits until it answers.
    pub async fn start(forthwith: &Forthwith, port: u16) -> Result<Self> {
        let line = Line::of(&["portal", "serve", CAMPAIGN]);
        let mut portal = Self { child: forthwith.spawn(&line, &log(forthwith))? };
        let (began, client) = (Instant::now(), Client::new());
        loop {
            if client.get(format!("http://127.0.0.1:{port}/reset")).send().await.is_ok() {
                return Ok(portal);
            }
            if let Some(status) = portal.child.try_wait()? {
                let said = std::fs::read_to_string(log(forthwith)).unwrap_or_default();
                let lines: Vec<&str> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(8)..].join("\n");
                bail!("the portal ended with {status}: {last}");
            }
            ensure!(began.elapsed() < PATIENCE, "the portal does not answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "the portal ended by itself with {ended:?}");
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
