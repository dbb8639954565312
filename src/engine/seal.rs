//! Sealing: the affected accounts are streamed in, cleaned, frozen in chunks and rooted (protocol §2).

mod draw;
mod load;
mod loader;
mod roots;
mod rules;
mod sealer;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use uuid::Uuid;

pub(super) use self::load::Loading;
use self::roots::roots;
use super::campaign_file::CampaignFile;
use super::people::People;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::journal::WorkerLock;
use crate::secret::campaign_key::CampaignKey;
use crate::secret::digest::sha256;
use crate::source::{RejectFile, RejectSummary, Source};
use crate::store::campaigns::NewCampaign;
use crate::store::seals::{Publication, STAGING_FILES, SealRow, Staging};

/// Rows left out on purpose, by the step that left them out.
type Excluded = std::collections::BTreeMap<String, u64>;

/// What a seal came to.
#[derive(Debug)]
pub struct Sealed {
    /// The seal.
    pub row: SealRow,
    /// Where the rejected rows are kept, where there are any.
    pub rejects: RejectSummary,
}

impl Engine {
    /// Seals the audience of a campaign; a restart continues where the last one died.
    pub async fn seal(&self, name: &str, progress: &dyn Progress) -> Result<Sealed, EngineError> {
        let file = self.campaign_file(name)?;
        let people = self.people_to_seal(name, &file).await?;
        let path = self.workspace.staging(name);
        // Two loads into one staging file would each count the other's rows as their own.
        let _lock = WorkerLock::acquire(&path.with_extension("sealing"))?;
        if let Some(live) = self.store.live_seal(people.campaign).await? {
            // what a crash right behind the flip left
            remove_staging(&path)?;
            return Err(EngineError::refused(format!(
                "campaign `{name}` was sealed at {} with {} people, and they are frozen; hint: a further \
                 audience is a further campaign, `forthwith campaign new NAME --incident {}`",
                live.sealed_at.map(|at| at.to_string()).unwrap_or_default(),
                live.totals.sealed,
                file.incident
            )));
        }
        let mut staging = self.store.staging(&path).await?;
        // Kept to the end: where earlier campaigns have a part in it, it holds the worker's lock, and none
        // of them goes on before this seal stands.
        let (rejects, source) = self.load(name, &file, &people, staging.as_mut(), progress).await?;
        self.keep_duplicates(name, staging.as_mut()).await?;
        name_groups(&people, staging.as_mut()).await?;
        let excluded = source.excluded();
        let row = self.publish(&file, &people, staging.as_mut(), excluded, progress).await?;
        drop(source);
        drop(staging);
        remove_staging(&path)?;
        Ok(Sealed { row, rejects })
    }

    /// The campaign's row and key; made at the first seal.
    async fn people_to_seal(&self, name: &str, file: &CampaignFile) -> Result<People, EngineError> {
        let directory = file.directory_name().to_owned();
        if self.store.campaign(name).await?.is_none() {
            let uuid = self.draw_uuid();
            let key = CampaignKey::generate(&mut rand::rng());
            let key_ids = self.check_keys().await?;
            let new = NewCampaign {
                uuid,
                name: name.to_owned(),
                incident: file.incident.clone(),
                directory: directory.clone(),
                environment: file.environment,
                wrapped_key: key.wrap(self.keys.data(), &uuid, &mut rand::rng()),
                key_ids: key_ids.into_iter().map(|key| (key.purpose, key.id)).collect(),
                created_at: self.clock.now(),
            };
            self.store.create_campaign(new).await?;
        }
        let (row, people) = self.people(name).await?;
        if row.environment != file.environment || row.directory != directory {
            return Err(EngineError::refused(format!(
                "campaign `{name}` began as {} on directory `{}`; its file now says {} on `{}`; \
                 hint: a campaign keeps its world, write another file",
                row.environment, row.directory, file.environment, directory
            )));
        }
        Ok(people)
    }

