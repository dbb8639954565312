//! [`Directory`] on HTTP: each call in parts of so many rows, side by side, between two looks at the
//! control accounts where it writes.

use async_trait::async_trait;
use reqwest::Client;

use super::HttpDirectory;
use super::error::HttpFault;
use super::message::{Answer, AskedRow};
use crate::directory::batch::{accounts_of, refuse_unchanged};
use crate::directory::concurrent;
use crate::directory::{
    Capabilities, CheckReport, Controls, Current, Directory, DirectoryError, Forge, Replacement,
};
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

impl HttpDirectory {
    /// Asks in parts; the answers in the order of these.
    pub(super) async fn ask(
        &self,
        client: &Client,
        verb: &'static str,
        kind: CredentialKind,
        rows: &[AskedRow<'_>],
    ) -> Result<Vec<Answer>, HttpFault> {
        let mut parts = Vec::new();
        for part in rows.chunks(self.rows_per_request) {
            parts.push(self.ask_part(client, verb, kind, part));
        }
        concurrent::all(parts, self.concurrency).await
    }

    async fn ask_part(
        &self,
        client: &Client,
        verb: &'static str,
        kind: CredentialKind,
        part: &[AskedRow<'_>],
    ) -> Result<Answer, HttpFault> {
        let body = self.endpoint.ask(client, verb, Some(kind), part).await?;
        serde_json::from_slice(&body).map_err(|_| HttpFault::Unreadable { verb })
    }

    pub(super) async fn currents(
        &self,
        client: &Client,
        verb: &'static str,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.knows(kind)?;
        let asked: Vec<AskedRow<'_>> =
            accounts.iter().map(|account| AskedRow::of(account)).collect();
        let needs_sessions =
            kind == CredentialKind::Session || (verb == "confirm" && self.can.counts_sessions);
        let mut found = Vec::new();
        let answers = self.ask(client, verb, kind, &asked).await?;
        for (part, answer) in asked.chunks(self.rows_per_request).zip(answers) {
            answer.refusals(verb, part)?;
            found.extend(answer.currents(verb, kind, part, needs_sessions)?);
        }
        Ok(found)
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
        let now = self.currents(client, "confirm", kind, controls.accounts()).await?;
        controls.check_values(&now)?;
        Ok(now)
    }

    /// Has the endpoint change these rows between two looks at the control accounts; how many it says it
    /// changed, or sessions it says it ended.
    async fn change(
        &self,
        verb: &'static str,
        kind: CredentialKind,
        rows: &[AskedRow<'_>],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        let client = self.endpoint.lasting();
        let before = self.controls_now(&client, kind, controls).await?;
        let answers = self.ask(&client, verb, kind, rows).await?;
        let after = self.controls_now(&client, kind, controls).await?;
        controls.check_sessions(&before, &after)?;
        let (mut changed, mut ended, mut refused) = (0, 0, None);
        for (part, answer) in rows.chunks(self.rows_per_request).zip(&answers) {
            let asked = part.len() as u64;
            if answer.changed > asked {
                let changed = answer.changed;
                return Err(HttpFault::TooMany { verb, changed, asked }.into());
            }
            changed += answer.changed;
            ended += answer.sessions_ended;
            refused = refused.or(answer.refusals(verb, part).err());
        }
        match refused {
            Some(refused) => Err(refused.into()),
            None => Ok(if verb == "end-sessions" { ended } else { changed }),
        }
    }

    async fn change_values(
        &self,
        verb: &'static str,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        if kind == CredentialKind::Session {
            return Err(DirectoryError::NoValue { kind });
        }
        self.knows(kind)?;
        self.admit(&accounts_of(kind, rows))?;
        refuse_unchanged(rows)?;
        if rows.is_empty() {
            return Ok(0);
        }
        let asked: Vec<AskedRow<'_>> = rows.iter().map(AskedRow::change).collect();
        self.change(verb, kind, &asked, controls).await
    }
}

#[async_trait]
impl Directory for HttpDirectory {
    async fn rehearsal_marker(&self) -> Result<Option<String>, DirectoryError> {
        Ok(super::ask_capabilities(&self.endpoint).await?.rehearsal)
    }

    async fn read(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.admit(accounts)?;
        self.currents(&self.endpoint.lasting(), "read", kind, accounts).await
    }

    async fn replace(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.change_values("replace", kind, rows, controls).await
    }

    async fn set(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.change_values("set", kind, rows, controls).await
    }

    async fn end_sessions(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.admit(accounts)?;
        if accounts.is_empty() {
            return Ok(0);
        }
        let asked: Vec<AskedRow<'_>> =
            accounts.iter().map(|account| AskedRow::of(account)).collect();
        self.change("end-sessions", kind, &asked, controls).await
    }

    async fn confirm(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.admit(accounts)?;
        self.currents(&self.endpoint.fresh()?, "confirm", kind, accounts).await
    }

    async fn check(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        self.admit(accounts)?;
        self.try_all(kind, accounts, forge, controls).await
    }

    fn capabilities(&self) -> Capabilities {
        self.can.clone()
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
