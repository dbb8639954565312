//! The kill: every sealed account's exposed credentials are expired, its sessions ended, and both read
//! back (protocol §3). Resumable at any instant: what was committed says what is left.

mod anew;
mod apart;
mod batch;
mod dry_run;
mod exempt;
mod forget;
mod give_up;
mod pass;
mod pipeline;
mod reading;
mod recheck;
mod reset;
mod safety;
mod settle;
mod statements;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

pub use dry_run::DryRun;
pub use recheck::{OVERDUE_AFTER, RecheckReport};
pub use reset::ResetEnd;
pub(super) use reset::{Company, Sealed, Wanted};

use self::pass::{Pass, Stop};
use super::campaign_file::DirectorySection;
use super::people::People;
use super::plan::{Files, PRESET_PART, Parts};
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::directory::Directory;
use crate::domain::credential::CredentialKind;
use crate::domain::track::{ContainmentPause, ContainmentState, Track};
use crate::secret::campaign_key::CampaignKey;
use crate::secret::replacement::{SecretValue, UnknownScheme, forge_as};
use crate::store::campaigns::{CampaignRow, Control};
use crate::store::containments::ContainmentStop;
use crate::store::credentials::Pick;

/// What a pass came to.
#[derive(Debug, Clone)]
pub struct SecureReport {
    /// `kind/class` → accounts, over the whole seal.
    pub totals: BTreeMap<String, u64>,
    /// Accounts settled by this pass.
    pub settled: u64,
    /// Nobody is pending any more.
    pub is_done: bool,
    /// The pass stopped after its first batch, which came to this.
    pub paused: Option<String>,
    /// `give_up_after` is over: whoever is not secured is told so.
    pub gave_up: bool,
}

/// The approved containment, read back from its bytes.
pub(super) struct Containment {
    pub section: DirectorySection,
    pub kinds: Vec<CredentialKind>,
    pub window_until: Timestamp,
}

#[derive(Deserialize)]
struct ExposedPart {
    credentials: Vec<CredentialKind>,
    window_until: Timestamp,
}

impl Containment {
    /// As the files are now, for who only looks.
    fn of_files(files: &Files) -> Result<Self, EngineError> {
        let section = files.campaign.directory.clone().ok_or_else(no_directory)?;
        Ok(Self {
            section,
            kinds: files.incident.exposed().credentials.clone(),
            window_until: files.incident.window().until.timestamp(),
        })
    }

    /// What expires a kind, for messages.
    fn expiry(&self, kind: CredentialKind) -> String {
        self.section.adapter().map(|adapter| adapter.expiry(kind)).unwrap_or_default()
    }

    fn read(parts: &Parts) -> Result<Self, EngineError> {
        let part = |ending: &str| {
            parts.iter().find(|(name, _)| name.ends_with(ending)).map(|(_, bytes)| bytes.as_slice())
        };
        let broken =
            |what: &str| EngineError::Broken(format!("the approved {what} cannot be read"));
        let section = part("[directory]").ok_or_else(|| broken("directory"))?;
        let exposed = part("window]").ok_or_else(|| broken("credentials"))?;
        let exposed: ExposedPart =
            serde_json::from_slice(exposed).map_err(|_| broken("credentials"))?;
        let section: DirectorySection =
            serde_json::from_slice(section).map_err(|_| broken("directory"))?;
        let planned = parts.get(PRESET_PART).map(Vec::as_slice);
        if section.preset_statements().as_deref().map(str::as_bytes) != planned {
            return Err(EngineError::refused(
                "the directory's preset has other statements in this version than were approved; hint: \
                 plan and approve containment anew, or use the version that planned it",
            ));
        }
        Ok(Self { section, kinds: exposed.credentials, window_until: exposed.window_until })
    }
}

