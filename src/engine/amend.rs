//! Amendments: what operators change about sealed people afterwards, signed, beside the seal.
//!
//! An amendment never meets an open attempt: it waits until the outcome is in, so that none is lost.

mod address;
mod conflicts;
mod plan;
mod signed;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::audience::later::Later;
use super::operators::{Signer, check_two_voices};
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::amendment::{Amendment, AmendmentKind, Change};
use crate::domain::operator::may_sign;
use crate::domain::track::NoticeState;
use crate::store::amendments::{Amendable, Applied, NewAmendment};
use crate::store::campaigns::CampaignRow;
use crate::store::operators::OperatorRow;
use crate::store::reports::DeliveryFilter;

pub use conflicts::ConflictView;
pub use signed::SignedAmendment;
pub(super) use views::AmendedRows;
pub use views::{AmendmentSum, AmendmentView};

/// People read and amended in one transaction.
const AT_ONCE: usize = 500;
/// How often an amendment that meets an open attempt is tried again, and after what pause: attempts
/// that go well take milliseconds.
const ROUNDS: u32 = 12;
const BETWEEN: Duration = Duration::from_millis(150);

/// What is wanted of everybody named.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to change.
    pub change: Change,
    /// Why.
    pub reason: String,
    /// What proves it; may be empty where none is needed.
    pub evidence: String,
}

/// What amending came to.
#[derive(Debug, Clone, Default)]
pub struct Amended {
    /// Who was amended: number, the class left, the class come to.
    pub done: Vec<(u64, String, String)>,
    /// Of these, who is told anew: something had reached the old address.
    pub renewed: u64,
    /// Who was not, and why.
    pub left: Vec<(u64, String)>,
}

/// One act: the request with all it is judged by.
struct Act<'a> {
    row: &'a CampaignRow,
    people: &'a People,
    request: &'a Request,
    signers: &'a [Signer],
    operators: &'a [OperatorRow],
    /// Campaigns that were sealed of this one, where somebody would be queued.
    later: &'a [Later],
    /// `give_up_after` is over: nobody waits for a credential any more. Looked up once, where somebody
    /// would.
    gave_up: OnceCell<bool>,
}

impl Engine {
    /// Amends everybody named, each in a transaction with their class; tells who was and who was not. Whoever
    /// means many calls it by the page: what it gives back grows with them.
    pub async fn amend(
        &self,
        name: &str,
        numbers: &[u64],
        request: &Request,
        signers: &[Signer],
    ) -> Result<Amended, EngineError> {
        let (row, people) = self.people(name).await?;
        let state = self.store.control(row.id).await?.notice;
        let is_over = match state {
            NoticeState::Closed => true,
            // nobody is told any more, but who is open can still be let go
            NoticeState::Cancelled => !matches!(request.change, Change::Withdraw | Change::Waive),
            _ => false,
        };
        if is_over {
            return Err(EngineError::refused(format!(
                "the notice of `{name}` is {state}, so this is not amended any more; hint: \
                 `forthwith campaign status {name}`"
            )));
        }
        Amendment::new([0; 16], request.change.clone(), &request.reason, &request.evidence)
            .map_err(|why| EngineError::refused(why.to_string()))?;
        let operators = self.operators().await?;
        check_signers(&request.change, signers, &operators, self.clock.now())?;
        if let Change::ReplaceAddress(address) = &request.change {
            let [_] = numbers else {
                return Err(EngineError::refused(format!(
                    "an address is replaced for one person at a time, and {} are meant; hint: name \
                     them by number, see `forthwith delivery show {name} WHO`",
                    numbers.len()
                )));
            };
            self.check_new_address(name, address).await?;
        }
        let queues = matches!(request.change, Change::Release | Change::ReplaceAddress(_));
        let later = if queues { self.later(row.id).await? } else { Vec::new() };
        let act = Act {
            row: &row,
            people: &people,
            request,
            signers,
            operators: &operators,
            later: &later,
            gave_up: OnceCell::new(),
        };
        let numbers: BTreeSet<u64> = numbers.iter().copied().collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let mut amended = Amended::default();
        for some in numbers.chunks(AT_ONCE) {
            self.amend_some(&act, some, &mut amended).await?;
        }
        Ok(amended)
    }

