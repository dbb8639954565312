//! The trial run of every statement on real accounts, in a transaction its caller rolls back.

use super::connection::Conn;
use super::{SqlDirectory, refuse_unchanged};
use crate::directory::{CheckReport, DirectoryError, Forge, Replacement};
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
    ) -> Result<CheckReport, DirectoryError> {
        let before = self.read_on(conn, kind, accounts).await?;
        let mut report = CheckReport {
            asked: accounts.len() as u64,
            read: before.len() as u64,
            sessions: before.iter().map(|current| current.sessions).sum(),
            ..CheckReport::default()
        };
        let mut rows = Vec::new();
        for found in &before {
            match found.value.as_ref().map(|current| (current, forge(current.expose()))) {
                None => report.without_value += 1,
                Some((_, Err(_))) => report.unknown_scheme += 1,
                Some((current, Ok(replacement))) => rows.push(Replacement {
                    account: found.account.clone(),
                    current: current.clone(),
                    replacement,
                }),
            }
        }
        refuse_unchanged(&rows)?;
        self.try_stale(conn, kind, &rows).await?;
        report.changed = self.expire(conn, kind, &rows).await?;
        let known: Vec<String> = before.into_iter().map(|current| current.account).collect();
        report.sessions_ended = self.end_on(conn, &known).await?;
        let after = self.read_on(conn, kind, accounts).await?;
        report.sessions_left = after.iter().map(|current| current.sessions).sum();
        let took = |row: &&Replacement| {
            let now = after.iter().find(|current| current.account == row.account);
            now.is_some_and(|now| now.value.as_ref() == Some(&row.replacement))
        };
        report.read_back = rows.iter().filter(took).count() as u64;
        Ok(report)
    }
}
