//! What proves that a mailbox is somebody's: a typed code, or the token of a link.

use jiff::Timestamp;

use super::{Inner, PROVED_FOR, Portal, TRIES, WRONG_CODES_ALARM};
use crate::engine::EngineError;
use crate::engine::portal::CODE_FOR;
use crate::secret::code::ResetCode;
use crate::secret::digest::Digest;
use crate::secret::token::PlainToken;
use crate::secret::visit::Visit;
use crate::store::codes::{Tried, TriedRequest, TryLimits};
use crate::store::resets::{FoundToken, Proof};

/// Requests of one visit whose codes a typed one is compared with: whoever asked twice may type either.
const REQUESTS: u32 = 3;

/// What typing a code came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// It is the code of one of the visit's requests.
    Right,
    /// It is not, or it is over, or there are no tries left: all told alike.
    Wrong,
}

/// An account that a visit may set the password of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What the form names it by.
    pub key: String,
    /// What its person knows it by.
    pub account: String,
    pub(super) served: usize,
    pub(super) number: u64,
    pub(super) proof: Proof,
}

impl Portal {
    /// Compares a typed code with those of the visit's newest requests, counting the try before.
    pub async fn try_code(&self, visit: &Visit, typed: &ResetCode) -> Result<Typed, EngineError> {
        let (store, keys) = (&self.0.engine.store, self.keys());
        let limits =
            TryLimits { asked_after: self.before(CODE_FOR), tries: TRIES, requests: REQUESTS };
        let is_code = |one: &TriedRequest| {
            let digest = typed.digest(keys.digest(), one.id);
            // compared whether or not there is a code, so that both take the same time
            let known = Digest::from_bytes(one.code.unwrap_or_default());
            digest.matches(&known) && one.code.is_some()
        };
        let visit = visit.digest(keys.portal());
        let wrong = match store.try_code(&visit, limits, &is_code).await? {
            Tried::Right => return Ok(Typed::Right),
            Tried::Wrong(sums) => sums,
        };
        // each of these sums has just grown by one, so that every multiple is met once
        for wrong in wrong.into_iter().filter(|sum| *sum > 0 && sum % WRONG_CODES_ALARM == 0) {
            tracing::warn!(
                wrong,
                "so many wrong codes were typed in two hours that somebody is guessing; hint: `forthwith \
                 portal revoke` takes every code back"
            );
        }
        Ok(Typed::Wrong)
    }

    /// The accounts that a visit's codes opened and whose password it has not set yet.
    pub async fn choices(&self, visit: &Visit) -> Result<Vec<Choice>, EngineError> {
        let since = self.before(PROVED_FOR);
        let visit = visit.digest(self.keys().portal());
        let proved = self.0.engine.store.proved_accounts(&visit, since).await?;
        let mut choices = Vec::with_capacity(proved.len());
        for account in proved {
            let proof = Proof::Code { request: account.request };
            choices.extend(self.0.choice(account.campaign, account.number, proof).await?);
        }
        Ok(choices)
    }

    /// The account of a link's token, while it is in force.
    pub async fn by_token(&self, token: &PlainToken) -> Result<Option<Choice>, EngineError> {
        let digest = token.digest(self.keys().digest());
        let found = self.0.engine.store.find_token(digest.as_bytes()).await?;
        match found.filter(|found| is_live(found, self.0.engine.clock.now())) {
            Some(found) => {
                let proof = Proof::Token { generation: found.generation };
                self.0.choice(found.campaign, found.number, proof).await
            }
            None => Ok(None),
        }
    }

    fn before(&self, span: jiff::SignedDuration) -> Timestamp {
        let now = self.0.engine.clock.now();
        now.saturating_sub(span).unwrap_or(now)
    }
}

fn is_live(found: &FoundToken, now: Timestamp) -> bool {
    found.consumed_at.is_none()
        && found.revoked_at.is_none()
        && found.expires_at.is_some_and(|until| until > now)
}

impl Inner {
    /// The account of somebody who is served here.
    async fn choice(
        &self,
        campaign: i64,
        number: u64,
        proof: Proof,
    ) -> Result<Option<Choice>, EngineError> {
        let served = self.served.iter().position(|one| one.row.id == campaign);
        let Some(served) = served.filter(|at| self.served[*at].resets()) else { return Ok(None) };
        let row = self.engine.store.load_row(campaign, number).await?;
        let Some(row) = row else { return Ok(None) };
        let recipient = self.served[served].people.open(number, &row.body)?;
        let account = recipient.account.as_str().to_owned();
        Ok(Some(Choice { key: format!("{served}-{number}"), account, served, number, proof }))
    }
}
