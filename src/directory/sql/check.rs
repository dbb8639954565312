//! The trial run of every statement on real accounts, in a transaction its caller rolls back.

use super::SqlDirectory;
use super::connection::Conn;
use crate::directory::batch::{is_taken, refuse_unchanged, sessions_of, trial_rows};
use crate::directory::{CheckReport, Controls, DirectoryError, Forge, Replacement};
use crate::domain::credential::CredentialKind;

impl SqlDirectory {
    /// A compare-and-set whose `current` no account has: it must change nothing.
    async fn try_stale(
        &self,
        conn: &mut Conn,
        kind: CredentialKind,
        rows: &[Replacement],
    ) -> Result<(), DirectoryError> {
        let swapped: Vec<Replacement> = rows
            .iter()
            .map(|row| Replacement {
                account: row.account.clone(),
                current: row.replacement.clone(),
                replacement: row.current.clone(),
            })
            .collect();
        if self.expire(conn, kind, &swapped).await? > 0 {
            let key = format!("directory.sql.{kind}.expire");
            return Err(DirectoryError::NotCompareAndSet { key });
        }
        Ok(())
    }

    pub(super) async fn check_on(
        &self,
        conn: &mut Conn,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        let watched = self.read_controls(conn, kind, controls).await?;
        controls.check_values(&watched)?;
        let before = self.read_on(conn, kind, accounts).await?;
        let mut report = CheckReport {
            was_tried: true,
            asked: accounts.len() as u64,
            read: before.len() as u64,
            sessions: sessions_of(&before),
            ..CheckReport::default()
        };
        let rows = trial_rows(&before, forge, &mut report);
        refuse_unchanged(&rows)?;
        self.try_stale(conn, kind, &rows).await?;
        report.changed = self.expire(conn, kind, &rows).await?;
        self.try_archive(conn, kind, &rows).await?;
        let mut known: Vec<String> = before.into_iter().map(|current| current.account).collect();
        known.dedup();
        report.sessions_ended = self.end_on(conn, &known).await?;
        let after = self.read_on(conn, kind, accounts).await?;
        report.sessions_left = sessions_of(&after);
        report.read_back = rows.iter().filter(|row| is_taken(kind, row, &after)).count() as u64;
        let untouched = self.read_controls(conn, kind, controls).await?;
        controls.check_values(&untouched)?;
        controls.check_sessions(&watched, &untouched)?;
        report.controls = controls.len() as u64;
        Ok(report)
    }
}
