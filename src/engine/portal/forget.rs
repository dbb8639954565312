//! What the portal forgets: requests for codes, and events that were taken, once nothing is decided or looked
//! up by them any more.

use jiff::SignedDuration;

use super::Portal;
use crate::engine::EngineError;

/// How long requests for codes, and events that were taken, are kept. What is decided by a request is over
/// within hours: its code works for one, its visit may set a password for half an hour more, and a mailbox's
/// mails are counted over one. The rest is for people: an alarm about guessed codes or a flooded mailbox is
/// looked into by hand, and a week has a holiday in it. Longer than that a digest of everybody's address and
/// network who ever came by serves nobody (GDPR Art. 5 (1) (e)); resets and counts by the hour stay.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Rows forgotten in one transaction, and transactions in one sweep: whoever asks for a code meanwhile waits
/// for one of them at the most.
const AT_ONCE: u32 = 500;
const ROUNDS: u32 = 10;

impl Portal {
    /// Forgets what is old, some of it where there is much; how many rows.
    pub async fn forget(&self) -> Result<u64, EngineError> {
        let engine = &self.0.engine;
        let now = engine.clock.now();
        let before = now.saturating_sub(KEPT_FOR).unwrap_or(now);
        let mut forgotten = 0;
        for _ in 0..ROUNDS {
            let gone = engine.store.forget_requests(before, AT_ONCE).await?;
            forgotten += gone;
            if gone < u64::from(AT_ONCE) {
                break;
            }
        }
        if self.0.tells() {
            forgotten += engine.store.forget_events(before, AT_ONCE).await?;
        }
        Ok(forgotten)
    }
}
