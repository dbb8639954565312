//! [`Directory`] on an identity server: accounts side by side, each by requests of its own, between two looks
//! at the control accounts where it writes. There are no transactions: what was changed stays changed.

use async_trait::async_trait;
use reqwest::Client;

use super::backend::{Backend, Found, Written, knows};
use super::fault::RestFault;
use crate::directory::batch::{accounts_of, admit, refuse_unchanged};
use crate::directory::{
    Capabilities, CheckReport, Chosen, Controls, Current, Directory, DirectoryError, Forge,
    Replacement, concurrent,
};
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::{Scheme, SecretValue};

const REPLACING: &str = "replacing passwords";
const ENDING: &str = "ending sessions";

/// An identity server that is spoken to by its admin API.
pub struct Served<B>(pub(in crate::directory) B);

impl<B> std::fmt::Debug for Served<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl<B: Backend> Served<B> {
    fn admit(&self, kind: CredentialKind, accounts: &[String]) -> Result<(), DirectoryError> {
        knows(B::TABLE, kind)?;
        admit(self.0.bounds().batch, accounts.iter().map(String::as_str))
    }

    pub(super) async fn currents(
        &self,
        client: &Client,
        kind: CredentialKind,
        accounts: &[String],
        with_sessions: bool,
    ) -> Result<Vec<Current>, DirectoryError> {
        let counts = with_sessions || kind == CredentialKind::Session;
        let found = self.0.found(client, accounts, counts).await?;
        Self::refuse_one_user_twice(accounts, &found)?;
        let mut found: Vec<Current> = found.into_iter().map(|one| one.current).collect();
        if kind == CredentialKind::Session {
            found = sessions_alone(accounts, found);
        }
        Ok(found)
    }

    /// Names that differ may be one user's; what is done for the one would be done for the other.
    fn refuse_one_user_twice(accounts: &[String], found: &[Found]) -> Result<(), RestFault> {
        let mut ids = std::collections::HashSet::new();
        let Some(twice) = found.iter().find(|one| !ids.insert(one.id.as_str())) else {
            return Ok(());
        };
        let place = accounts.iter().position(|account| *account == twice.current.account);
        Err(RestFault::Ambiguous { table: B::TABLE, place: place.map_or(0, |at| at + 1) })
    }

    /// The control accounts as they are now, with their sessions; they must hold what they held.
    pub(super) async fn controls_now(
        &self,
        client: &Client,
        kind: CredentialKind,
        controls: &Controls,
    ) -> Result<Vec<Current>, DirectoryError> {
        if controls.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.currents(client, kind, controls.accounts(), true).await?;
        controls.check_values(&now)?;
        Ok(now)
    }

    async fn write_rows(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
        is_chosen: bool,
    ) -> Result<u64, DirectoryError> {
        if kind == CredentialKind::Session {
            return Err(DirectoryError::NoValue { kind });
        }
        self.admit(kind, &accounts_of(kind, rows))?;
        refuse_unchanged(rows)?;
        if rows.is_empty() {
            return Ok(0);
        }
        let client = self.0.line().lasting();
        let before = self.controls_now(&client, kind, controls).await?;
        let parts = rows.iter().map(|row| self.write_row(&client, row, is_chosen)).collect();
        let written: Vec<Written> = concurrent::all(parts, self.0.bounds().concurrency).await?;
        // what was changed stays changed; that a control account was is the graver news
        let after = self.controls_now(&client, kind, controls).await?;
        controls.check_sessions(&before, &after)?;
        Self::count(REPLACING, &written)
    }

    /// The password first: a session begun with the old one in between ends with the others.
    async fn write_row(
        &self,
        client: &Client,
        row: &Replacement,
        is_chosen: bool,
    ) -> Result<Written, RestFault> {
        let written = self.0.change(client, row, is_chosen).await?;
        match (written, self.0.end(client, &row.account).await?) {
            (Written::Refused(status), _) | (_, Written::Refused(status)) => {
                Ok(Written::Refused(status))
            }
            (written, _) => Ok(written),
        }
    }

    fn count(doing: &'static str, written: &[Written]) -> Result<u64, DirectoryError> {
        let refused: Vec<u16> = written
            .iter()
            .filter_map(|one| if let Written::Refused(status) = one { Some(*status) } else { None })
            .collect();
        if let Some(status) = refused.first() {
            return Err(RestFault::Denied {
                table: B::TABLE,
                doing,
                asked: written.len(),
                refused: refused.len(),
                status: *status,
            }
            .into());
        }
        Ok(written.iter().filter(|one| **one == Written::Done).count() as u64)
    }
}

/// Everybody asked for, whom nobody knows without any.
fn sessions_alone(accounts: &[String], found: Vec<Current>) -> Vec<Current> {
    let mut counted: std::collections::HashMap<String, u64> =
        found.into_iter().map(|now| (now.account, now.sessions)).collect();
    let alone = accounts.iter().map(|account| Current {
        sessions: counted.remove(account).unwrap_or(0),
        account: account.clone(),
        value: None,
        changed_at: None,
    });
    alone.collect()
}

#[async_trait]
impl<B: Backend> Directory for Served<B> {
    async fn rehearsal_marker(&self) -> Result<Option<String>, DirectoryError> {
        Ok(self.0.marker(&self.0.line().lasting()).await?)
    }

    async fn read(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.admit(kind, accounts)?;
        self.currents(&self.0.line().lasting(), kind, accounts, false).await
    }

    async fn replace(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.write_rows(kind, rows, controls, false).await
    }

    async fn set(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.write_rows(kind, rows, controls, true).await
    }

    async fn end_sessions(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.admit(kind, accounts)?;
        if accounts.is_empty() {
            return Ok(0);
        }
        let client = self.0.line().lasting();
        let watched = self.controls_now(&client, kind, controls).await?;
        let before = self.currents(&client, CredentialKind::Session, accounts, true).await?;
        let parts = accounts.iter().map(|account| self.0.end(&client, account)).collect();
        let ended: Vec<Written> = concurrent::all(parts, self.0.bounds().concurrency).await?;
        let after = self.controls_now(&client, kind, controls).await?;
        controls.check_sessions(&watched, &after)?;
        Self::count(ENDING, &ended)?;
        Ok(before.iter().map(|now| now.sessions).sum())
    }

    async fn confirm(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.admit(kind, accounts)?;
        let fresh = self.0.line().fresh().map_err(RestFault::from)?;
        self.currents(&fresh, kind, accounts, true).await
    }

    async fn check(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        self.admit(kind, accounts)?;
        self.try_all(kind, accounts, forge, controls).await
    }

    fn capabilities(&self) -> Capabilities {
        let passwords = vec![CredentialKind::Password];
        Capabilities {
            change_time: if B::TELLS_CHANGE_TIME { passwords.clone() } else { Vec::new() },
            kinds: passwords,
            counts_sessions: true,
            ends_sessions: B::ENDS_SESSIONS,
            batch: self.0.bounds().batch,
        }
    }

    fn scheme(&self, _: CredentialKind) -> Scheme {
        self.0.scheme()
    }

    fn password_form(&self) -> PasswordForm {
        self.0.form()
    }

    fn chosen(&self, hashed: SecretValue) -> Chosen {
        self.0.chosen(hashed)
    }

    fn logs_in_as(&self) -> Option<String> {
        self.0.own_account()
    }
}