    /// A page of the people in a class, by number, after `after`: number and `class/reason`; an empty one
    /// ends them.
    pub async fn of_class(
        &self,
        name: &str,
        filter: &DeliveryFilter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, EngineError> {
        let row = self.campaign(name).await?;
        let page = self.store.list_deliveries(row.id, filter, after, limit).await?;
        Ok(page.into_iter().map(|one| (one.number, one.state.class.label())).collect())
    }

    /// How many of these people stand in which class, `class/reason`.
    pub async fn classes_of(
        &self,
        name: &str,
        numbers: &[u64],
    ) -> Result<BTreeMap<String, u64>, EngineError> {
        let row = self.campaign(name).await?;
        let mut classes = BTreeMap::new();
        for some in numbers.chunks(AT_ONCE) {
            for person in self.store.amendable(row.id, some).await? {
                *classes.entry(person.state.class.label()).or_default() += 1;
            }
        }
        Ok(classes)
    }

    /// Amends one transaction's worth of people; who has an open attempt is waited for a little.
    async fn amend_some(
        &self,
        act: &Act<'_>,
        numbers: &[u64],
        amended: &mut Amended,
    ) -> Result<(), EngineError> {
        let mut open: BTreeSet<u64> = numbers.iter().copied().collect();
        let mut last = BTreeMap::new();
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(BETWEEN).await;
            }
            let planned = self.plan_some(act, &mut open, amended).await?;
            if planned.is_empty() {
                return Ok(());
            }
            let fates = self.store.amend(act.people.campaign, planned.clone()).await?;
            for (one, fate) in planned.into_iter().zip(fates) {
                if fate == Applied::Yes {
                    open.remove(&one.row.number);
                    let renews = one.change.state.generation > one.generation;
                    amended.renewed += u64::from(renews);
                    amended.done.push((one.row.number, one.row.was, one.row.became));
                } else {
                    last.insert(one.row.number, fate);
                }
            }
            if open.is_empty() {
                return Ok(());
            }
        }
        amended.left.extend(open.into_iter().map(|number| {
            let why = match last.get(&number) {
                Some(Applied::Changed) => "it moved meanwhile; look at it and try again",
                _ => {
                    "an attempt is in flight, and its outcome comes first; try again in a second \
                     (where no worker runs, the next `forthwith campaign run` settles it)"
                }
            };
            (number, why.to_owned())
        }));
        Ok(())
    }

    /// What is to be done to each of `open`; who cannot be amended leaves it with the reason, and who
    /// is told by another's notice is replaced by them.
    async fn plan_some(
        &self,
        act: &Act<'_>,
        open: &mut BTreeSet<u64>,
        amended: &mut Amended,
    ) -> Result<Vec<NewAmendment>, EngineError> {
        let mut found = self.read(act, open).await?;
        let carriers: BTreeSet<u64> =
            found.values().filter_map(|person| redirected(act, person)).collect();
        if !carriers.is_empty() {
            let people = found.values();
            let redirected: Vec<u64> = people
                .filter(|person| redirected(act, person).is_some())
                .map(|person| person.number)
                .collect();
            open.retain(|number| !redirected.contains(number));
            open.extend(carriers);
            found = self.read(act, open).await?;
        }
        if act.request.change.kind().takes_copies_along() {
            // A copy goes with its person.
            let copies = || found.values().flat_map(|person| &person.copies);
            open.retain(|number| !copies().any(|copy| copy == number));
        }
        if found.values().any(Amendable::waits_for_credential) {
            let looked_up = || self.has_given_up(act.row, act.people);
            act.gave_up.get_or_try_init(looked_up).await?;
        }
        let mut planned = Vec::new();
        for number in open.clone() {
            let plan = match found.get(&number) {
                Some(person) => self.plan_amendment(act, person).await,
                None => Err(EngineError::refused(
                    "there is no such recipient; hint: `forthwith delivery list`",
                )),
            };
            match plan {
                Ok(plan) => planned.push(plan),
                Err(EngineError::Refused(why)) => {
                    open.remove(&number);
                    amended.left.push((number, why));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(planned)
    }

    async fn read(
        &self,
        act: &Act<'_>,
        numbers: &BTreeSet<u64>,
    ) -> Result<BTreeMap<u64, Amendable>, EngineError> {
        if numbers.is_empty() {
            return Ok(BTreeMap::new());
        }
        let numbers: Vec<u64> = numbers.iter().copied().collect();
        let found = self.store.amendable(act.people.campaign, &numbers).await?;
        Ok(found.into_iter().map(|person| (person.number, person)).collect())
    }
}

/// The carrier whose notice is held or released for a person it names.
fn redirected(act: &Act<'_>, person: &Amendable) -> Option<u64> {
    let kind = act.request.change.kind();
    person.carrier.filter(|_| matches!(kind, AmendmentKind::Hold | AmendmentKind::Release))
}

/// As many people sign as the kind takes, each allowed to, and any two of them two voices.
fn check_signers(
    change: &Change,
    signers: &[Signer],
    operators: &[OperatorRow],
    now: jiff::Timestamp,
) -> Result<(), EngineError> {
    let kind = change.kind();
    for (place, signer) in signers.iter().enumerate() {
        may_sign(&signer.row.operator, now)?;
        for earlier in &signers[..place] {
            check_two_voices(operators, &earlier.row, &signer.row)?;
        }
    }
    if signers.len() >= kind.voices() {
        return Ok(());
    }
    Err(match signers {
        [one] => EngineError::refused(format!(
            "`{}` takes the signatures of two operators, and only `{}` signs; hint: `--operator` \
             twice",
            kind.word(),
            one.row.operator.name
        )),
        _ => EngineError::refused(format!(
            "`{}` takes an operator's signature; hint: `--operator NAME`",
            kind.word()
        )),
    })
}
