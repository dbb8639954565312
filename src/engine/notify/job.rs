//! One attempt on its way from a loaded row to its outcome.

use std::sync::Arc;
use std::time::Instant;

use crate::domain::delivery::{AttemptResult, Outcome};
use crate::mail::envelope::Envelope;
use crate::mail::wire::Wire;
use crate::store::deliveries::{DeliveryState, Lane, NewIntent};

/// An attempt with everything its connection and its outcome need.
pub struct Job {
    /// What is committed before it starts.
    pub intent: NewIntent,
    /// The person as the ledger knows them.
    pub person: String,
    /// The delivery row as loaded.
    pub state: DeliveryState,
    /// Its lane.
    pub lane: Arc<Lane>,
    /// Sender and recipient.
    pub envelope: Envelope,
    /// The message as it goes on the wire; empty once it is handed to a connection.
    pub wire: Wire,
    /// The instant its pace allows; void soon after.
    pub slot: Instant,
    /// When it was queued for a connection.
    pub queued_at: Instant,
}

/// An attempt that ended.
pub struct Done {
    /// The attempt.
    pub job: Job,
    /// How.
    pub outcome: Outcome,
}

/// What the recorder is told.
pub enum Record {
    /// Commit this intent, then hand the job to a connection.
    Start(Box<Job>),
    /// Commit this outcome.
    End(Box<Done>),
}

impl Done {
    /// The attempt never reached the wire.
    pub fn not_started(job: Job, at: jiff::Timestamp) -> Self {
        Self { job, outcome: Outcome::bare(AttemptResult::NotStarted, "", at) }
    }
}
