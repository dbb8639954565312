//! `[breaker]`: when a campaign pauses itself.

use super::CampaignFile;
use crate::domain::toml_file::Problems;

pub use crate::domain::breaker::BreakerRule;

/// What is wrong with a breaker that could not trip, or would at once.
pub(super) fn check(file: &CampaignFile, problems: &mut Problems<'_>) {
    if let Err(fault) = file.breaker.check() {
        problems.at_within("breaker", fault);
    }
}
