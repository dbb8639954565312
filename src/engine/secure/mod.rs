//! The kill: every sealed account's exposed credentials are expired, its sessions ended, and both read
//! back (protocol §3). Resumable at any instant: what was committed says what is left.

mod batch;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::batch::Batch;
use super::campaign_file::DirectorySection;
use super::people::People;
use super::plan::{Files, Parts};
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::directory::{CheckReport, Directory, SessionEnd};
use crate::domain::credential::{CredentialKind, ExpiryPolicy};
use crate::domain::track::{ContainmentState, Track};
use crate::secret::campaign_key::CampaignKey;
use crate::secret::replacement::{SecretValue, UnknownScheme, forge_as};
use crate::store::campaigns::CampaignRow;
use crate::store::credentials::Pick;

/// The first batch is small: a wrong statement shows on 20 accounts, not on 500.
const FIRST_BATCH: usize = 20;

/// What a pass came to.
#[derive(Debug, Clone)]
pub struct SecureReport {
    /// `kind/class` → accounts, over the whole seal.
    pub totals: BTreeMap<String, u64>,
    /// Accounts settled by this pass.
    pub settled: u64,
    /// Nobody is pending any more.
    pub is_done: bool,
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
        Ok(Self {
            section: serde_json::from_slice(section).map_err(|_| broken("directory"))?,
            kinds: exposed.credentials,
            window_until: exposed.window_until,
        })
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
    // The stream is cut from one HKDF output: enough for salt and digest of every scheme.
    let mut stream = vec![0; 1_024];
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

impl Engine {
    /// Runs all statements on three sealed accounts and rolls back; refuses what would not work.
    pub(super) async fn check_statements(
        &self,
        row: &CampaignRow,
        people: &People,
        files: &Files,
    ) -> Result<Vec<CheckReport>, EngineError> {
        let section = files.campaign.directory.as_ref().ok_or_else(|| {
            EngineError::refused("the campaign names no directory; hint: add [directory]")
        })?;
        let directory = self.open_directory(section, row.environment).await?;
        Self::check_kinds(&directory, section, &files.incident.exposed().credentials)?;
        let mut accounts = Vec::new();
        let few = directory.capabilities().batch.min(3);
        let few = u32::try_from(few).unwrap_or(3);
        for found in self.store.some_accounts(row.id, few).await? {
            accounts.push(people.open(found.number, &found.body)?.account.as_str().to_owned());
        }
        let mut reports = Vec::new();
        for kind in &files.incident.exposed().credentials {
            let forge =
                |current: &str| replacement(&people.key, &directory, *kind, "check", current);
            reports.push(directory.check(*kind, &accounts, &forge).await?);
        }
        Ok(reports)
    }

    /// Refuses to plan with statements that a trial shows not to work.
    pub(super) fn check_trial(
        kinds: &[CredentialKind],
        section: Option<&DirectorySection>,
        reports: &[CheckReport],
    ) -> Result<(), EngineError> {
        let ends = section.is_some_and(|section| section.sql.sessions.end.is_some());
        for (kind, report) in kinds.iter().zip(reports) {
            let asked = report.read - report.without_value - report.unknown_scheme;
            if *kind != CredentialKind::Session && report.read_back < asked {
                return Err(EngineError::refused(format!(
                    "of {asked} replacements tried with directory.sql.{kind}.expire, the directory \
                     says it changed {} and shows {}; hint: `forthwith directory check`, and mend \
                     the statement",
                    report.changed, report.read_back
                )));
            }
            if ends && report.sessions_left > 0 {
                return Err(EngineError::refused(format!(
                    "after directory.sql.sessions.end, {} of {} sessions were still there; \
                     hint: `forthwith directory check`, and mend the statement",
                    report.sessions_left, report.sessions
                )));
            }
        }
        Ok(())
    }

