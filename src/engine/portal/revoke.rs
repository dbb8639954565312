//! The kill switch: every link and code of a campaign taken back at once.

use crate::domain::ledger::Entry;
use crate::domain::operator::may_sign;
use crate::engine::operators::Signer;
use crate::engine::{Engine, EngineError};
use crate::secret::digest::LpBuilder;
use crate::store::resets::Revocation;

/// What still worked until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Links.
    pub tokens: u64,
    /// Accounts that codes could still open.
    pub codes: u64,
}

impl Engine {
    /// Takes back every link and code of a campaign. People ask for new codes; links come with a re-notice
    /// only.
    pub async fn revoke_links(
        &self,
        name: &str,
        reason: &str,
        signer: &Signer,
    ) -> Result<Revoked, EngineError> {
        let (row, people) = self.people(name).await?;
        let now = self.clock.now();
        may_sign(&signer.row.operator, now)?;
        let statement = LpBuilder::new()
            .lp(b"forthwith revocation v1")
            .lp(people.uuid.as_bytes())
            .lp(reason.as_bytes())
            .lp(now.as_microsecond().to_string().as_bytes())
            .finish();
        let revocation = Revocation {
            operator_id: signer.row.operator.id,
            reason: reason.to_owned(),
            signature: *signer.sign(&statement).as_bytes(),
            statement,
            at: now,
        };
        let entry = Entry::Revoked { campaign: people.ledger_name(), key: signer.ledger_name() };
        let lines = vec![entry.line(now)];
        let (tokens, codes) = self.store.revoke_campaign(row.id, revocation, lines).await?;
        Ok(Revoked { tokens, codes })
    }
}
