//! What earlier lives of the portal left open: claims whose end only the directory knows.

use std::sync::PoisonError;

use super::{Choice, Inner, Portal};
use crate::engine::EngineError;

impl Portal {
    /// Ends every claim of a portal that is no more, and of this one's that the directory did not answer to.
    /// Returns how many it ended and how many are left to a later call.
    pub async fn end_claims(&self) -> Result<(u64, u64), EngineError> {
        let inner = &self.0;
        let (mut ended, mut left) = (0, 0);
        for claim in inner.engine.store.open_claims().await? {
            let at = inner.served.iter().position(|one| one.row.id == claim.campaign);
            let Some(at) = at else { continue };
            if claim.life == inner.life && inner.is_in_flight(claim.campaign, claim.number) {
                continue;
            }
            let served = &inner.served[at];
            let Ok(company) = served.company(&inner.engine).await else {
                left += 1;
                continue;
            };
            let row = inner.engine.store.load_row(claim.campaign, claim.number).await?;
            let account = match row {
                Some(row) => {
                    served.people.open(claim.number, &row.body)?.account.as_str().to_owned()
                }
                None => String::new(),
            };
            let (number, proof) = (claim.number, claim.proof);
            let choice = Choice { key: String::new(), account, served: at, number, proof };
            let persons = inner.persons(&choice).await?;
            if inner.engine.end_claim(&company, &claim, &persons, inner.tells()).await? {
                ended += 1;
            } else {
                served.forget_company().await;
                left += 1;
            }
        }
        Ok((ended, left))
    }
}

impl Inner {
    /// Whether this process is setting their password right now.
    fn is_in_flight(&self, campaign: i64, number: u64) -> bool {
        let held = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains(&(campaign, number))
    }

    /// Notes that it does; `false` where it does already.
    pub(super) fn take_off(&self, campaign: i64, number: u64) -> bool {
        let mut held = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert((campaign, number))
    }

    /// Notes that it is over.
    pub(super) fn land(&self, campaign: i64, number: u64) {
        let mut held = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&(campaign, number));
    }
}
