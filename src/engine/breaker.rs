//! The breaker of a running campaign: its window, kept over restarts, and what is said when it trips.

use serde::Serialize;

use super::campaign_file::CampaignFile;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::breaker::{Attempts, BreakerRule, Tripped};
use crate::domain::delivery::AttemptResult;

/// A campaign's breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    rule: BreakerRule,
    attempts: Attempts,
    campaign: String,
}

/// The breaker for screens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BreakerView {
    /// Dead addresses among the last attempts.
    pub bounced: u32,
    /// So many attempts are looked at now.
    pub of: u32,
    /// The share that trips it.
    pub trips_above: f64,
}

impl Breaker {
    /// One more attempt ended; tells whether it counts. What never reached the wire says nothing of the
    /// list.
    pub fn note(&mut self, result: AttemptResult) -> bool {
        let counts = !matches!(result, AttemptResult::NotStarted | AttemptResult::Unsendable);
        if counts {
            self.attempts.note(result == AttemptResult::Refused, self.rule.over);
        }
        counts
    }

    /// The window for the database.
    pub fn encode(&self) -> Vec<u8> {
        self.attempts.encode()
    }

    /// Why the campaign has to pause, in words, where it has to.
    pub fn tripped(&self) -> Option<String> {
        let Tripped { bounced, of } = self.rule.trips(&self.attempts)?;
        let percent = |share: f64| share * 100.0;
        Some(format!(
            "{bounced} of the last {of} attempts ({:.1} %) went to addresses that do not exist, and \
             `breaker.bounced` bears {:.1} %; hint: is this the right list? `forthwith delivery list \
             {} --class fallback --reason bounced`; a resumed notice counts anew",
            percent(f64::from(bounced) / f64::from(of)),
            percent(self.rule.bounced),
            self.campaign
        ))
    }
}

impl Engine {
    /// The breaker as an earlier worker left it.
    pub(super) async fn breaker(
        &self,
        people: &People,
        file: &CampaignFile,
    ) -> Result<Breaker, EngineError> {
        let rule = file.breaker;
        let kept = self.store.breaker(people.campaign).await?;
        let attempts = kept.map(|bytes| Attempts::decode(&bytes, rule.over)).unwrap_or_default();
        Ok(Breaker { rule, attempts, campaign: people.name.clone() })
    }

    pub(super) async fn breaker_view(
        &self,
        people: &People,
        file: &CampaignFile,
    ) -> Result<BreakerView, EngineError> {
        let breaker = self.breaker(people, file).await?;
        let Tripped { bounced, of } = breaker.attempts.share();
        Ok(BreakerView { bounced, of, trips_above: breaker.rule.bounced })
    }
}
