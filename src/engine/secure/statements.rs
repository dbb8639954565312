//! The operator's statements before they are trusted: what they must be able to do, and a trial on three
//! sealed accounts that is rolled back.

use super::replacement;
use crate::directory::{CheckReport, Directory, SessionEnd};
use crate::domain::credential::{CredentialKind, ExpiryPolicy};
use crate::engine::campaign_file::{Adapter, DirectorySection};
use crate::engine::people::People;
use crate::engine::plan::Files;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;

impl Engine {
    /// Runs all statements on three sealed accounts and rolls back; refuses what would not work.
    pub(in crate::engine) async fn check_statements(
        &self,
        row: &CampaignRow,
        people: &People,
        files: &Files,
    ) -> Result<Vec<CheckReport>, EngineError> {
        let section = files.campaign.directory.as_ref().ok_or_else(super::no_directory)?;
        let kinds = &files.incident.exposed().credentials;
        let directory = self.open_directory(section, row.environment).await?;
        Self::check_kinds(directory.as_ref(), section, kinds)?;
        let safety = self.safety(people, section, directory.as_ref(), kinds).await?;
        let mut accounts = Vec::new();
        let few = directory.capabilities().batch.min(3);
        let few = u32::try_from(few).unwrap_or(3);
        for found in self.store.some_accounts(row.id, few).await? {
            accounts.push(people.open(found.number, &found.body)?.account.as_str().to_owned());
        }
        let mut reports = Vec::new();
        for kind in kinds {
            let forge = |current: &str| {
                replacement(&people.key, directory.as_ref(), *kind, "check", current)
            };
            reports.push(directory.check(*kind, &accounts, &forge, safety.controls(*kind)).await?);
        }
        Ok(reports)
    }

    /// Refuses to plan with statements that a trial shows not to work.
    pub(in crate::engine) fn check_trial(
        kinds: &[CredentialKind],
        section: Option<&DirectorySection>,
        reports: &[CheckReport],
    ) -> Result<(), EngineError> {
        let adapter = section.and_then(DirectorySection::adapter);
        let is_sql = matches!(adapter, Some(Adapter::Sql(_)));
        // whoever says that they ended sessions in a trial has to show none
        let may_end = match adapter {
            Some(Adapter::Sql(sql)) => sql.sessions.end.is_some(),
            Some(Adapter::Http(_)) => true,
            // these try nothing that would have to be taken back
            Some(Adapter::Ldap(_) | Adapter::Keycloak(_) | Adapter::Kratos(_)) | None => false,
        };
        for (kind, report) in kinds.iter().zip(reports) {
            let asked = report.read - report.without_value - report.unknown_scheme;
            if !report.was_tried {
                continue;
            }
            if *kind != CredentialKind::Session && report.read_back < asked {
                return Err(EngineError::refused(format!(
                    "of {asked} replacements tried with {}, the directory says it changed {} and shows \
                     {}; hint: `forthwith directory check`, and mend the statement",
                    adapter.map(|adapter| adapter.expiry(*kind)).unwrap_or_default(),
                    report.changed,
                    report.read_back
                )));
            }
            let ends = may_end && (is_sql || report.sessions_ended > 0);
            if ends && report.sessions_left > 0 {
                return Err(EngineError::refused(format!(
                    "after {}, {} of {} sessions were still there; hint: `forthwith directory check`, and \
                     mend the statement",
                    if is_sql { "directory.sql.sessions.end" } else { "they were ended" },
                    report.sessions_left,
                    report.sessions
                )));
            }
        }
        Ok(())
    }

    pub(super) fn check_kinds(
        directory: &dyn Directory,
        section: &DirectorySection,
        kinds: &[CredentialKind],
    ) -> Result<(), EngineError> {
        let can = directory.capabilities();
        let Some(adapter) = section.adapter() else { return Err(super::no_directory()) };
        if let Some(fallen) = section.fallen_factor(kinds) {
            return Err(EngineError::refused(fallen));
        }
        for kind in kinds {
            if *kind == CredentialKind::Session {
                // Sessions have no value to replace or to spare; they are ended or they are not.
                if can.ends_sessions == SessionEnd::Ended {
                    continue;
                }
                if can.ends_sessions == SessionEnd::WithPassword {
                    return Err(EngineError::refused(format!(
                        "the sessions of directory `{}` end with the password they were opened by, and \
                         can't be counted or ended by themselves; hint: take `session` out of \
                         exposed.credentials and leave `password` in",
                        section.name
                    )));
                }
                return Err(EngineError::refused(format!(
                    "the incident exposed sessions, but directory `{}` cannot end them; \
                     hint: {}",
                    section.name,
                    adapter.for_sessions()
                )));
            }
            if !can.kinds.contains(kind) {
                return Err(EngineError::refused(format!(
                    "the incident exposed credentials of kind {kind}, but directory `{}` has no \
                     statements for it; hint: {}",
                    section.name,
                    adapter.for_kind(*kind)
                )));
            }
            if section.policy == ExpiryPolicy::Respect && !can.reads_change_time(*kind) {
                return Err(EngineError::refused(format!(
                    "policy \"respect\" needs the directory's own change time of kind {kind}; hint: \
                     {}, or use \"expire-anyway\"",
                    adapter.for_change_time(*kind)
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

    /// What an operator should know of these statements before they sign them.
    pub(in crate::engine) fn statement_notes(
        section: &DirectorySection,
        files: &Files,
    ) -> Vec<String> {
        let kinds = &files.incident.exposed().credentials;
        let silence = section.adapter().and_then(|adapter| adapter.silence(kinds));
        let mut notes = Vec::new();
        if let Some(silence) = silence {
            notes.push(format!(
                "{silence}: a re-check has no evidence of a value that somebody set anew elsewhere, takes \
                 it for one that came back, and expires it again"
            ));
        }
        if !matches!(section.adapter(), Some(Adapter::Sql(_)) | None) {
            notes.push(format!(
                "{} has no transactions that we could take back: what was replaced before something is \
                 found wrong stays replaced",
                section.adapter().map(Adapter::key).unwrap_or_default()
            ));
        }
        if kinds.contains(&CredentialKind::Password) && !section.keeps_replaced() {
            notes.push(
                "nobody can tell at the portal whether a new password is the stolen one: no old value is kept \
                 by us, and [directory.sql.archive] is not set"
                    .to_owned(),
            );
        }
        if section.control_accounts.is_empty() {
            notes.push("directory.control_accounts is empty: live needs at least one".to_owned());
        }
        notes
    }
}
