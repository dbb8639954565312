//! [`Directory`] on LDAP: a connection for each of its calls, a new one where it reads back, and a look at the
//! control accounts before and after whatever is written.

use std::collections::HashMap;

use async_trait::async_trait;
use ldap3::Scope;

use super::connection::Conn;
use super::error::LdapFault;
use super::write::{Change, Purpose, Trial, changes};
use super::{LdapDirectory, MARKER};
use crate::directory::batch::{admit, refuse_unchanged, trial_rows};
use crate::directory::{
    Capabilities, CheckReport, Controls, Current, Directory, DirectoryError, Forge, Replacement,
};
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

fn passwords(kind: CredentialKind) -> Result<(), LdapFault> {
    if kind == CredentialKind::Password { Ok(()) } else { Err(LdapFault::Kind(kind)) }
}

impl LdapDirectory {
    async fn currents(
        &self,
        conn: &Conn,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        let found = self.entries(conn, accounts).await?;
        Ok(found.into_iter().flat_map(super::entry::Entry::into_currents).collect())
    }

    /// What these accounts hold; `is_anew`: over a connection that no call before had.
    async fn read_by(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        is_anew: bool,
    ) -> Result<Vec<Current>, DirectoryError> {
        passwords(kind)?;
        admit(self.batch, accounts.iter().map(String::as_str))?;
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let conn = if is_anew { self.login.open().await? } else { self.login.any().await? };
        let found = self.currents(&conn, accounts).await?;
        self.login.leave(conn).await;
        Ok(found)
    }

    async fn check_controls(&self, conn: &Conn, controls: &Controls) -> Result<(), DirectoryError> {
        if controls.is_empty() {
            return Ok(());
        }
        controls.check_values(&self.currents(conn, controls.accounts()).await?)
    }

    /// Which entry each change is of; accounts that are gone have none.
    async fn targets<'a, 'c>(
        &self,
        conn: &Conn,
        changes: &'c [Change<'a>],
    ) -> Result<Vec<(String, &'c Change<'a>)>, DirectoryError> {
        let accounts: Vec<String> =
            changes.iter().map(|change| change.account.to_owned()).collect();
        let entries = self.entries(conn, &accounts).await?;
        let mut names: HashMap<String, String> =
            entries.into_iter().map(|entry| (entry.account, entry.dn)).collect();
        Ok(changes
            .iter()
            .filter_map(|change| Some((names.remove(change.account)?, change)))
            .collect())
    }

    async fn write_rows(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
        purpose: Purpose,
    ) -> Result<u64, DirectoryError> {
        passwords(kind)?;
        let changes = changes(rows);
        admit(self.batch, changes.iter().map(|change| change.account))?;
        refuse_unchanged(rows)?;
        if rows.is_empty() {
            return Ok(0);
        }
        let conn = self.login.any().await?;
        // side by side: over a far wire each look costs a round trip
        let (unchanged, targets) =
            tokio::join!(self.check_controls(&conn, controls), self.targets(&conn, &changes));
        unchanged?;
        let targets = targets?;
        let written = self.write(&conn, &targets, purpose).await;
        if let Err(fault @ (LdapFault::Lost { .. } | LdapFault::Slow { .. })) = written {
            return Err(fault.into());
        }
        // What was changed stays changed; that a control account was is the graver news.
        self.check_controls(&conn, controls).await?;
        self.login.leave(conn).await;
        Ok(written?)
    }

    async fn check_on(
        &self,
        conn: &Conn,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        self.check_controls(conn, controls).await?;
        let before = self.currents(conn, accounts).await?;
        let mut known: Vec<&str> = before.iter().map(|now| now.account.as_str()).collect();
        known.dedup();
        let mut report = CheckReport {
            asked: accounts.len() as u64,
            read: known.len() as u64,
            ..CheckReport::default()
        };
        let rows = trial_rows(&before, forge, &mut report);
        let changes = changes(&rows);
        for (dn, change) in self.targets(conn, &changes).await? {
            if self.rehearse(conn, &dn, change).await? == Trial::NotCompared {
                let key = "the LDAP server".to_owned();
                return Err(DirectoryError::NotCompareAndSet { key });
            }
        }
        self.check_controls(conn, controls).await?;
        report.controls = controls.len() as u64;
        Ok(report)
    }
}

#[async_trait]
impl Directory for LdapDirectory {
    async fn rehearsal_marker(&self) -> Result<Option<String>, DirectoryError> {
        let conn = self.login.open().await?;
        let base = format!("{MARKER},{}", self.base);
        let place = (base.as_str(), Scope::Base, "(objectClass=*)");
        let found = conn.search("looking for the marker", place, &["description"], 1).await?;
        conn.close().await;
        let Some(entry) = found.into_iter().flatten().next() else { return Ok(None) };
        let mut said: Vec<String> = entry.attrs.into_values().flatten().collect();
        match said.len() {
            0 if entry.bin_attrs.is_empty() => Ok(Some(String::new())),
            1 if entry.bin_attrs.is_empty() => Ok(said.pop()),
            several => Err(LdapFault::Marker(several).into()),
        }
    }

    async fn read(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.read_by(kind, accounts, false).await
    }

    async fn replace(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.write_rows(kind, rows, controls, Purpose::Expire).await
    }

    async fn set(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.write_rows(kind, rows, controls, Purpose::Set).await
    }

    async fn end_sessions(
        &self,
        _: CredentialKind,
        _: &[String],
        _: &Controls,
    ) -> Result<u64, DirectoryError> {
        Err(LdapFault::Kind(CredentialKind::Session).into())
    }

    async fn confirm(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.read_by(kind, accounts, true).await
    }

    async fn check(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        passwords(kind)?;
        admit(self.batch, accounts.iter().map(String::as_str))?;
        let conn = self.login.open().await?;
        let report = self.check_on(&conn, accounts, forge, controls).await;
        conn.close().await;
        report
    }

    fn capabilities(&self) -> Capabilities {
        let passwords = vec![CredentialKind::Password];
        Capabilities {
            change_time: if self.changed_at.is_some() { passwords.clone() } else { Vec::new() },
            kinds: passwords,
            counts_sessions: false,
            ends_sessions: self.ends_sessions,
            batch: self.batch,
        }
    }

    fn scheme(&self, _: CredentialKind) -> Scheme {
        self.scheme
    }

    fn password_form(&self) -> PasswordForm {
        self.form
    }

    fn logs_in_as(&self) -> Option<String> {
        self.own_account.clone()
    }
}
