//! Rule R0: is this the database this host saw last? While it is not, nothing is written; `recover` puts
//! back what wire journals tell of the time since the backup, holds in doubt what they cannot, and draws a
//! new incarnation.

mod attempts;
mod evidence;
mod hold;
mod page;
mod pause;
mod recover;
mod report;
mod run;

pub use recover::{Recover, Sought};
pub use report::{CampaignRecovery, RecoverReport, UnknownCampaign};

use super::{Engine, EngineError};
use crate::journal::{HighWater, MarkCopy};
use crate::store::LedgerMark;
use crate::store::campaigns::DatabaseIdentity;

/// How the database differs from the one this host saw last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewindCause {
    /// This host has no mark of it at all.
    MarkAbsent,
    /// The mark is of another database.
    OtherDatabase,
    /// It is of another incarnation.
    OtherIncarnation,
    /// The batch on record is missing.
    BatchMissing,
    /// The batch on record has other entries.
    OtherBatch,
    /// The workspace was copied from another machine.
    OtherHost,
}

impl RewindCause {
    /// The word for the ledger and `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::MarkAbsent => "mark-absent",
            Self::OtherDatabase => "other-database",
            Self::OtherIncarnation => "other-incarnation",
            Self::BatchMissing => "batch-missing",
            Self::OtherBatch => "other-batch",
            Self::OtherHost => "other-host",
        }
    }

    /// Whether this host's own record says which lives there were: else nothing can be proved by it.
    fn has_record(self) -> bool {
        !matches!(self, Self::MarkAbsent | Self::OtherHost | Self::OtherDatabase)
    }
}

/// A database that is not the one this host saw last.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "REWOUND: the database is not the one this workspace saw last: {}; nothing is sent, expired or \
     changed until that is settled; hint: {}",
    self.words(), self.hint()
)]
pub struct Rewound {
    /// How it differs.
    pub cause: RewindCause,
    /// The newest mark.
    pub seen: Option<HighWater>,
    /// The newest ledger batch of the database.
    pub head: i64,
}

impl Rewound {
    /// Ledger batches that are gone, as far as this host knows; none where it cannot tell.
    pub fn missing_batches(&self) -> Option<u64> {
        let seen = self.seen.filter(|_| self.cause == RewindCause::BatchMissing)?;
        u64::try_from(seen.batch_id - self.head).ok()
    }

    /// How it differs, in words.
    pub fn words(&self) -> String {
        let seen = self.seen.map_or(0, |seen| seen.batch_id);
        match self.cause {
            RewindCause::MarkAbsent => "there is no high-water mark beside it".into(),
            RewindCause::OtherDatabase => "its id differs".into(),
            RewindCause::OtherIncarnation => "its incarnation differs".into(),
            RewindCause::BatchMissing => {
                format!("ledger batch {seen} is missing, it ends with batch {}", self.head)
            }
            RewindCause::OtherBatch => format!("ledger batch {seen} has other entries"),
            RewindCause::OtherHost => "the workspace was copied from another machine".into(),
        }
    }

    fn hint(&self) -> &'static str {
        match self.cause {
            RewindCause::OtherDatabase => "put back the database of this workspace",
            _ => {
                "where a backup was restored or the workspace copied, `forthwith campaign recover` \
                 goes on from there; else put back the database this workspace used last"
            }
        }
    }
}

impl Engine {
    /// Refuses a database that is not the one this host saw last, or an extension of it.
    pub async fn check_high_water(&self) -> Result<(), EngineError> {
        match self.rewound().await? {
            Some(rewound) => Err(rewound.into()),
            None => Ok(()),
        }
    }

    /// Closes a rewound database to every write of this process; tells how it differs.
    pub async fn guard(&self) -> Result<Option<Rewound>, EngineError> {
        let rewound = self.rewound().await?;
        if rewound.is_some() {
            self.store.close_gate();
        }
        Ok(rewound)
    }

    /// How the database differs from the one this host saw last; none where it is the same or an
    /// extension of it.
    pub async fn rewound(&self) -> Result<Option<Rewound>, EngineError> {
        let identity = self.store.identity().await?;
        let head = self.store.ledger_head().await?;
        let (seen, copies) = (self.high_water.read()?, self.high_water.copies()?);
        let cause = self.cause(identity, head, seen, &copies).await?;
        let head = head.map_or(0, |mark| mark.batch_id);
        Ok(cause.map(|(cause, seen)| Rewound { cause, seen, head }))
    }

    async fn cause(
        &self,
        identity: DatabaseIdentity,
        head: Option<LedgerMark>,
        seen: Option<HighWater>,
        copies: &[MarkCopy],
    ) -> Result<Option<(RewindCause, Option<HighWater>)>, EngineError> {
        let Some(mark) = seen else {
            // `init` that was cut short before its first batch has nothing to be rewound.
            return Ok(head.is_some().then_some((RewindCause::MarkAbsent, None)));
        };
        if mark.database_id != *identity.database_id.as_bytes() {
            return Ok(Some((RewindCause::OtherDatabase, seen)));
        }
        // Each copy by itself: a workspace that ran elsewhere and came back fits its own, not the host's.
        for copy in copies {
            if copy.mark.batch_id == 0 {
                continue;
            }
            let cause = match self.store.ledger_batch(copy.mark.batch_id).await? {
                Some(sha256) if sha256 == copy.mark.batch_sha256 => continue,
                Some(_) => RewindCause::OtherBatch,
                None => RewindCause::BatchMissing,
            };
            return Ok(Some((cause, Some(copy.mark))));
        }
        if mark.incarnation != identity.incarnation {
            return Ok(Some((RewindCause::OtherIncarnation, seen)));
        }
        if self.high_water.is_foreign()? {
            return Ok(Some((RewindCause::OtherHost, seen)));
        }
        Ok(None)
    }
}
