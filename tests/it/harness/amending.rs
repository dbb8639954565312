//! Amendments in a house: who signs, and a few words for each act.

use forthwith::domain::amendment::Change;
use forthwith::engine::EngineError;
use forthwith::engine::amend::{Amended, Request};

use super::{ANN, BOB, CAMPAIGN, House, person};

pub const REASON: &str = "asked by telephone";
pub const EVIDENCE: &str = "ticket 4711";

impl House {
    /// Amends by number, signed by those named.
    pub async fn amend_as(
        &self,
        numbers: &[u64],
        change: Change,
        (reason, evidence): (&str, &str),
        who: &[&str],
    ) -> Result<Amended, EngineError> {
        let mut signers = Vec::new();
        for name in who {
            signers.push(self.engine.signer(person(name)).await?);
        }
        let request = Request { change, reason: reason.into(), evidence: evidence.into() };
        self.engine.amend(CAMPAIGN, numbers, &request, &signers).await
    }

    /// Amends by number, signed by both founders, with reason and evidence.
    pub async fn amend(&self, numbers: &[u64], change: Change) -> Amended {
        self.amend_as(numbers, change, (REASON, EVIDENCE), &[ANN, BOB]).await.unwrap()
    }

    /// Amends one account, which must be possible.
    pub async fn amended(&self, account: &str, change: Change) {
        let done = self.amend(&[self.number(account).await], change).await;
        assert_eq!((done.done.len(), done.left), (1, Vec::new()), "{account}");
    }

    /// Why one account is not amended.
    pub async fn not_amended(&self, account: &str, change: Change) -> String {
        let done = self.amend(&[self.number(account).await], change).await;
        assert!(done.done.is_empty(), "{account}: {done:?}");
        done.left.into_iter().next().unwrap().1
    }

    pub async fn number(&self, account: &str) -> u64 {
        let found = self.engine.find(CAMPAIGN, account).await.unwrap();
        assert_eq!(found.len(), 1, "{account}");
        found[0]
    }

    /// Every conflict keeps its sealed row: the notice cannot be approved before.
    pub async fn keep_sealed_rows(&self) {
        let open = self.engine.conflicts(CAMPAIGN, None).await.unwrap();
        if !open.is_empty() {
            let numbers: Vec<u64> = open.iter().map(|one| one.number).collect();
            let kept = self.amend(&numbers, Change::Release).await;
            assert_eq!(kept.left, Vec::new());
        }
    }
}
