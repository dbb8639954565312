//! What a request for a code comes to: decided outside of the request, so that whoever asks learns nothing by
//! text, status or time.
//!
//! The rule of the design's §4 holds here too: no code to an address that may be another's, or that an
//! amendment replaced.

use jiff::{SignedDuration, Timestamp};

use super::served::Served;
use super::{CODE_FOR, Portal};
use crate::domain::address::AddressReason;
use crate::domain::amendment::AmendmentKind;
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::engine::EngineError;
use crate::secret::code::{ResetCode, random_salt};
use crate::secret::lookup::address_digest;
use crate::secret::mail::reference;
use crate::secret::visit::reference_digest;
use crate::store::codes::{Answer, Answered, NewCode, OpenRequest};
use crate::store::deliveries::LoadedRow;

/// Requests answered in one transaction.
const AT_ONCE: u32 = 200;
/// Mails to one address in an hour, for requests without its reference number and for those with it: whoever
/// floods a mailbox by its address alone takes nothing from the person who has the notice.
const MAILS: u64 = 4;
const MAILS_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Somebody known by the address that was typed.
struct Found {
    campaign: i64,
    number: u64,
    answer: Answer,
    has_reference: bool,
}

impl Portal {
    /// Answers the oldest open requests; how many.
    pub async fn answer_requests(&self) -> Result<u64, EngineError> {
        let store = &self.0.engine.store;
        let open = store.unanswered(AT_ONCE).await?;
        let mut answered = Vec::with_capacity(open.len());
        let mut mailed = Mailed::default();
        for request in &open {
            answered.push(self.answer(request, &mut mailed).await?);
        }
        store.answer_requests(answered).await?;
        Ok(open.len() as u64)
    }

    async fn answer(
        &self,
        request: &OpenRequest,
        mailed: &mut Mailed,
    ) -> Result<Answered, EngineError> {
        let found = self.known(request).await?;
        let now = self.0.engine.clock.now();
        let expires_at = now.saturating_add(CODE_FOR).unwrap_or(now);
        let Some(best) = found.iter().min_by_key(|one| rank(one.answer)) else {
            let answer = Answer::Unknown;
            return Ok(Answered {
                request: request.id,
                answer,
                code: None,
                mailed: None,
                expires_at,
            });
        };
        // A number that is not this person's came past the limit of anonymous requests: were it mailed, any
        // made-up number would be as good as the notice's own.
        let is_made_up =
            request.request.reference.is_some() && !found.iter().any(|one| one.has_reference);
        let is_over = is_made_up || self.is_flooded(request, &found, mailed).await?;
        let answer = if best.answer.is_mailed() && is_over { Answer::Limited } else { best.answer };
        let to = answer.is_mailed().then_some((best.campaign, best.number));
        let code = (answer == Answer::Code).then(|| self.draw(request.id, &found, expires_at));
        Ok(Answered { request: request.id, answer, code, mailed: to, expires_at })
    }

    /// A code for all the accounts that may have one.
    fn draw(&self, request: i64, found: &[Found], expires_at: Timestamp) -> NewCode {
        let keys = self.keys();
        let salt = random_salt(&mut rand::rng());
        let code = ResetCode::derive(keys.token(), request, &salt);
        let with_code = found.iter().filter(|one| one.answer == Answer::Code);
        NewCode {
            salt,
            digest: *code.digest(keys.digest(), request).as_bytes(),
            expires_at,
            accounts: with_code.map(|one| (one.campaign, one.number)).collect(),
        }
    }

    /// Whether so many mails went to this address lately that no more do.
    async fn is_flooded(
        &self,
        request: &OpenRequest,
        found: &[Found],
        mailed: &mut Mailed,
    ) -> Result<bool, EngineError> {
        let now = self.0.engine.clock.now();
        let since = now.saturating_sub(MAILS_FOR).unwrap_or(now);
        let address = request.request.address;
        let asked = self.0.engine.store.asked_lately(&address, since).await?;
        let has_reference = found.iter().any(|one| one.has_reference);
        let before = if has_reference { asked.with_reference } else { asked.without_reference };
        Ok(mailed.count(address, has_reference) + before >= MAILS)
    }

