//! The company destroys the replaced passwords that it kept for comparison: when the campaign ends, or before.

use crate::domain::credential::CredentialKind;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::store::credentials::Pick;

impl Engine {
    /// Has the company's directory forget what it keeps of a campaign's accounts; how many values that were, and
    /// nothing where it keeps none. May be asked for again at any time.
    pub async fn forget_replaced(
        &self,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Option<u64>, EngineError> {
        let (row, people) = self.people(name).await?;
        let Some(containment) = self.approved_containment(&row, &people).await? else {
            return Ok(None);
        };
        if !containment.section.keeps_replaced() {
            return Ok(None);
        }
        let directory = self.open_directory(&containment.section, row.environment).await?;
        let batch = u32::try_from(directory.capabilities().batch).unwrap_or(u32::MAX);
        progress.begin("Forgetting replaced passwords", None, "accounts");
        let (mut after, mut gone, mut done) = (0, 0, 0);
        loop {
            let page = self
                .store
                .next_accounts(row.id, CredentialKind::Password, Pick::Everybody, after, batch)
                .await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            let mut accounts = Vec::with_capacity(page.len());
            for found in &page {
                let recipient = people.open(found.number, &found.body)?;
                accounts.push(recipient.account.as_str().to_owned());
            }
            gone += directory.forget_replaced(&accounts).await?;
            done += page.len() as u64;
            progress.at(done);
        }
        progress.end();
        Ok(Some(gone))
    }
}
