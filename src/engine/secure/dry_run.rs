//! `secure run --dry-run`: reads what the directory holds and tells what a pass would do; it changes
//! nothing, there or here, and needs no approval.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::Containment;
use super::reading::{Reader, Standing};
use crate::directory::Current;
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::track::Track;
use crate::engine::campaign_file::Protection;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;
use crate::store::credentials::{Pick, SealedAccount};

/// What a pass would do, by kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DryRun {
    /// The approved containment was read; else the files as they are now.
    pub is_approved: bool,
    /// Accounts that were looked at.
    pub accounts: u64,
    /// `kind/what` → accounts. `what`: `would-expire`, `no-password`, `not-found`, `spared`,
    /// `unknown-scheme`, `protected`, `ours` (written by a pass that died), or `already-` and a class.
    pub counts: BTreeMap<String, u64>,
    /// What would keep the pass from beginning.
    pub notes: Vec<String>,
}

impl Engine {
    /// Looks at all sealed accounts, or at `sample` of them spread over the seal.
    pub async fn secure_dry_run(
        &self,
        name: &str,
        sample: Option<u32>,
        progress: &dyn Progress,
    ) -> Result<DryRun, EngineError> {
        let (row, people) = self.people(name).await?;
        let is_approved = row.containment_digest.is_some();
        let containment = if is_approved {
            Containment::read(&self.approved(&row, &people, Track::Containment).await?.parts)?
        } else {
            Containment::of_files(&self.files(name)?)?
        };
        let section = &containment.section;
        let directory = self.open_directory(section, row.environment).await?;
        Self::check_kinds(directory.as_ref(), section, &containment.kinds)?;
        let mut run = DryRun { is_approved, ..DryRun::default() };
        let mut protected = Vec::new();
        match self.safety(&people, section, directory.as_ref(), &containment.kinds).await {
            Ok(safety) if section.protected == Protection::Exempt => protected = safety.protected,
            Ok(_) => {}
            Err(EngineError::Refused(why)) => run.notes.push(why),
            Err(error) => return Err(error),
        }
        for kind in &containment.kinds {
            let look = Look {
                engine: self,
                reader: Reader {
                    people: &people,
                    directory: directory.as_ref(),
                    containment: &containment,
                    kind: *kind,
                    may_spare: true,
                },
                protected: &protected,
            };
            run.accounts = look.all(&row, sample, &mut run.counts, progress).await?;
        }
        Ok(run)
    }
}

/// A look at the accounts of one kind.
struct Look<'a> {
    engine: &'a Engine,
    reader: Reader<'a>,
    protected: &'a [u64],
}

impl Look<'_> {
    async fn all(
        &self,
        row: &CampaignRow,
        sample: Option<u32>,
        counts: &mut BTreeMap<String, u64>,
        progress: &dyn Progress,
    ) -> Result<u64, EngineError> {
        let (store, kind) = (&self.engine.store, self.reader.kind);
        progress.begin(&format!("Reading each {kind}"), None, "accounts");
        let most = self.reader.directory.capabilities().batch;
        let mut looked_at = 0;
        if let Some(count) = sample {
            let seal = row.seal_id.ok_or_else(|| crate::engine::plan::not_sealed(&row.name))?;
            let numbers = store.sample_numbers(seal, count).await?;
            for part in numbers.chunks(most) {
                let accounts = store.accounts_of(row.id, kind, part).await?;
                looked_at += self.page(&accounts, counts).await?;
                progress.at(looked_at);
            }
        } else {
            let (mut after, limit) = (0, u32::try_from(most).unwrap_or(u32::MAX));
            loop {
                let accounts =
                    store.next_accounts(row.id, kind, Pick::Everybody, after, limit).await?;
                let Some(last) = accounts.last() else { break };
                after = last.number;
                looked_at += self.page(&accounts, counts).await?;
                progress.at(looked_at);
            }
        }
        progress.end();
        Ok(looked_at)
    }

    async fn page(
        &self,
        accounts: &[SealedAccount],
        counts: &mut BTreeMap<String, u64>,
    ) -> Result<u64, EngineError> {
        let people: &People = self.reader.people;
        let mut references = Vec::with_capacity(accounts.len());
        for account in accounts {
            references
                .push(people.open(account.number, &account.body)?.account.as_str().to_owned());
        }
        let mut found: HashMap<String, Vec<Current>> = HashMap::new();
        for current in self.reader.directory.read(self.reader.kind, &references).await? {
            found.entry(current.account.clone()).or_default().push(current);
        }
        for (account, reference) in accounts.iter().zip(&references) {
            let values = found.get(reference).map(Vec::as_slice).unwrap_or_default();
            let what = self.verdict(account, values);
            *counts.entry(format!("{}/{what}", self.reader.kind)).or_default() += 1;
        }
        Ok(accounts.len() as u64)
    }

    fn verdict(&self, account: &SealedAccount, values: &[Current]) -> String {
        let is_open = matches!(account.class, CredentialClass::Pending | CredentialClass::Failed);
        if !is_open {
            return format!("already-{}", account.class);
        }
        if self.protected.contains(&account.number) && account.planned.is_empty() {
            return "protected".into();
        }
        let (mut ours, mut spared, mut would) = (false, false, false);
        for current in values {
            match self.reader.standing(account, current) {
                None => {}
                Some(Standing::Ours) => ours = true,
                Some(Standing::Spared) => spared = true,
                Some(Standing::Replace(_)) => would = true,
                Some(Standing::Unknown(_)) => return "unknown-scheme".into(),
            }
        }
        let what = match (values.is_empty(), would, ours, spared) {
            (true, ..) => "not-found",
            (_, true, ..) => "would-expire",
            (_, _, true, _) => "ours",
            (.., true) => "spared",
            _ if self.reader.kind == CredentialKind::Session => "would-expire",
            _ => "no-password",
        };
        what.into()
    }
}
