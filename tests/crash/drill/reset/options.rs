//! What a run is to be.

use std::path::PathBuf;

use clap::Args;

/// What a run is to be.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Kills of the portal around the moment at which people send their new passwords
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub kills: u32,
    /// Affected accounts
    #[arg(long, value_name = "N", default_value_t = 1_200)]
    pub accounts: u32,
    /// People who send a password at the same time
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub at_once: usize,
    /// Keep everything in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The binary; that of this build by default
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
}

impl Options {
    /// Kills of each of the two moments that matter, for the run to say anything: between claim and
    /// directory, and between directory and the end.
    pub fn hits_needed(&self) -> u32 {
        (self.kills / 40).max(1)
    }
}
