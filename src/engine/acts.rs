//! An act upon a whole campaign that cannot be undone: signed by an operator, recorded with the move of
//! the notice track it causes.

use super::operators::Signer;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::operator::may_sign;
use crate::domain::track::{NoticeState, Track};
use crate::secret::digest::LpBuilder;
use crate::store::acts::{ActKind, NewAct};
use crate::store::campaigns::NoticeMove;

impl Engine {
    /// Signs and records an act. A track that moved meanwhile is refused.
    pub(super) async fn act(
        &self,
        people: &People,
        kind: ActKind,
        (from, to): (NoticeState, NoticeState),
        reason: &str,
        signer: &Signer,
    ) -> Result<(), EngineError> {
        let now = self.clock.now();
        may_sign(&signer.row.operator, now)?;
        let statement = LpBuilder::new()
            .lp(b"forthwith act v1")
            .lp(people.uuid.as_bytes())
            .lp(kind.word().as_bytes())
            .lp(from.word().as_bytes())
            .lp(reason.as_bytes())
            .lp(now.as_microsecond().to_string().as_bytes())
            .finish();
        let act = NewAct {
            kind,
            operator_id: signer.row.operator.id,
            reason: reason.to_owned(),
            signature: *signer.sign(&statement).as_bytes(),
            statement,
            at: now,
        };
        let entry =
            people.track_moved(Track::Notice, from.word(), to.word(), &signer.ledger_name());
        let change = NoticeMove { from: vec![from], to, cause: None, note: None };
        if self.store.act(people.campaign, act, change, vec![entry.line(now)]).await? {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "the notice of `{name}` moved meanwhile; hint: look at `forthwith campaign status {name}`",
            name = people.name
        )))
    }
}