/// Forges the replacement of a stored value: well-formed, known to nobody, the same at every retry.
pub(super) fn replacement(
    key: &CampaignKey,
    directory: &dyn Directory,
    kind: CredentialKind,
    account: &str,
    current: &str,
) -> Result<SecretValue, UnknownScheme> {
    let seen = key.seen(current.as_bytes());
    // The stream is cut from one HKDF output, whose first bytes do not depend on how many are drawn: no
    // more is drawn than the value has, but for a password in clear, whose replacement has 36 bytes; and
    // 1,024 are enough for salt and digest of every scheme.
    let mut stream = vec![0; current.len().clamp(64, 1_024)];
    let drawn = key.expiry_bytes(account.as_bytes(), kind.word(), &seen, &mut stream);
    debug_assert!(drawn.is_ok(), "1,024 bytes are within HKDF's reach");
    let mut at = 0;
    forge_as(directory.scheme(kind), current, &mut |out: &mut [u8]| {
        for byte in out {
            *byte = stream[at % stream.len()];
            at += 1;
        }
    })
}

fn no_directory() -> EngineError {
    EngineError::refused("the campaign names no directory; hint: add [directory]")
}

/// The refusal while containment is paused: why, and how to go on.
fn paused(name: &str, control: &Control) -> EngineError {
    let cause = match (control.containment_cause, &control.containment_note) {
        (Some(cause), Some(note)) => format!(" ({cause}: {note})"),
        (Some(cause), None) => format!(" ({cause})"),
        (None, _) => String::new(),
    };
    if control.containment == ContainmentState::Approved {
        return EngineError::refused(format!(
            "containment of `{name}` was approved anew; hint: `forthwith secure run {name}` goes on by \
             what was approved"
        ));
    }
    let or = if anew::may_change(control) { or_anew(name) } else { String::new() };
    EngineError::refused(format!(
        "containment of `{name}` is paused{cause}; hint: `forthwith containment resume {name}`{or}"
    ))
}

/// The other way on, where the statements themselves are wrong.
fn or_anew(name: &str) -> String {
    format!(
        ", or, where a statement has to change, `forthwith containment plan {name}` and two `forthwith \
         containment approve {name}`"
    )
}