    fn draw_uuid(&self) -> Uuid {
        use rand::RngExt as _;
        let now = self.clock.now();
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let random: [u8; 10] = rand::rng().random();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    fn reject_file(&self, name: &str) -> Result<RejectFile, EngineError> {
        let path = self.workspace.rejects(name);
        remove(&path)?;
        Ok(RejectFile::at(path))
    }

    /// Lists the rows that were not sealed because another row of their account was.
    async fn keep_duplicates(
        &self,
        name: &str,
        staging: &mut dyn Staging,
    ) -> Result<(), EngineError> {
        let path = self.workspace.duplicates(name);
        remove(&path)?;
        let mut file = None;
        let mut after = 0;
        loop {
            let found = staging.duplicates(after, 5_000).await?;
            let Some(last) = found.last() else { break };
            after = last.line;
            let out = match &mut file {
                Some(out) => out,
                None => file.insert(open_listing(&path)?),
            };
            for row in &found {
                let kind = if row.is_conflict { "conflict" } else { "duplicate" };
                writeln!(out, "{},{},{kind},{}", row.line, row.of_line, row.of_number)
                    .map_err(EngineError::file(&path))?;
            }
        }
        if let Some(out) = file {
            let out =
                out.into_inner().map_err(|error| EngineError::file(&path)(error.into_error()))?;
            out.sync_all().map_err(EngineError::file(&path))?;
        }
        Ok(())
    }

    async fn publish(
        &self,
        file: &CampaignFile,
        people: &People,
        staging: &mut dyn Staging,
        excluded: Excluded,
        progress: &dyn Progress,
    ) -> Result<SealRow, EngineError> {
        let (totals, _) = staging.totals().await?;
        if totals.sealed == 0 {
            return Err(EngineError::refused(format!(
                "no row of the audience names an account: {} rows read, {} rejected; \
                 hint: see `rejects/{}.csv` and `columns.account`",
                totals.rows, totals.rejected, people.name
            )));
        }
        if !totals.balances() {
            return Err(EngineError::refused(format!(
                "the staging file of `{}` lost or gained rows since it was loaded: {} rows read, {} \
                 sealed; hint: remove `{}` and seal again",
                people.name,
                totals.rows,
                totals.sealed,
                self.workspace.staging(&people.name).display()
            )));
        }
        let (root, chunk_roots) = roots(staging).await?;
        let (source_kind, source_name) = file.audience.provenance();
        let source = staging.loaded().await?;
        // Classes that people are born into stand in the seal's own entry: every later change has one,
        // so that the totals can be counted again from the ledger alone.
        let mut counts = staging.births().await?;
        let copies = counts.get("copies").copied().unwrap_or(0);
        counts.extend([
            ("rows".to_owned(), totals.rows),
            ("sealed".to_owned(), totals.sealed),
            ("duplicates".to_owned(), totals.duplicates),
            ("conflicts".to_owned(), totals.conflicts),
            ("rejected".to_owned(), totals.rejected),
        ]);
        counts.extend(super::audience::ledger_counts(&excluded));
        let entry = Entry::Sealed {
            campaign: people.ledger_name(),
            root: root.to_string(),
            source: source.as_ref().map(|one| hex::encode(one.digest)).unwrap_or_default(),
            rules: source.map(|one| sha256(one.rules.as_bytes()).to_string()).unwrap_or_default(),
            counts,
        };
        let publication = Publication {
            campaign: people.campaign,
            source_kind: source_kind.to_owned(),
            source_name,
            root: *root.as_bytes(),
            chunk_roots,
            excluded,
            readings: self.readings(file).await?,
        };
        progress.begin("Freezing", Some(totals.sealed + copies), "rows");
        let line = entry.line(self.clock.now());
        let row = staging.publish(publication, vec![line], &|copied| progress.at(copied)).await?;
        progress.end();
        Ok(row)
    }
}

/// Tells the store how the ledger knows the people of a group: they move with their carrier without being
/// opened again. The few of them alone.
async fn name_groups(people: &People, staging: &mut dyn Staging) -> Result<(), EngineError> {
    let mut after = 0;
    loop {
        let unnamed = staging.unnamed(after, 1_000).await?;
        let Some(last) = unnamed.last() else { return Ok(()) };
        after = last.number;
        let mut named = Vec::with_capacity(unnamed.len());
        for one in unnamed {
            let recipient = people.open(one.number, &one.body)?;
            named.push((one.number, people.person(one.salt, &recipient)));
        }
        staging.name(named).await?;
    }
}

/// The word for what a source counts its progress in.
pub(super) fn unit_of(source: &dyn Source) -> &'static str {
    match source.progress().unit {
        crate::source::Unit::Bytes => "bytes",
        crate::source::Unit::Rows => "rows",
    }
}

fn open_listing(path: &std::path::Path) -> Result<std::io::BufWriter<std::fs::File>, EngineError> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(EngineError::file(path))?;
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "line,of_line,kind,number").map_err(EngineError::file(path))?;
    Ok(out)
}

fn remove_staging(path: &std::path::Path) -> Result<(), EngineError> {
    for ending in STAGING_FILES {
        let mut part = path.as_os_str().to_owned();
        part.push(ending);
        remove(std::path::Path::new(&part))?;
    }
    Ok(())
}

/// Removes a file that may be absent.
pub(super) fn remove(path: &std::path::Path) -> Result<(), EngineError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::file(path)(error))
        }
        _ => Ok(()),
    }
}
