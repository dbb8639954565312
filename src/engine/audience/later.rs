//! What keeps a campaign from telling people whom a later one was sealed to tell: nobody is told twice by a
//! first wave that goes on after the second was made of whom it had not told.

use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::domain::recipient::AccountRef;
use crate::domain::track::NoticeState;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::secret::lookup::account_digest;
use crate::store::audiences::{LaterCampaign, Standing};
use crate::store::campaigns::CampaignRow;

/// Accounts looked up in one statement.
const PAGE: u32 = 10_000;

/// People whom both an earlier campaign and a later one would tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shared {
    people: u64,
    /// Those of them whom the later one told, or may have.
    told: u64,
    /// Everybody was looked at; else there may be more.
    is_whole: bool,
}

/// A later campaign that may still tell people, or told some.
pub(in crate::engine) struct Later {
    row: CampaignRow,
    made_of: String,
}

impl Later {
    /// Whether it told this person, may have, or may yet: whoever it let go is the earlier one's again.
    fn has(&self, (class, reason): &Standing) -> bool {
        use DeliveryClass::{InDoubt, Told, Waived, Withdrawn};
        let is_over =
            matches!(self.row.control.notice, NoticeState::Cancelled | NoticeState::Closed);
        match DeliveryClass::parse(class, reason) {
            Ok(Told(_) | InDoubt(_)) => true,
            Ok(Withdrawn | Waived(_)) => false,
            _ => !is_over,
        }
    }
}

impl Engine {
    /// Refuses to let the notice of a campaign go on while people whom it would tell by itself are also
    /// in a campaign that was sealed of its classes. Who holds the worker's lock finds what cannot change
    /// before it is given back: such a seal takes the lock.
    pub(in crate::engine) async fn check_no_later(
        &self,
        row: &CampaignRow,
    ) -> Result<(), EngineError> {
        let later = self.later(row.id).await?;
        if later.is_empty() || !self.has_to_tell(row.id).await? {
            return Ok(());
        }
        for one in later {
            let shared = self.shared(row, &one).await?;
            if shared.people > 0 {
                return Err(refusal(&row.name, &one, shared));
            }
        }
        Ok(())
    }

    /// The sealed campaigns that were made of this one's classes.
    pub(in crate::engine) async fn later(&self, campaign: i64) -> Result<Vec<Later>, EngineError> {
        let mut later = Vec::new();
        for LaterCampaign { name, made_of } in self.store.later_campaigns(campaign).await? {
            later.push(Later { row: self.campaign(&name).await?, made_of });
        }
        Ok(later)
    }

    /// Refuses what would queue one person of `people` who is also in a later campaign: a running worker
    /// would tell them at once.
    pub(in crate::engine) async fn check_not_in_later(
        &self,
        people: &People,
        later: &[Later],
        number: u64,
        account: &AccountRef,
    ) -> Result<(), EngineError> {
        for one in later {
            let account = account.as_str().as_bytes();
            let digest = account_digest(self.keys.digest(), &people.directory, account);
            let standings = self.store.standings(one.row.id, &[digest]).await?;
            if standings.get(&digest).is_some_and(|standing| one.has(standing)) {
                return Err(EngineError::refused(format!(
                    "recipient {number} of `{name}` is also in `{later}`, which was sealed of it \
                     ({made_of}), and would be told twice; hint: withdraw or waive them here, or \
                     `forthwith amendment withdraw {later}` where it has not told them",
                    name = people.name,
                    later = one.row.name,
                    made_of = one.made_of
                )));
            }
        }
        Ok(())
    }

    /// Whether anybody is left whom the campaign would tell without a person's doing.
    async fn has_to_tell(&self, campaign: i64) -> Result<bool, EngineError> {
        let totals = self.store.delivery_totals(campaign).await?;
        let held = DeliveryClass::Held(HeldReason::Credential).label();
        Ok(totals.machine_open() + totals.reasons.get(&held).copied().unwrap_or(0) > 0)
    }

    /// Counts them, along the accounts of the smaller campaign, to the end of the first page that has any.
    async fn shared(&self, row: &CampaignRow, later: &Later) -> Result<Shared, EngineError> {
        let (here, there) = (self.sealed(row.id).await?, self.sealed(later.row.id).await?);
        let (one, other) = if here <= there { (row, &later.row) } else { (&later.row, row) };
        let (mut shared, mut after) = (Shared::default(), None);
        loop {
            let page = self.store.shared_people(one.id, other.id, after, PAGE).await?;
            for (first, second, people) in &page.people {
                let (mine, theirs) =
                    if one.id == row.id { (first, second) } else { (second, first) };
                if would_tell(mine) && later.has(theirs) {
                    shared.people += people;
                    let is_told = matches!(theirs.0.as_str(), "told" | "in-doubt");
                    shared.told += if is_told { *people } else { 0 };
                }
            }
            shared.is_whole = page.last.is_none();
            if shared.is_whole || shared.people > 0 {
                return Ok(shared);
            }
            after = page.last;
        }
    }

    async fn sealed(&self, campaign: i64) -> Result<u64, EngineError> {
        Ok(self.store.live_seal(campaign).await?.map_or(0, |seal| seal.totals.sealed))
    }
}

/// Whether the machine would tell this person without anybody's doing: a credential that is secured after
/// all queues whoever was held for it.
fn would_tell((class, reason): &Standing) -> bool {
    DeliveryClass::parse(class, reason).is_ok_and(|class| {
        class.is_machine_open() || class == DeliveryClass::Held(HeldReason::Credential)
    })
}

fn refusal(name: &str, later: &Later, shared: Shared) -> EngineError {
    let Shared { people, told, is_whole } = shared;
    let later_name = &later.row.name;
    let at_least = if is_whole { "" } else { "at least " };
    let hint = if told > 0 {
        format!(
            "`forthwith campaign cancel {name} --reason TEXT --operator NAME` leaves them to \
             `{later_name}`, or withdraw them from `{name}`"
        )
    } else {
        format!(
            "`forthwith campaign cancel {name} --reason TEXT --operator NAME` leaves them to \
             `{later_name}`, or `forthwith campaign cancel {later_name} --reason TEXT --operator NAME` \
             lets `{name}` go on"
        )
    };
    EngineError::refused(format!(
        "`{name}` has still to tell {at_least}{people} people who are also in `{later_name}`, which was \
         sealed of it ({made_of}) and has told {told} of them: they would be told twice; hint: {hint}",
        made_of = later.made_of
    ))
}
