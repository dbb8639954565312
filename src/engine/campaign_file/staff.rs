//! `[staff]`: the campaign that tells the company's own people first.

use serde::Deserialize;

/// The name of the gate that the staff campaign is.
pub const STAFF: &str = "staff";

/// The staff campaign.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaffSection {
    /// Its name: a campaign of its own, with its own seal. Nobody else is told before its sending is
    /// finished.
    pub campaign: String,
}
