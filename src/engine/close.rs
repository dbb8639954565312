//! `campaign close`: the checklist of what has to be true, then the end.

use serde::Serialize;

use super::operators::Signer;
use super::progress::Progress;
use super::report::Status;
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
    /// Whether the campaign may be closed without it, for a reason that is signed.
    pub may_be_left: bool,
}

impl Check {
    fn new(what: &'static str, obstacle: Option<String>) -> Self {
        let (holds, because) = (obstacle.is_none(), obstacle.unwrap_or_default());
        Self { what, holds, because, may_be_left: false }
    }

    /// Whether it keeps a campaign open that is closed with a reason to leave things, or without one.
    pub fn is_open(&self, leaves: bool) -> bool {
        !(self.holds || self.may_be_left && leaves)
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
        checks.push(Check::new("every credential is settled", unsettled(name, &status)));
        checks.push(self.events_check(name).await?);
        let worker = WorkerLock::holder(&self.workspace.worker_lock());
        checks.push(Check::new(
            "no worker is running",
            worker.map(|pid| format!("worker {pid} is running; hint: stop it first")),
        ));
        Ok(checks)
    }

    async fn events_check(&self, name: &str) -> Result<Check, EngineError> {
        let waiting = self.store.waiting_events(self.campaign(name).await?.id).await?;
        let obstacle = waiting.map(|events| {
            format!(
                "{} resets wait for the company's endpoint, the oldest since {}, and a closed campaign \
                 is served by no portal; hint: let `forthwith portal serve` tell them, or `forthwith \
                 campaign close {name} --leave WHY`",
                events.waiting, events.since
            )
        });
        Ok(Check {
            may_be_left: true,
            ..Check::new("no reset waits to be told to the company", obstacle)
        })
    }

    /// Closes a campaign of which every check holds; its personal links end with it, and so do the replaced
    /// passwords that the company kept. A reason to `leave` things closes it also where the company's endpoint
    /// did not take all resets or its directory is out of reach; it is signed, with what was left.
    pub async fn close(
        &self,
        name: &str,
        leave: Option<&str>,
        signer: &Signer,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        if row.control.notice == NoticeState::Closed {
            return Err(EngineError::refused(format!(
                "campaign `{name}` is closed already; hint: `forthwith campaign status {name}`"
            )));
        }
        if leave.is_some_and(|why| why.trim().is_empty()) {
            return Err(EngineError::refused(
                "things are left for no reason; hint: say why in `--leave`, it is signed",
            ));
        }
        let checks = self.closing_checks(name).await?;
        let open: Vec<&str> = checks
            .iter()
            .filter(|check| check.is_open(leave.is_some()))
            .map(|check| check.because.as_str())
            .collect();
        if !open.is_empty() {
            return Err(EngineError::refused(format!(
                "campaign `{name}` cannot be closed yet: {}; hint: `forthwith campaign close {name}` \
                 lists what is open",
                open.join("; ")
            )));
        }
        let mut left: Vec<&str> =
            checks.iter().filter(|check| !check.holds).map(|check| check.what).collect();
        // before the end is written: a close that died here is asked for again
        match self.forget_replaced(name, progress).await {
            Ok(_) => {}
            Err(error) if leave.is_some() => {
                tracing::warn!(%error, "what the company keeps of replaced passwords stays there");
                left.push("the company keeps no replaced password");
            }
            Err(error) => return Err(unforgotten(name, &error)),
        }
        let reason = match leave {
            Some(why) if !left.is_empty() => format!("left: {}; {why}", left.join(", ")),
            _ => "every check holds".to_owned(),
        };
        let change = (row.control.notice, NoticeState::Closed);
        self.act(&people, ActKind::Close, change, &reason, signer).await
    }
}

fn unforgotten(name: &str, error: &EngineError) -> EngineError {
    let said = error.to_string();
    let cause = said.split("; hint: ").next().unwrap_or_default();
    EngineError::refused(format!(
        "campaign `{name}` stays open: what the company keeps of replaced passwords could not be destroyed: \
         {cause}; hint: `forthwith campaign close {name} --leave WHY` where that directory is gone for good"
    ))
}

fn unsettled(name: &str, status: &Status) -> Option<String> {
    let open = status
        .credentials
        .iter()
        .filter(|(label, _)| label.split('/').nth(1).is_some_and(is_unsettled));
    let count: u64 = open.map(|(_, count)| count).sum();
    (count > 0).then(|| {
        format!(
            "{count} credentials are pending, failed or regressed; hint: `forthwith credential list \
             {name}`"
        )
    })
}

fn is_unsettled(class: &str) -> bool {
    CredentialClass::parse(class).is_some_and(|class| {
        matches!(
            class,
            CredentialClass::Pending | CredentialClass::Failed | CredentialClass::Regressed
        )
    })
}
