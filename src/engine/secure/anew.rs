//! Containment approved anew: where a pass or a re-check has paused itself, its statements may have to
//! change, and the change is signed by two as the first approval was.

use crate::domain::snapshot::Difference;
use crate::domain::track::{ContainmentPause, ContainmentState, Track};
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::{CampaignRow, Control};
use crate::store::plans::SnapshotRow;

/// How the snapshot names the part that may change: `campaigns/NAME.toml [directory]`.
const DIRECTORY: &str = " [directory]";

/// Whether other statements may be approved now: it stands still for a cause of its own.
pub(super) fn may_change(control: &Control) -> bool {
    control.containment == ContainmentState::Paused
        && control.containment_cause.is_some_and(|why| ContainmentPause::BY_ITSELF.contains(&why))
}

impl Engine {
    /// Once a pass has begun, another plan may differ in `[directory]` alone: people stand in classes of
    /// the kinds and the window that were approved, and some may have been told so.
    pub(in crate::engine) async fn check_anew(
        &self,
        row: &CampaignRow,
        people: &People,
        planned: &SnapshotRow,
    ) -> Result<(), EngineError> {
        if self.store.pass_state(row.id).await?.began_at.is_none() {
            return Ok(());
        }
        let stands = row.control.containment;
        if stands != ContainmentState::Approved && !may_change(&row.control) {
            return Err(EngineError::refused(format!(
                "containment of `{name}` is {stands}: it has begun, and goes on by what was approved \
                 before; hint: where a pass has paused itself, another plan may be approved",
                name = row.name
            )));
        }
        let before = self.approved(row, people, Track::Containment).await?;
        let is_other = |difference: &Difference| !difference.name().ends_with(DIRECTORY);
        match before.snapshot.differences(&planned.snapshot).iter().find(|one| is_other(one)) {
            None => Ok(()),
            Some(other) => Err(EngineError::refused(format!(
                "containment of `{}` has begun, and since its approval {other}; hint: only [directory] \
                 may be approved anew; what else was exposed is a campaign of its own",
                row.name
            ))),
        }
    }
}
