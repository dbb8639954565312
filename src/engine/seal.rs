//! Sealing: the affected accounts are streamed in, cleaned, frozen in chunks and rooted (protocol §2).

mod loader;
mod roots;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use uuid::Uuid;

use self::loader::Loader;
use self::roots::roots;
use super::campaign_file::CampaignFile;
use super::people::People;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::journal::WorkerLock;
use crate::secret::campaign_key::CampaignKey;
use crate::secret::digest::{Digest, Sha256Stream};
use crate::source::{RejectFile, RejectSummary, Row, Source, SourceSettings};
use crate::store::campaigns::NewCampaign;
use crate::store::seals::{Publication, SealRow, Staging};

/// Rows read, encrypted and staged at a time.
const BATCH: usize = 1_000;

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
        if let Some(live) = self.store.live_seal(people.campaign).await? {
            return Err(EngineError::refused(format!(
                "campaign `{name}` was sealed at {} with {} people; people are frozen, so a further \
                 audience is a further campaign",
                live.sealed_at.map(|at| at.to_string()).unwrap_or_default(),
                live.totals.sealed
            )));
        }
        let path = self.workspace.staging(name);
        // Two loads into one staging file would each count the other's rows as their own.
        let _lock = WorkerLock::acquire(&path.with_extension("sealing"))?;
        let mut staging = self.store.staging(&path).await?;
        let rejects = self.load(name, &file, &people, staging.as_mut(), progress).await?;
        self.keep_duplicates(name, staging.as_mut()).await?;
        let row = self.publish(&file, &people, staging.as_mut(), progress).await?;
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

    async fn load(
        &self,
        name: &str,
        file: &CampaignFile,
        people: &People,
        staging: &mut dyn Staging,
        progress: &dyn Progress,
    ) -> Result<RejectSummary, EngineError> {
        let base = self.workspace.root();
        if let Some(loaded) = staging.loaded().await? {
            let mut source = file.audience.open(base).await?;
            progress.note("an earlier seal of this campaign was loaded to its end; checking that the source is the same");
            let (digest, summary) = self.read_again(name, source.as_mut()).await?;
            if digest == Digest::from_bytes(loaded.digest) {
                return Ok(summary);
            }
            progress.note("the source changed since; loading it anew");
        }
        staging.restart().await?;
        let mut source = file.audience.open(base).await?;
        let mut loader = Loader {
            people,
            digest_key: self.keys.digest(),
            providers: &self.providers,
            open: std::collections::HashMap::new(),
            chunks: Vec::new(),
            rejects: self.reject_file(name)?,
            digest: Sha256Stream::new(),
            rows: 0,
            rejected: 0,
        };
        let as_of = self.clock.now();
        progress.begin("Sealing", source.progress().total, unit_of(source.as_ref()));
        loop {
            let digest = &mut loader.digest;
            let batch = source.next_batch(BATCH, &mut |bytes: &[u8]| digest.update(bytes)).await?;
            if batch.is_empty() {
                break;
            }
            let rows = loader.take(batch)?;
            staging.append(rows).await?;
            progress.at(source.progress().done);
        }
        progress.end();
        loader.finish(staging, as_of).await
    }

    /// Reads a source to its end for its digest and its rejects.
    async fn read_again(
        &self,
        name: &str,
        source: &mut dyn Source,
    ) -> Result<(Digest, RejectSummary), EngineError> {
        let mut rejects = self.reject_file(name)?;
        let mut digest = Sha256Stream::new();
        loop {
            let batch = source.next_batch(BATCH, &mut |bytes: &[u8]| digest.update(bytes)).await?;
            if batch.is_empty() {
                return Ok((digest.finish(), rejects.finish()?));
            }
            for row in &batch {
                if let Row::Rejected(reject) = row {
                    rejects.push(reject)?;
                }
            }
        }
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
                writeln!(out, "{},{},{kind}", row.line, row.of_line)
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
        progress: &dyn Progress,
    ) -> Result<SealRow, EngineError> {
        let (totals, names_refused) = staging.totals().await?;
        if totals.sealed == 0 {
            return Err(EngineError::refused(format!(
                "no row of the audience names an account: {} rows read, {} rejected; \
                 hint: see `rejects/` and `columns.account`",
                totals.rows, totals.rejected
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
        let (source_kind, source_name) = origin(&file.audience);
        let source = staging.loaded().await?;
        // Classes that people are born into stand in the seal's own entry: every later change has one,
        // so that the totals can be counted again from the ledger alone.
        let mut counts = staging.births().await?;
        counts.extend([
            ("rows".to_owned(), totals.rows),
            ("sealed".to_owned(), totals.sealed),
            ("duplicates".to_owned(), totals.duplicates),
            ("conflicts".to_owned(), totals.conflicts),
            ("rejected".to_owned(), totals.rejected),
            ("names-refused".to_owned(), names_refused),
        ]);
        let entry = Entry::Sealed {
            campaign: people.ledger_name(),
            root: root.to_string(),
            source: source.map(|loaded| hex::encode(loaded.digest)).unwrap_or_default(),
            counts,
        };
        let publication = Publication {
            campaign: people.campaign,
            source_kind: source_kind.to_owned(),
            source_name,
            root: *root.as_bytes(),
            chunk_roots,
        };
        progress.begin("Freezing", Some(totals.sealed), "people");
        let line = entry.line(self.clock.now());
        let row = staging.publish(publication, vec![line], &|copied| progress.at(copied)).await?;
        progress.end();
        Ok(row)
    }
}

fn unit_of(source: &dyn Source) -> &'static str {
    match source.progress().unit {
        crate::source::Unit::Bytes => "bytes",
        crate::source::Unit::Rows => "rows",
    }
}

fn origin(audience: &SourceSettings) -> (&'static str, String) {
    match audience {
        SourceSettings::Csv(csv) => ("csv", csv.path.display().to_string()),
        SourceSettings::Sqlite(sqlite) => ("sqlite", sqlite.url.clone()),
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
    writeln!(out, "line,of_line,kind").map_err(EngineError::file(path))?;
    Ok(out)
}

fn remove_staging(path: &std::path::Path) -> Result<(), EngineError> {
    for ending in ["", "-wal", "-shm"] {
        let mut part = path.as_os_str().to_owned();
        part.push(ending);
        remove(std::path::Path::new(&part))?;
    }
    Ok(())
}

/// Removes a file that may be absent.
fn remove(path: &std::path::Path) -> Result<(), EngineError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::file(path)(error))
        }
        _ => Ok(()),
    }
}
