//! The containment track beside its state: when the kill began, and how it pauses itself.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::track::{ContainmentPause, ContainmentState};

/// How far a campaign's passes have come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassState {
    /// When the first pass began.
    pub began_at: Option<Timestamp>,
    /// When a pass stopped after its first batch to be looked at.
    pub first_batch_at: Option<Timestamp>,
}

/// A pause of the containment track.
#[derive(Debug, Clone)]
pub struct ContainmentStop {
    /// States it may leave.
    pub from: Vec<ContainmentState>,
    /// Why.
    pub cause: ContainmentPause,
    /// What it came to before, in words for the operator.
    pub note: String,
}

/// The containment track.
#[async_trait]
pub trait Containments {
    /// How far the passes have come.
    async fn pass_state(&self, campaign: i64) -> Result<PassState, StoreError>;

    /// Notes that the first pass begins now; later passes change nothing.
    async fn begin_pass(&self, campaign: i64) -> Result<(), StoreError>;

    /// Pauses the track if it stands in one of `from`; tells whether it did. Cause
    /// [`ContainmentPause::FirstBatch`] also notes that the first batch was done.
    async fn pause_containment(
        &self,
        campaign: i64,
        stop: ContainmentStop,
        lines: Vec<String>,
    ) -> Result<bool, StoreError>;
}
