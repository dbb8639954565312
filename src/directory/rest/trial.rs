//! The trial run on an identity server: nothing can be taken back there, so nothing is written. What is read,
//! what would be forged, and what the server says it would refuse is all that can be known before.

use super::adapter::Served;
use super::backend::{Backend, Trial};
use super::fault::RestFault;
use crate::directory::batch::{refuse_unchanged, sessions_of, trial_rows};
use crate::directory::{CheckReport, Controls, DirectoryError, Forge};
use crate::domain::credential::CredentialKind;

impl<B: Backend> Served<B> {
    pub(super) async fn try_all(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        let client = self.0.line().lasting();
        let watched = self.controls_now(&client, kind, controls).await?;
        let before = self.currents(&client, kind, accounts, true).await?;
        let mut report = CheckReport {
            asked: accounts.len() as u64,
            read: before.len() as u64,
            sessions: sessions_of(&before),
            ..CheckReport::default()
        };
        if kind != CredentialKind::Session {
            let rows = trial_rows(&before, forge, &mut report);
            refuse_unchanged(&rows)?;
            for row in &rows {
                match self.0.rehearse(&client, row).await? {
                    Trial::Well => {}
                    Trial::NotCompared => {
                        let key = format!("the server in {}.url", B::TABLE);
                        return Err(DirectoryError::NotCompareAndSet { key });
                    }
                    Trial::Refused(status) => {
                        let (table, doing) = (B::TABLE, "trying a replacement");
                        let refused =
                            RestFault::Denied { table, doing, asked: 1, refused: 1, status };
                        return Err(refused.into());
                    }
                }
            }
        }
        let untouched = self.controls_now(&client, kind, controls).await?;
        controls.check_sessions(&watched, &untouched)?;
        report.controls = controls.len() as u64;
        Ok(report)
    }
}
