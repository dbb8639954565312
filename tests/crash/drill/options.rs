//! What a run is to be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

/// What a run is to be.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Kills while notices are sent
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub kills: u32,
    /// Kills of each command before that: init, seal, plan, approve, secure; and of migrations
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub kills_before: u32,
    /// Affected accounts
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub accounts: u32,
    /// Sending is paced to last at least so many seconds
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u32,
    /// What the campaign does with a doubt
    #[arg(long, value_enum, default_value_t = Policy::Resend)]
    pub policy: Policy,
    /// Whether notices carry personal links
    #[arg(long, value_enum, default_value_t = Mode::Site)]
    pub mode: Mode,
    /// Connections to the relay
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub connections: u32,
    /// Play the machine's crash: after each kill the journals are deleted, or truncated at a random
    /// byte and given another boot id
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, default_missing_value = "delete")]
    pub machine: Option<Machine>,
    /// Play a restored backup in place of kills: taken at 30 % told, put back at 70 %
    #[arg(long, conflicts_with = "machine")]
    pub restore: bool,
    /// With `--restore`: the journals are lost, too
    #[arg(long, requires = "restore")]
    pub without_journals: bool,
    /// Keep everything in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The binary; that of this build by default
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
}

/// What the campaign does with a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Sends the same bytes once more.
    Resend,
    /// Waits for an operator.
    Hold,
}

/// Whether notices carry personal links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// None.
    Site,
    /// Whoever has a password to replace gets one.
    Link,
}

/// What becomes of the journals when the machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Machine {
    /// They are gone.
    Delete,
    /// Their ends are gone, and they are of another boot.
    Truncate,
}

/// Most notices on their way at once (`worker.window`).
const WINDOW: u32 = 256;

impl Policy {
    /// The word in a campaign file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Hold => "hold",
        }
    }
}

impl Mode {
    /// The word in a campaign file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Link => "link",
        }
    }
}

/// The binary named, else the one built beside this driver.
pub fn binary(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return named.canonicalize().with_context(|| format!("no {}", named.display()));
    }
    let own = std::env::current_exe()?;
    let beside = own.parent().and_then(|examples| examples.parent());
    let found = beside.map(|folder| folder.join("forthwith")).filter(|file| file.is_file());
    found.context("no `forthwith` beside this driver; hint: run it by scripts/crash")
}

impl Options {
    /// The binary at work: the one named, else the one built beside this driver.
    pub fn binary(&self) -> Result<PathBuf> {
        binary(self.binary.as_deref())
    }

    /// Notices a second.
    pub fn per_second(&self) -> u32 {
        (self.accounts / self.seconds.max(1)).max(1)
    }

    /// How long the sink takes to answer a dot: so long that about half of the connections wait for
    /// an answer at any instant, and so short that the pace is kept.
    pub fn dot_delay(&self) -> Duration {
        let busy = f64::from(self.connections) / f64::from(self.per_second()) / 2.0;
        Duration::from_secs_f64(busy.min(0.25))
    }

    /// People whom one kill may leave in doubt: those at a connection, or, where the journal is lost
    /// with the machine, all that were on their way.
    pub fn doubts_a_kill(&self) -> u32 {
        if self.machine.is_some() { WINDOW } else { self.connections }
    }

    /// Kills that must have hit open transactions, for the run to say anything.
    pub fn hits_needed(&self) -> u32 {
        (self.kills * 2 / 5).min(10)
    }
}
