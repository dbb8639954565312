//! `[breaker]`: when a campaign pauses itself.

use super::CampaignFile;

pub use crate::domain::breaker::BreakerRule;

/// Refuses a breaker that could not trip, or would at once.
pub(super) fn check(file: &CampaignFile) -> Result<(), String> {
    file.breaker.check().map(|_| ())
}
