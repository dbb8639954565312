//! The canary's end: how it went, and the go that lets the others follow.

use jiff::Timestamp;

use super::campaign_file::CanaryGo as Who;
use super::operators::Signer;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::domain::operator::may_sign;
use crate::domain::track::NoticeState;
use crate::secret::digest::LpBuilder;
use crate::secret::signing::{PublicKey, Signature};
use crate::store::operators::OperatorRow;
use crate::store::waves::{CanaryFigures, CanaryGo, WaveRow, WaveSums};

/// The exact bytes an operator signs.
fn statement(
    people: &People,
    figures: CanaryFigures,
    operator: &OperatorRow,
    at: Timestamp,
) -> Vec<u8> {
    LpBuilder::new()
        .lp(b"forthwith canary go v1")
        .lp(people.uuid.as_bytes())
        .number(figures.told)
        .number(figures.bounced)
        .number(figures.deferred)
        .number(figures.complaints)
        .lp(&operator.public_key)
        .lp(at.as_microsecond().to_string().as_bytes())
        .finish()
}

/// How a canary went.
pub(super) fn figures(sums: &WaveSums) -> CanaryFigures {
    let of = |reason: &str| sums.people.reasons.get(reason).copied().unwrap_or(0);
    CanaryFigures {
        told: sums.people.told,
        bounced: of("fallback/bounced"),
        deferred: sums.people.deferred,
        complaints: of("fallback/complaint"),
    }
}

impl Engine {
    /// Whether the go was given; refused where its signature does not hold.
    pub(super) async fn has_go(&self, people: &People) -> Result<bool, EngineError> {
        let Some(go) = self.store.canary_go(people.campaign).await? else { return Ok(false) };
        let altered = || {
            EngineError::refused(format!(
                "the canary's go of `{}` does not fit its signature; hint: restore the database from \
                 a backup",
                people.name
            ))
        };
        let operators = self.operators().await?;
        let by =
            operators.iter().find(|row| row.operator.id == go.operator_id).ok_or_else(altered)?;
        PublicKey::from_bytes(&by.public_key)?
            .verify(
                &statement(people, go.figures, by, go.gone_at),
                &Signature::from_bytes(go.signature),
            )
            .map_err(|_| altered())?;
        Ok(true)
    }

    /// How the canary went, once it waits for a go.
    pub async fn canary(&self, name: &str) -> Result<CanaryFigures, EngineError> {
        let (row, people) = self.people(name).await?;
        let file = self.file_in_force(&row, &people).await?;
        let canary = self.canary_of(name, &people).await?;
        if file.canary_go() == Who::Auto {
            return Err(EngineError::refused(format!(
                "the canary of `{name}` needs no go: the others follow by themselves; hint: \
                 `forthwith campaign run {name}`"
            )));
        }
        if self.has_go(&people).await? {
            return Err(EngineError::refused(format!(
                "the canary of `{name}` has its go; hint: `forthwith campaign run {name}`"
            )));
        }
        let state = self.store.control(row.id).await?.notice;
        if !matches!(state, NoticeState::Running | NoticeState::AtGate) {
            return Err(EngineError::refused(format!(
                "the notice of `{name}` is {state}, so its canary gets no go; hint: `forthwith \
                 campaign status {name}`"
            )));
        }
        let is_going = self.store.is_going(row.id, canary.number, self.clock.now()).await?;
        if canary.opened_at.is_none() || is_going {
            return Err(EngineError::refused(format!(
                "the canary of `{name}` is not through yet; hint: `forthwith campaign watch {name}`"
            )));
        }
        let sums = self.store.wave_sums(row.id).await?;
        Ok(sums.get(&canary.number).map(figures).unwrap_or_default())
    }

    async fn canary_of(&self, name: &str, people: &People) -> Result<WaveRow, EngineError> {
        let waves = self.store.waves(people.campaign).await?;
        waves.into_iter().find(|row| row.is_canary).ok_or_else(|| {
            EngineError::refused(format!(
                "campaign `{name}` has no canary; hint: `forthwith wave list {name}`"
            ))
        })
    }

    /// Lets the others follow. `seen` are the figures the operator was shown; if they are other ones by
    /// now, nothing is signed.
    pub async fn go(
        &self,
        name: &str,
        seen: CanaryFigures,
        signer: &Signer,
    ) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        let figures = self.canary(name).await?;
        if figures != seen {
            return Err(EngineError::refused(format!(
                "the canary's figures changed meanwhile; hint: look again, `forthwith campaign go \
                 {name}`"
            )));
        }
        let now = self.clock.now();
        may_sign(&signer.row.operator, now)?;
        let signature = signer.sign(&statement(&people, figures, &signer.row, now));
        let go = CanaryGo {
            figures,
            operator_id: signer.row.operator.id,
            signature: *signature.as_bytes(),
            gone_at: now,
        };
        let CanaryFigures { told, bounced, deferred, complaints } = figures;
        let entry = Entry::CanaryGo {
            campaign: people.ledger_name(),
            told,
            bounced,
            deferred,
            complaints,
            key: signer.ledger_name(),
        };
        self.store.go(row.id, go, vec![entry.line(now)]).await?;
        Ok(())
    }
}
