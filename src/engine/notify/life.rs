//! A worker's life among all lives: its journal, and the mark that misses the journal once it is gone.

use std::sync::Arc;

use uuid::Uuid;

use super::worker::Worker;
use crate::engine::EngineError;
use crate::journal::{
    BootId, DEFAULT_SEGMENT_SIZE, Journal, JournalError, Life, LifeMark, Origin, Position,
};
use crate::store::campaigns::DatabaseIdentity;

impl Worker<'_> {
    /// Begins a life: from here on its marks may be made.
    pub(super) async fn begin_life(
        &self,
        id: Uuid,
        identity: &DatabaseIdentity,
        boot: BootId,
    ) -> Result<Arc<Journal>, EngineError> {
        let origin = Origin {
            database_id: *identity.database_id.as_bytes(),
            incarnation: identity.incarnation,
            worker_id: *id.as_bytes(),
        };
        let begun = self.engine.high_water.begun()?;
        let seal = self.engine.store.live_seal(self.people.campaign).await?;
        let life = Life {
            ordinal: begun.ordinal + 1,
            previous: begun.worker_id,
            previous_reached: begun.reached,
            campaign: self.people.uuid.into_bytes(),
            seal: seal.map_or([0; 32], |seal| seal.root),
        };
        let journals = self.engine.workspace.journals();
        let made = Journal::create_life(&journals, origin, life, boot, DEFAULT_SEGMENT_SIZE);
        let journal = Arc::new(made.map_err(|error| match error {
            JournalError::Segment(source) => self.no_marks(&source),
            other => other.into(),
        })?);
        // The journal first: a life that the mark knows and no journal tells of would be missed forever.
        let (ordinal, worker_id) = (life.ordinal, origin.worker_id);
        let begins = LifeMark { ordinal, worker_id, reached: Position::default() };
        self.engine.high_water.begin(begins, &journal)?;
        self.engine.store.note_life(life.ordinal, &id.to_string()).await?;
        Ok(journal)
    }

    /// The clean end of a life, everything of it being recorded. Without marks nothing may start, so a
    /// journal that took none is no end of its own, whatever the dispatcher took it for.
    pub(super) fn end_life(&self, journal: &Journal) -> Result<(), EngineError> {
        journal.check().map_err(|error| self.no_marks(&error))?;
        if let Err(error) = journal.close() {
            tracing::warn!(%error, "the journal may not survive this machine");
        }
        Ok(())
    }

    fn no_marks(&self, error: &std::io::Error) -> EngineError {
        let poisoned = error.get_ref().and_then(|inner| inner.downcast_ref());
        let cause = match poisoned {
            Some(JournalError::Poisoned { cause }) => cause.clone(),
            _ => error.to_string(),
        };
        EngineError::NoMarks { folder: self.engine.workspace.journals(), cause }
    }
}