    fn check_kinds(
        directory: &dyn Directory,
        section: &DirectorySection,
        kinds: &[CredentialKind],
    ) -> Result<(), EngineError> {
        let can = directory.capabilities();
        for kind in kinds {
            if *kind == CredentialKind::Session {
                // Sessions have no value to replace or to spare; they are ended or they are not.
                if can.ends_sessions == SessionEnd::Ended {
                    continue;
                }
                return Err(EngineError::refused(format!(
                    "the incident exposed sessions, but directory `{}` cannot end them; \
                     hint: add directory.sql.sessions.end and .count",
                    section.name
                )));
            }
            if !can.kinds.contains(kind) {
                return Err(EngineError::refused(format!(
                    "the incident exposed credentials of kind {kind}, but directory `{}` has no \
                     statements for it; hint: add [directory.sql.{kind}]",
                    section.name
                )));
            }
            if section.policy == ExpiryPolicy::Respect && !can.reads_change_time(*kind) {
                return Err(EngineError::refused(format!(
                    "policy \"respect\" needs the directory's own change time of kind {kind}; hint: \
                     let directory.sql.{kind}.read return a column `changed_at`, or use \
                     \"expire-anyway\"",
                )));
            }
        }
        Ok(())
    }

    /// `forthwith directory check`: opens the campaign's directory and tries its statements.
    pub async fn check_directory(
        &self,
        name: &str,
    ) -> Result<Vec<(CredentialKind, CheckReport)>, EngineError> {
        let (row, people) = self.people(name).await?;
        let files = self.files(name)?;
        let reports = self.check_statements(&row, &people, &files).await?;
        let kinds = files.incident.exposed().credentials.clone();
        Ok(kinds.into_iter().zip(reports).collect())
    }

    /// The kinds of credentials a campaign secures by its approved containment; none where it has none.
    pub(super) async fn secured_kinds(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<Vec<CredentialKind>, EngineError> {
        if row.containment_digest.is_none() {
            return Ok(Vec::new());
        }
        let approved = self.approved(row, people, Track::Containment).await?;
        Ok(Containment::read(&approved.parts)?.kinds)
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
        Self::check_kinds(&directory, &containment.section, &containment.kinds)?;
        if row.control.containment == ContainmentState::Paused {
            return Err(EngineError::refused(format!(
                "containment of `{name}` is paused; hint: `forthwith containment resume {name}`"
            )));
        }
        self.enter(&row, &people, ContainmentState::Running).await?;
        let mut settled = 0;
        for kind in &containment.kinds {
            let batch = Batch {
                engine: self,
                people: &people,
                directory: &directory,
                containment: &containment,
                kind: *kind,
            };
            settled += self.sweep(&batch, pick, progress, stop).await?;
        }
        self.secure_report(&row, &people, &containment, settled).await
    }

    async fn sweep(
        &self,
        batch: &Batch<'_>,
        pick: Pick,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<u64, EngineError> {
        let key = format!("{}/pending", batch.kind);
        let campaign = batch.people.campaign;
        let totals = self.store.credential_totals(campaign, &[batch.kind.word()]).await?;
        let failed = totals.get(&format!("{}/failed", batch.kind)).copied().unwrap_or(0);
        let total = match pick {
            Pick::Pending => totals.get(&key).copied().unwrap_or(0),
            Pick::Failed => failed,
        };
        progress.begin(&format!("Expiring each {}", batch.kind), Some(total), "accounts");
        let most = batch.containment.section.sql.batch;
        let (mut after, mut done, mut size) = (0, 0, FIRST_BATCH.min(most));
        loop {
            if stop.is_cancelled() || self.containment_paused(campaign).await? {
                break;
            }
            let limit = u32::try_from(size).unwrap_or(u32::MAX);
            let accounts =
                self.store.next_accounts(campaign, batch.kind, pick, after, limit).await?;
            let Some(last) = accounts.last() else { break };
            after = last.number;
            done += batch.run(accounts).await?;
            progress.at(done);
            size = most;
        }
        progress.end();
        Ok(done)
    }

    async fn containment_paused(&self, campaign: i64) -> Result<bool, EngineError> {
        Ok(self.store.control(campaign).await?.containment == ContainmentState::Paused)
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
        Ok(SecureReport { totals, settled, is_done })
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
