//! The batches of a pass laid over each other: while one is written and read back, the next one is noted, the
//! one after it is read and hashed, and the one before is settled.
//!
//! The order for one account stays read → seen → noted → written → read back → settled, since a batch enters
//! a stage only when it has left the one before. A step does three things that share no account:
//!
//! - `next` is read and judged. Nothing is kept of it.
//! - `read` is noted, in the store transaction that settles `tried`. So a batch is written only after its
//!   note was committed, and settled only after its read-back.
//! - `noted` is written, then read back while the control accounts are looked at. So no batch is written before
//!   the one ahead of it was read back and its control accounts had not changed.
//!
//! Whoever dies between two steps leaves one batch noted and not written, and one or two written and not
//! settled. The next pass reads them again: what shows one of our noted writes is ours, whatever else is there
//! is replaced by the same bytes. A value that somebody changed since it was read is not touched by the
//! compare-and-set; it is read again in the rounds of its batch.

use super::batch::{Batch, Prepared, Tried};
use super::pass::Pass;
use crate::directory::DirectoryError;
use crate::engine::EngineError;
use crate::store::credentials::Pick;

/// A batch that was read; or who is in it, where the directory refused to read some row.
enum Read {
    Prepared(Prepared),
    Refused(Vec<u64>, DirectoryError),
}

/// A batch after its turn at the directory: still to be settled, or parted and settled row by row.
enum Carried {
    Nobody,
    Tried(Tried),
    Parted(u64),
}

/// Where the batches of one kind stand.
pub(super) struct Pipeline<'a> {
    pass: &'a Pass<'a>,
    batch: Batch<'a>,
    pick: Pick,
    /// Everybody up to this number was taken.
    after: u64,
    /// So many are taken next.
    size: usize,
    is_over: bool,
    read: Option<Read>,
    noted: Option<Read>,
    tried: Option<Tried>,
}

impl<'a> Pipeline<'a> {
    /// Begins behind `after` with batches of `size`, which double.
    pub(super) fn new(
        pass: &'a Pass<'a>,
        batch: Batch<'a>,
        pick: Pick,
        after: u64,
        size: usize,
    ) -> Self {
        let (read, noted, tried) = (None, None, None);
        Self { pass, batch, pick, after, size, is_over: false, read, noted, tried }
    }

    /// Everybody, until there is nobody left or the pass is stopped; `settled` counts what changed.
    pub(super) async fn run(
        &mut self,
        settled: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), EngineError> {
        let ended = loop {
            match self.is_stopped().await {
                Ok(false) => {}
                Ok(true) => break Ok(()),
                Err(error) => break Err(error),
            }
            let stepped = self.step(settled).await;
            if stepped.is_err() || self.is_empty() {
                break stepped;
            }
        };
        // What was proved is settled, whatever ended the pass.
        if let Some(tried) = self.tried.take() {
            settled(self.settle(Some(tried), None).await?);
        }
        ended
    }

    async fn is_stopped(&self) -> Result<bool, EngineError> {
        self.pass.is_stopped().await
    }

    /// Nobody is on the way and nobody is left.
    fn is_empty(&self) -> bool {
        self.is_over && self.read.is_none() && self.noted.is_none() && self.tried.is_none()
    }

    async fn step(&mut self, settled: &mut (dyn FnMut(u64) + Send)) -> Result<(), EngineError> {
        let (mut read, noted, tried) = (self.read.take(), self.noted.take(), self.tried.take());
        let (next, carried, kept) =
            tokio::join!(self.next(), self.carry_out(noted), self.settle(tried, read.as_mut()),);
        // Whoever is told may look at the directory: by now nothing of ours is open there.
        if let changed @ 1.. = kept? {
            settled(changed);
        }
        let (carried, controls) = carried?;
        match carried {
            Carried::Nobody => {}
            Carried::Tried(tried) => self.tried = Some(tried),
            Carried::Parted(count) => settled(count),
        }
        controls?;
        self.noted = read;
        match next? {
            Some((prepared, last)) => {
                (self.read, self.after) = (Some(prepared), last);
                self.size = (self.size * 2).min(self.pass.directory.capabilities().batch);
            }
            None => self.is_over = true,
        }
        Ok(())
    }

    /// The next batch, read and judged, with its last number.
    async fn next(&self) -> Result<Option<(Read, u64)>, EngineError> {
        if self.is_over {
            return Ok(None);
        }
        let (campaign, kind) = (self.pass.people.campaign, self.batch.reader.kind);
        let limit = u32::try_from(self.size).unwrap_or(u32::MAX);
        let store = &self.pass.engine.store;
        let accounts = store.next_accounts(campaign, kind, self.pick, self.after, limit).await?;
        let Some(last) = accounts.last().map(|account| account.number) else { return Ok(None) };
        let numbers: Vec<u64> = accounts.iter().map(|account| account.number).collect();
        let read = match self.batch.prepare(accounts).await {
            Ok(prepared) => Read::Prepared(prepared),
            Err(EngineError::Directory(error)) if error.is_of_rows() => {
                Read::Refused(numbers, error)
            }
            Err(error) => return Err(error),
        };
        Ok(Some((read, last)))
    }

    /// A batch written and read back, and what became of the control accounts meanwhile. Where the directory
    /// refuses a row of it, it is parted until those remain that are refused alone ([`super::apart`]).
    async fn carry_out(
        &self,
        noted: Option<Read>,
    ) -> Result<(Carried, Result<(), EngineError>), EngineError> {
        let (numbers, refusal) = match noted {
            None => return Ok((Carried::Nobody, Ok(()))),
            Some(Read::Refused(numbers, refusal)) => (numbers, refusal),
            Some(Read::Prepared(prepared)) => {
                let numbers = prepared.numbers();
                match self.batch.carry_out(prepared, false).await {
                    Ok((tried, controls)) => return Ok((Carried::Tried(tried), controls)),
                    Err(EngineError::Directory(error)) if error.is_of_rows() => (numbers, error),
                    Err(error) => return Err(error),
                }
            }
        };
        let tally = self.batch.part(&numbers, false, refusal).await?;
        Ok((Carried::Parted(tally.settled), self.batch.check_controls().await))
    }

    /// Settles one batch and notes what is to be written to another; how many classes changed.
    async fn settle(
        &self,
        tried: Option<Tried>,
        read: Option<&mut Read>,
    ) -> Result<u64, EngineError> {
        let writes = match read {
            Some(Read::Prepared(prepared)) => prepared.take_writes(),
            Some(Read::Refused(..)) | None => Vec::new(),
        };
        let settlements = match tried {
            Some(mut tried) => self.batch.settlements(&mut tried).await,
            None => Vec::new(),
        };
        self.batch.record_and_settle(writes, settlements).await
    }
}
