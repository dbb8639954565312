//! Claims that nobody ended: a portal died, or the directory was out of reach. What the directory holds
//! decides.

use jiff::SignedDuration;

use super::{Company, Known, PASSWORD, Sealed, Wanted, replacement, told};
use crate::directory::{Controls, Replacement};
use crate::domain::credential::CredentialClass;
use crate::engine::{Engine, EngineError};
use crate::secret::replacement::SecretValue;
use crate::store::credentials::OwnWrite;
use crate::store::resets::OpenClaim;

/// A write that was on its way when its process died has ended by now: longer than a directory works at one
/// statement.
const SURELY_OVER: SignedDuration = SignedDuration::from_mins(2);

impl Engine {
    /// Ends a claim of a portal that is no more: finished where its value stands, released where it can
    /// never stand any more. `false` where the directory does not say yet. `is_told` as in [`Wanted`].
    pub(in crate::engine) async fn end_claim(
        &self,
        company: &Company,
        claim: &OpenClaim,
        persons: &[Sealed<'_>],
        is_told: bool,
    ) -> Result<bool, EngineError> {
        let known = self.known(persons).await?;
        let Some(first) = known.first() else {
            self.store.release_claim(claim.id).await?;
            return Ok(true);
        };
        let reference = first.recipient.account.as_str().to_owned();
        for fenced in [false, true] {
            match self.stands(company, &reference, first, claim.planned).await {
                Err(()) => return Ok(false),
                Ok(true) => {
                    let (proof, life) = (claim.proof, claim.life.as_str());
                    let wanted = Wanted { persons, proof, life, locale: "", is_told };
                    self.end_well(claim.id, &wanted, &known).await?;
                    return Ok(true);
                }
                Ok(false) if fenced => break,
                Ok(false) if !self.fence(company, claim, first, &reference).await? => {
                    return Ok(false);
                }
                Ok(false) => {}
            }
        }
        self.store.release_claim(claim.id).await?;
        Ok(true)
    }

    /// Sees to it that a write which may still be on its way changes nothing: it compares with the value it
    /// read, and that value is replaced by another of ours. Where it is a person's own password it is left
    /// to them, and time is what fences. Whether it is done.
    async fn fence(
        &self,
        company: &Company,
        claim: &OpenClaim,
        first: &Known<'_>,
        reference: &str,
    ) -> Result<bool, EngineError> {
        if self.clock.now().duration_since(claim.claimed_at) > SURELY_OVER {
            return Ok(true);
        }
        if first.account.class != CredentialClass::Expired {
            return Ok(false);
        }
        let (directory, people) = (company.directory.as_ref(), first.sealed.people);
        let asked = [reference.to_owned()];
        let Ok(read) = told(directory.read(PASSWORD, &asked).await) else { return Ok(false) };
        let Some(current) = read.into_iter().next().and_then(|now| now.value) else {
            return Ok(true);
        };
        let seen = first.mark(&current);
        if !first.account.planned.contains(&seen) {
            return Ok(true);
        }
        let Ok(forged) = replacement(&people.key, directory, PASSWORD, reference, current.expose())
        else {
            return Ok(true);
        };
        self.replace_ours(company, first, current, forged).await
    }

    async fn replace_ours(
        &self,
        company: &Company,
        first: &Known<'_>,
        current: SecretValue,
        forged: SecretValue,
    ) -> Result<bool, EngineError> {
        let own = OwnWrite {
            number: first.sealed.number,
            planned: first.mark(&forged),
            seen: first.mark(&current),
        };
        self.store.record_writes(first.sealed.people.campaign, PASSWORD, vec![own]).await?;
        let account = first.recipient.account.as_str().to_owned();
        let change = Replacement { account, current, replacement: forged };
        // the company's own accounts may have changed since this portal began: what is compared here is
        // one row with a value of ours
        let done = told(company.directory.replace(PASSWORD, &[change], &Controls::none()).await);
        Ok(done.is_ok())
    }
}
