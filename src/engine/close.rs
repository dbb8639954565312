//! `campaign close`: the checklist of what has to be true, then the end.

use serde::Serialize;

use super::operators::Signer;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::credential::CredentialClass;
use crate::domain::track::NoticeState;
use crate::journal::WorkerLock;
use crate::store::acts::ActKind;

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What has to be true.
    pub what: &'static str,
    /// Whether it is.
    pub holds: bool,
    /// What stands in the way, with a hint; empty where it holds.
    pub because: String,
}

impl Check {
    fn new(what: &'static str, obstacle: Option<String>) -> Self {
        Self { what, holds: obstacle.is_none(), because: obstacle.unwrap_or_default() }
    }
}

impl Engine {
    /// What has to be true before a campaign can be closed, each with whether it is.
    pub async fn closing_checks(&self, name: &str) -> Result<Vec<Check>, EngineError> {
        let status = self.standing(name).await?;
        let (people, mut checks) = (&status.deliveries, Vec::new());
        let ended = status.notice == NoticeState::SendingFinished.word() && people.is_sent();
        checks.push(Check::new(
            "sending is finished",
            (!ended).then(|| {
                format!(
                    "the notice is {}, {} people wait for the machine; hint: `forthwith campaign run {name}`",
                    status.notice,
                    people.machine_open() + people.copies.machine_open
                )
            }),
        ));
        let open = people.person_open();
        checks.push(Check::new(
            "everybody is told, withdrawn, or waived by name",
            (open > 0).then(|| {
                format!(
                    "{open} people wait for somebody to act; hint: `forthwith delivery list {name}`, \
                     then `forthwith delivery resolve` or `forthwith amendment`"
                )
            }),
        ));
        let unsettled: u64 = status
            .credentials
            .iter()
            .filter(|(label, _)| label.split('/').nth(1).is_some_and(is_unsettled))
            .map(|(_, count)| count)
            .sum();
        checks.push(Check::new(
            "every credential is settled",
            (unsettled > 0).then(|| {
                format!(
                    "{unsettled} credentials are pending, failed or regressed; hint: `forthwith \
                     credential list {name}`"
                )
            }),
        ));
        let worker = WorkerLock::holder(&self.workspace.worker_lock());
        checks.push(Check::new(
            "no worker is running",
            worker.map(|pid| format!("worker {pid} is running; hint: stop it first")),
        ));
        Ok(checks)
    }

    /// Closes a campaign of which every check holds; its personal links end with it, and so do the replaced
    /// passwords that the company kept.
    pub async fn close(
        &self,
        name: &str,
        signer: &Signer,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        if row.control.notice == NoticeState::Closed {
            return Err(EngineError::refused(format!(
                "campaign `{name}` is closed already; hint: `forthwith campaign status {name}`"
            )));
        }
        let checks = self.closing_checks(name).await?;
        let open: Vec<&str> = checks
            .iter()
            .filter(|check| !check.holds)
            .map(|check| check.because.as_str())
            .collect();
        if !open.is_empty() {
            return Err(EngineError::refused(format!(
                "campaign `{name}` cannot be closed yet: {}; hint: `forthwith campaign close {name}` \
                 lists what is open",
                open.join("; ")
            )));
        }
        // before the end is written: a close that died here is asked for again
        self.forget_replaced(name, progress).await?;
        let change = (row.control.notice, NoticeState::Closed);
        self.act(&people, ActKind::Close, change, "every check holds", signer).await
    }
}

fn is_unsettled(class: &str) -> bool {
    CredentialClass::parse(class).is_some_and(|class| {
        matches!(
            class,
            CredentialClass::Pending | CredentialClass::Failed | CredentialClass::Regressed
        )
    })
}
