//! `campaign recover`: the one way out of a rewind. May die at any instant and be run again: each page is
//! one transaction that a second run finds done, the new incarnation is drawn last, and until the mark says
//! it the database counts as rewound.

use std::path::PathBuf;

use super::evidence::Evidence;
use super::report::RecoverReport;
use super::run::Run;
use super::{RewindCause, Rewound};
use crate::domain::ledger::Entry;
use crate::domain::operator::may_sign;
use crate::engine::campaign_file::DoubtPolicy;
use crate::engine::operators::Signer;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::journal::{HighWater, WorkerLock};
use crate::secret::digest::LpBuilder;
use crate::store::rewinds::NewIncarnation;

/// Where a recovery looks, and what the operator says about the backup.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    /// Further folders with journals.
    pub journals: Vec<PathBuf>,
    /// Which backup it was, in the operator's words.
    pub note: Option<String>,
}

/// How a recovery is run.
pub enum Recover<'a> {
    /// Only looks: nothing is written.
    Look,
    /// Signed by an operator.
    Signed(&'a Signer),
}

impl Engine {
    /// Ends a rewind, or looks what that would come to.
    pub async fn recover(
        &self,
        sought: &Sought,
        how: Recover<'_>,
        progress: &dyn Progress,
    ) -> Result<RecoverReport, EngineError> {
        let _lock = self.worker_lock().await?;
        let _rechecks = WorkerLock::acquire(&self.workspace.recheck_lock())?;
        self.check_keys().await?;
        let Some(rewound) = self.rewound().await? else {
            return self.read_late(sought, how, progress).await;
        };
        if rewound.cause == RewindCause::OtherDatabase {
            return Err(rewound.into());
        }
        let mut evidence = self.evidence(Some(&rewound), &sought.journals).await?;
        let mut run = Run::of(self, matches!(how, Recover::Look)).await?;
        run.describe(&rewound, &evidence);
        let signer = match how {
            Recover::Look => {
                run.read(&evidence, progress).await?;
                run.judge(&mut evidence);
                run.foresee().await?;
                return Ok(run.report);
            }
            Recover::Signed(signer) => signer,
        };
        may_sign(&signer.row.operator, self.clock.now())?;
        self.high_water.hold();
        self.store.open_gate();
        run.pause_all(signer).await?;
        let roots = self.journal_roots(&sought.journals)?;
        let rescued = self.rescue_by(&roots, Some(DoubtPolicy::Hold)).await?;
        run.report.in_flight = rescued.ended + rescued.not_started + rescued.in_doubt;
        run.read(&evidence, progress).await?;
        run.judge(&mut evidence);
        if !run.report.is_proved {
            run.hold_all(progress).await?;
        }
        self.begin_incarnation(&rewound, &evidence, &run.report, sought, signer).await?;
        Ok(run.report)
    }

    /// Journals that turned up when nothing is rewound: they may settle what is in doubt (rule R4).
    async fn read_late(
        &self,
        sought: &Sought,
        how: Recover<'_>,
        progress: &dyn Progress,
    ) -> Result<RecoverReport, EngineError> {
        if sought.journals.is_empty() {
            return Err(EngineError::refused(
                "nothing is rewound: this is the database this workspace used last; hint: \
                 `--journals DIR` reads journals that were found later, and settles doubts by them",
            ));
        }
        let mut run = Run::of(self, matches!(how, Recover::Look)).await?;
        if let Recover::Signed(signer) = how {
            may_sign(&signer.row.operator, self.clock.now())?;
            self.rescue_all().await?;
        }
        let evidence = self.late_evidence(&sought.journals).await?;
        let identity = self.store.identity().await?;
        run.report.from_incarnation = identity.incarnation;
        run.report.to_incarnation = identity.incarnation;
        run.report.is_proved = true;
        run.read(&evidence, progress).await?;
        Ok(run.report)
    }

    /// The last act: a new incarnation with its cause, and the mark that begins from it.
    async fn begin_incarnation(
        &self,
        rewound: &Rewound,
        evidence: &Evidence,
        report: &RecoverReport,
        sought: &Sought,
        signer: &Signer,
    ) -> Result<(), EngineError> {
        let now = self.clock.now();
        let identity = self.store.identity().await?;
        let note = sought.note.clone().unwrap_or_default();
        let cause = format!("{}: {}; {note}", rewound.cause.word(), rewound.words());
        let statement = LpBuilder::new()
            .lp(b"forthwith recovery v1")
            .lp(identity.database_id.as_bytes())
            .number(report.from_incarnation)
            .number(report.to_incarnation)
            .lp(cause.as_bytes())
            .lp(if report.is_proved { b"proved" } else { b"held" })
            .lp(now.as_microsecond().to_string().as_bytes())
            .finish();
        let entry = Entry::Rewound {
            cause: rewound.cause.word(),
            missing_batches: rewound.missing_batches(),
            from: report.from_incarnation,
            to: report.to_incarnation,
            proved: report.is_proved,
            key: signer.ledger_name(),
        };
        let new = NewIncarnation {
            number: report.to_incarnation,
            cause,
            operator_id: signer.row.operator.id,
            signature: *signer.sign(&statement).as_bytes(),
            statement,
            after_life: evidence.after_life,
            is_proved: report.is_proved,
            at: now,
        };
        let drawn = self.store.draw_incarnation(new, vec![entry.line(now)]).await?;
        self.high_water.restart(&HighWater {
            database_id: *identity.database_id.as_bytes(),
            incarnation: report.to_incarnation,
            batch_id: drawn.batch_id,
            batch_sha256: drawn.sha256,
        })?;
        Ok(())
    }
}