impl Engine {
    /// The kinds of credentials a campaign secures by its approved containment; none where it has none.
    pub(super) async fn secured_kinds(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<Vec<CredentialKind>, EngineError> {
        let containment = self.approved_containment(row, people).await?;
        Ok(containment.map(|it| it.kinds).unwrap_or_default())
    }

    /// A campaign's approved containment, where it has one.
    pub(super) async fn approved_containment(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<Option<Containment>, EngineError> {
        if row.containment_digest.is_none() {
            return Ok(None);
        }
        let approved = self.approved(row, people, Track::Containment).await?;
        Containment::read(&approved.parts).map(Some)
    }

    /// Expires what is pending (or failed before), until nothing is left, paused or stopped.
    pub async fn secure(
        &self,
        name: &str,
        pick: Pick,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<SecureReport, EngineError> {
        let (row, people) = self.people(name).await?;
        let approved = self.approved(&row, &people, Track::Containment).await?;
        self.check_launched(&row, Track::Containment).await?;
        self.warn_of_drift(&row, &people, Track::Containment, &approved, progress).await;
        let containment = Containment::read(&approved.parts)?;
        let directory = self.open_directory(&containment.section, row.environment).await?;
        Self::check_kinds(directory.as_ref(), &containment.section, &containment.kinds)?;
        if row.control.containment == ContainmentState::Paused {
            return Err(paused(name, &row.control));
        }
        let (section, kinds) = (&containment.section, &containment.kinds);
        let safety = self.safety(&people, section, directory.as_ref(), kinds).await?;
        self.enter(&row, &people, ContainmentState::Running).await?;
        self.store.begin_pass(row.id).await?;
        let gave_up = self.gave_up(row.id, section).await?;
        let (engine, people, directory) = (self, &people, directory.as_ref());
        let (containment, safety) = (&containment, &safety);
        let pass = Pass { engine, people, directory, containment, safety, progress, stop, gave_up };
        let mut settled = 0;
        let ended = pass.run(pick, &mut settled).await;
        let paused = match self.after(people, settled, ended).await? {
            Some(stop) => {
                self.pause_pass(people, &stop).await?;
                Some(stop.note)
            }
            None => None,
        };
        if gave_up {
            self.release_unsecured(people).await?;
        }
        let report = self.secure_report(&row, people, containment, settled).await?;
        Ok(SecureReport { paused, gave_up, ..report })
    }

    /// What the end of a pass asks for: nothing, or a pause to look at the first batch. Whatever shows
    /// that a statement is wrong pauses the track and is an error.
    async fn after(
        &self,
        people: &People,
        settled: u64,
        ended: Result<Option<Stop>, EngineError>,
    ) -> Result<Option<Stop>, EngineError> {
        let (stop, hint) = match ended {
            Ok(Some(stop)) if stop.cause != ContainmentPause::FirstBatch => {
                (stop, "`forthwith directory check` and `forthwith credential list` show more")
            }
            Ok(stop) => return Ok(stop),
            Err(EngineError::Directory(error)) if error.is_alarming() => {
                let cause = match &error {
                    crate::directory::DirectoryError::ControlChanged { .. } => {
                        ContainmentPause::ControlAccount
                    }
                    _ => ContainmentPause::Statement,
                };
                let hint = error.hint().unwrap_or("mend the statement");
                (Stop { cause, note: error.to_string() }, hint)
            }
            Err(error) => return Err(error),
        };
        self.pause_pass(people, &stop).await?;
        let name = &people.name;
        Err(EngineError::refused(format!(
            "containment of `{name}` has paused itself, {settled} credentials settled in this pass: {}; \
             hint: {hint}; once you know why, `forthwith containment resume {name}`{}; then \
             `forthwith secure run {name}`",
            stop.note,
            or_anew(name)
        )))
    }

    async fn pause_pass(&self, people: &People, stop: &Stop) -> Result<(), EngineError> {
        let now = self.store.control(people.campaign).await?.containment;
        let by = format!("engine:{}", stop.cause);
        let to = ContainmentState::Paused;
        let entry = people.track_moved(Track::Containment, now.word(), to.word(), &by);
        let change =
            ContainmentStop { from: vec![now], cause: stop.cause, note: stop.note.clone() };
        if now != to {
            let lines = vec![entry.line(self.clock.now())];
            self.store.pause_containment(people.campaign, change, lines).await?;
        }
        Ok(())
    }

    /// Whether a pass or re-check under way has to stop: paused, or something else was approved since.
    async fn is_called_off(&self, campaign: i64) -> Result<bool, EngineError> {
        let stands = self.store.control(campaign).await?.containment;
        Ok(!matches!(stands, ContainmentState::Running | ContainmentState::Done))
    }

    async fn secure_report(
        &self,
        row: &CampaignRow,
        people: &People,
        containment: &Containment,
        settled: u64,
    ) -> Result<SecureReport, EngineError> {
        let words: Vec<&str> = containment.kinds.iter().map(|kind| kind.word()).collect();
        let totals = self.store.credential_totals(row.id, &words).await?;
        let is_done = words.iter().all(|kind| totals.get(&format!("{kind}/pending")) == Some(&0));
        if is_done {
            self.enter(row, people, ContainmentState::Done).await?;
        }
        Ok(SecureReport { totals, settled, is_done, paused: None, gave_up: false })
    }

    /// Moves the containment track forward; entering the state it stands in changes nothing.
    async fn enter(
        &self,
        row: &CampaignRow,
        people: &People,
        to: ContainmentState,
    ) -> Result<(), EngineError> {
        let now = self.store.control(row.id).await?.containment;
        if now == to || now == ContainmentState::Paused {
            return Ok(());
        }
        let entry = people.track_moved(Track::Containment, now.word(), to.word(), "engine");
        self.store.move_containment(row.id, &[now], to, vec![entry.line(self.clock.now())]).await?;
        Ok(())
    }
}
