//! Tracks that stand still until an operator has looked.

use crate::domain::track::{ContainmentPause, ContainmentState, NoticeState, PauseCause, Track};
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::{CampaignRow, NoticeMove};
use crate::store::containments::ContainmentStop;

/// Whether a notice track could go on, or be let go on, by itself.
pub(super) fn pausable(row: &CampaignRow) -> bool {
    matches!(
        row.control.notice,
        NoticeState::Approved | NoticeState::Running | NoticeState::AtGate | NoticeState::Paused
    )
}

/// The same of containment.
pub(super) fn containment_pausable(row: &CampaignRow) -> bool {
    matches!(row.control.containment, ContainmentState::Approved | ContainmentState::Running)
}

const NOTE: &str =
    "the database was rewound: what operators did since the backup is lost, so look first";

/// Pauses the track if it could go on; tells whether it did.
pub(super) async fn pause_notice(
    engine: &Engine,
    row: &CampaignRow,
    people: &People,
    by: &str,
) -> Result<bool, EngineError> {
    if !pausable(row) {
        return Ok(false);
    }
    let (from, to) = (row.control.notice, NoticeState::Paused);
    let entry = people.track_moved(Track::Notice, from.word(), to.word(), by);
    let change = NoticeMove {
        from: vec![from],
        to,
        cause: Some(PauseCause::Operator),
        note: Some(NOTE.into()),
    };
    let lines = vec![entry.line(engine.clock.now())];
    Ok(engine.store.move_notice(row.id, change, lines).await?)
}

/// Pauses the track if it could go on; tells whether it did.
pub(super) async fn pause_containment(
    engine: &Engine,
    row: &CampaignRow,
    people: &People,
    by: &str,
) -> Result<bool, EngineError> {
    if !containment_pausable(row) {
        return Ok(false);
    }
    let (from, to) = (row.control.containment, ContainmentState::Paused);
    let entry = people.track_moved(Track::Containment, from.word(), to.word(), by);
    let stop =
        ContainmentStop { from: vec![from], cause: ContainmentPause::Operator, note: NOTE.into() };
    let lines = vec![entry.line(engine.clock.now())];
    Ok(engine.store.pause_containment(row.id, stop, lines).await?)
}