    /// Everybody served here who is known by the typed address.
    async fn known(&self, request: &OpenRequest) -> Result<Vec<Found>, EngineError> {
        let inner = &self.0;
        let mut found = Vec::new();
        for served in inner.served.iter().filter(|served| served.resets()) {
            let digest = request.request.address;
            for number in inner.engine.store.find_numbers(served.row.id, &digest).await? {
                let row = inner.engine.store.load_row(served.row.id, number).await?;
                let Some(row) = row else { continue };
                let Some(answer) = self.answer_for(served, &row, digest)? else { continue };
                let own = reference(self.keys().mail(), &served.people.uuid, number);
                let own = reference_digest(self.keys().portal(), &own.to_string());
                let has_reference = request.request.reference == Some(own);
                found.push(Found { campaign: served.row.id, number, answer, has_reference });
            }
        }
        Ok(found)
    }

    /// What one person's request comes to; nothing where no mail of ours may go to that address.
    fn answer_for(
        &self,
        served: &Served,
        row: &LoadedRow,
        typed: [u8; 16],
    ) -> Result<Option<Answer>, EngineError> {
        let recipient = served.people.open(row.number, &row.body)?;
        let Some(address) = &recipient.address else { return Ok(None) };
        // the same text may be an account's name
        if address_digest(self.keys().digest(), &address.canonical()) != typed {
            return Ok(None);
        }
        let is_replaced =
            row.amendments.iter().any(|amendment| amendment.kind == AmendmentKind::ReplaceAddress);
        if is_replaced {
            return Ok(None);
        }
        let is_newer = row.copy_of.is_some() || recipient.moved_since(served.window_from);
        Ok(match recipient.reason {
            AddressReason::Missing
            | AddressReason::Invalid
            | AddressReason::DeadDomain
            | AddressReason::OwnMailbox
            | AddressReason::Suppressed => None,
            AddressReason::Suspect | AddressReason::Dormant => Some(Answer::Support),
            AddressReason::Ok if is_newer => Some(Answer::Support),
            AddressReason::Ok => Some(of_class(class(row))),
        })
    }
}

/// Mails that the requests of one transaction lead to, by address.
#[derive(Default)]
struct Mailed(std::collections::HashMap<([u8; 16], bool), u64>);

impl Mailed {
    /// How many before this one.
    fn count(&mut self, address: [u8; 16], has_reference: bool) -> u64 {
        let count = self.0.entry((address, has_reference)).or_default();
        *count += 1;
        *count - 1
    }
}

fn class(row: &LoadedRow) -> CredentialClass {
    let word = row.credentials.get(CredentialKind::Password.word());
    word.and_then(|word| word.parse().ok()).unwrap_or(CredentialClass::Pending)
}

fn of_class(class: CredentialClass) -> Answer {
    match class {
        CredentialClass::Expired | CredentialClass::Reset => Answer::Code,
        CredentialClass::Pending => Answer::NotYet,
        CredentialClass::NoPassword => Answer::NoPassword,
        CredentialClass::ChangedSince
        | CredentialClass::ResetElsewhere
        | CredentialClass::Exempt => Answer::Ordinary,
        CredentialClass::NotFound | CredentialClass::Failed | CredentialClass::Regressed => {
            Answer::Support
        }
    }
}

/// Of several accounts at one mailbox the best answer counts.
fn rank(answer: Answer) -> u8 {
    match answer {
        Answer::Code => 0,
        Answer::Support => 1,
        Answer::NotYet => 2,
        Answer::Ordinary => 3,
        Answer::NoPassword => 4,
        Answer::Limited | Answer::Unknown => 5,
    }
}
