//! Sealing: the affected accounts are streamed in, cleaned, frozen in chunks and rooted (protocol §2).

mod draw;
mod loader;
mod roots;
mod rules;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use jiff::Timestamp;
use uuid::Uuid;

use self::draw::{Draw, estimate};
use self::loader::Loader;
use self::roots::roots;
use self::rules::AddressRules;
use super::campaign_file::CampaignFile;
use super::campaign_file::cohort::Cohorts;
use super::people::People;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::journal::WorkerLock;
use crate::secret::campaign_key::CampaignKey;
use crate::secret::digest::{Digest, Sha256Stream, sha256};
use crate::source::{RejectFile, RejectSummary, Row, Source};
use crate::store::campaigns::NewCampaign;
use crate::store::seals::{Publication, SealRow, Staging};

/// Rows read, encrypted and staged at a time.
const BATCH: usize = 1_000;

/// Rows left out on purpose, by the step that left them out.
type Excluded = std::collections::BTreeMap<String, u64>;

/// What a source is loaded for, and how its people are judged.
pub(super) struct Loading<'a> {
    pub(super) name: &'a str,
    pub(super) file: &'a CampaignFile,
    pub(super) people: &'a People,
    pub(super) rules: AddressRules<'a>,
    pub(super) as_of: Timestamp,
}

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

    async fn load(
        &self,
        name: &str,
        file: &CampaignFile,
        people: &People,
        staging: &mut dyn Staging,
        progress: &dyn Progress,
    ) -> Result<(RejectSummary, Box<dyn Source>), EngineError> {
        // what earlier campaigns take out changes while the source does not: it is read anew
        let may_go_on = file.audience.minus.is_empty() && file.audience.intersect.is_empty();
        let as_of = self.clock.now();
        let rules = self.address_rules(name, file, as_of).await?;
        if let Some(loaded) = staging.loaded().await?.filter(|_| may_go_on) {
            let mut source = self.open_audience(name, file, progress).await?;
            progress.note("an earlier seal of this campaign was loaded to its end; checking that the source is the same");
            let (digest, summary) = self.read_again(name, source.as_mut()).await?;
            if digest != Digest::from_bytes(loaded.digest) {
                progress.note("the source changed since; loading it anew");
            } else if rules.provenance != loaded.rules {
                progress.note(
                    "how the source is read or people are judged changed since; loading it anew",
                );
            } else {
                return Ok((summary, source));
            }
        }
        staging.restart().await?;
        let mut source = self.open_audience(name, file, progress).await?;
        let loading = Loading { name, file, people, rules, as_of };
        let rejects = self.load_from(source.as_mut(), loading, staging, progress).await?;
        Ok((rejects, source))
    }

    /// Stages everything that a source has.
    pub(super) async fn load_from(
        &self,
        source: &mut dyn Source,
        loading: Loading<'_>,
        staging: &mut dyn Staging,
        progress: &dyn Progress,
    ) -> Result<RejectSummary, EngineError> {
        let Loading { name, file, people, rules, as_of } = loading;
        let mut loader = Loader {
            people,
            digest_key: self.keys.digest(),
            providers: &self.providers,
            rules,
            cohorts: Cohorts::of(&file.cohorts),
            draw: Draw::default(),
            open: std::collections::HashMap::new(),
            chunks: Vec::new(),
            rejects: self.reject_file(name)?,
            digest: Sha256Stream::new(),
            rows: 0,
            rejected: 0,
        };
        progress.begin("Sealing", source.progress().total, unit_of(source));
        loop {
            let digest = &mut loader.digest;
            let batch = source.next_batch(BATCH, &mut |bytes: &[u8]| digest.update(bytes)).await?;
            if batch.is_empty() {
                break;
            }
            if loader.rows == 0 {
                let read = source.progress();
                let rows = estimate(batch.len() as u64, read.done, read.total);
                loader.draw = Draw::new(file.canary(), rows);
            }
            let rows = loader.take(batch)?;
            staging.append(rows).await?;
            progress.at(source.progress().done);
        }
        progress.end();
        if let Some(warning) = source.warning() {
            progress.note(&warning);
        }
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
    for ending in ["", "-wal", "-shm"] {
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
