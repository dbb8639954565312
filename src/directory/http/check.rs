//! The trial run: the endpoint tries a change and takes it back, if it can, and what it holds afterwards
//! is looked at.

use super::HttpDirectory;
use super::message::{Answer, AskedRow};
use crate::directory::batch::{is_taken, refuse_unchanged, sessions_of, trial_rows};
use crate::directory::{CheckReport, Controls, Current, DirectoryError, Forge, Replacement};
use crate::domain::credential::CredentialKind;

impl HttpDirectory {
    pub(super) async fn try_all(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        let client = self.endpoint.lasting();
        let watched = self.controls_now(&client, kind, controls).await?;
        let before = self.currents(&client, "confirm", kind, accounts).await?;
        let mut report = CheckReport {
            asked: accounts.len() as u64,
            read: before.len() as u64,
            sessions: sessions_of(&before),
            ..CheckReport::default()
        };
        let rows = trial_rows(&before, forge, &mut report);
        refuse_unchanged(&rows)?;
        let answers = self.try_rows(kind, &rows).await?;
        report.was_tried = !answers.is_empty() && answers.iter().all(|answer| answer.tried);
        if report.was_tried {
            let swapped: Vec<Replacement> = rows
                .iter()
                .map(|row| Replacement {
                    account: row.account.clone(),
                    current: row.replacement.clone(),
                    replacement: row.current.clone(),
                })
                .collect();
            let stale = self.try_rows(kind, &swapped).await?;
            if stale.iter().any(|answer| answer.changed > 0) {
                let key = "the endpoint's `replace`".to_owned();
                return Err(DirectoryError::NotCompareAndSet { key });
            }
            let asked: Vec<AskedRow<'_>> = rows.iter().map(AskedRow::change).collect();
            for (part, answer) in asked.chunks(self.rows_per_request).zip(answers) {
                report.changed += answer.changed;
                report.sessions_ended += answer.sessions_ended;
                let after = answer.currents("check", kind, part, self.can.counts_sessions)?;
                report.sessions_left += sessions_of(&after);
                report.read_back += count_taken(kind, &rows, &after, part);
            }
        }
        let after = self.currents(&client, "confirm", kind, accounts).await?;
        if !is_as_before(&before, &after) {
            return Err(DirectoryError::NotRolledBack);
        }
        let untouched = self.controls_now(&client, kind, controls).await?;
        controls.check_sessions(&watched, &untouched)?;
        report.controls = controls.len() as u64;
        Ok(report)
    }

    async fn try_rows(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
    ) -> Result<Vec<Answer>, DirectoryError> {
        let asked: Vec<AskedRow<'_>> = rows.iter().map(AskedRow::change).collect();
        let answers = self.ask(&self.endpoint.lasting(), "check", kind, &asked).await?;
        for (part, answer) in asked.chunks(self.rows_per_request).zip(&answers) {
            answer.refusals("check", part)?;
        }
        Ok(answers)
    }
}

/// The rows of this part whose replacement was there while it was tried.
fn count_taken(
    kind: CredentialKind,
    rows: &[Replacement],
    after: &[Current],
    part: &[AskedRow<'_>],
) -> u64 {
    let in_part = |row: &&Replacement| part.iter().any(|asked| asked.is_change(row));
    rows.iter().filter(in_part).filter(|row| is_taken(kind, row, after)).count() as u64
}

/// Whether each account holds the values it held; sessions come and go by themselves.
fn is_as_before(before: &[Current], after: &[Current]) -> bool {
    before.len() == after.len()
        && before
            .iter()
            .all(|was| after.iter().any(|now| now.account == was.account && now.value == was.value))
}
