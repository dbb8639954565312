//! `forthwith audience diff` and `reconcile`: two audiences beside each other, by account.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use super::campaign::CampaignSource;
use crate::domain::address::AddressReason;
use crate::domain::recipient::Recipient;
use crate::engine::progress::Progress;
use crate::engine::report::mask_account;
use crate::engine::seal::{remove, unit_of};
use crate::engine::{Engine, EngineError};
use crate::secret::campaign_key::{Aad, CampaignKey};
use crate::secret::lookup::account_digest;
use crate::source::{Columns, CsvSettings, CsvSource, Encoding, PeopleOf, RejectFile, Row, Source};
use crate::store::audiences::{ComparedRow, ComparedTotals, Comparison, Difference, Side};

/// Rows compared at a time.
const BATCH: usize = 1_000;

/// Two audiences that were compared. What lies on disk of them is digests and ciphertext, and goes
/// with this value.
pub struct Compared {
    /// What the first was read from.
    pub a: String,
    /// What the second was read from.
    pub b: String,
    /// Accounts, each counted once.
    pub totals: ComparedTotals,
    /// Rows of the first and of the second that name no account.
    pub rejected: (u64, u64),
    rows: Box<dyn Comparison>,
    key: CampaignKey,
    _folder: TempDir,
}

/// A second list of accounts, from outside.
#[derive(Debug, Clone)]
pub struct AccountList {
    /// A CSV file.
    pub path: PathBuf,
    /// The column of its accounts.
    pub column: String,
    /// What stands between its values, if it is no comma.
    pub delimiter: Option<char>,
    /// How it is written.
    pub encoding: Encoding,
}

/// What a second list came to beside the sealed people.
#[derive(Debug, Clone)]
pub struct Reconciled {
    /// `only_a` are sealed and not in the list, `only_b` in the list and not sealed.
    pub totals: ComparedTotals,
    /// Rows of the list that name no account.
    pub rejected: u64,
    /// Files that were written: accounts only here, only there, rejected rows.
    pub files: Vec<PathBuf>,
}

impl Reconciled {
    /// Whether both name the same accounts and nothing else.
    pub fn is_equal(&self) -> bool {
        (self.totals.only_a, self.totals.only_b, self.rejected) == (0, 0, 0)
    }
}

impl Engine {
    /// Compares the audiences of two campaigns: the sealed people where there are any, else the source.
    pub async fn diff_audiences(
        &self,
        a: &str,
        b: &str,
        progress: &dyn Progress,
    ) -> Result<Compared, EngineError> {
        let (mut first, first_directory) = self.audience_of(a, progress).await?;
        let mut compared = self.comparison().await?;
        compared.a = first.origin().to_owned();
        compared.rejected.0 =
            self.put(&mut compared, Side::A, first.as_mut(), None, progress).await?;
        drop(first);
        let (mut second, second_directory) = self.audience_of(b, progress).await?;
        if first_directory != second_directory {
            return Err(EngineError::refused(format!(
                "accounts of `{a}` are those of directory `{first_directory}`, accounts of `{b}` those \
                 of `{second_directory}`: the same reference may be another person; hint: compare \
                 campaigns on one directory"
            )));
        }
        compared.b = second.origin().to_owned();
        compared.rejected.1 =
            self.put(&mut compared, Side::B, second.as_mut(), None, progress).await?;
        compared.totals = compared.rows.totals().await?;
        Ok(compared)
    }

    /// Compares a campaign's sealed people with a second list, and writes what only one of them has
    /// into `rejects/`.
    pub async fn reconcile(
        &self,
        name: &str,
        list: AccountList,
        progress: &dyn Progress,
    ) -> Result<Reconciled, EngineError> {
        let mut here = self.everybody(name).await?;
        let mut there = CsvSource::open(
            &CsvSettings {
                path: std::path::absolute(&list.path).map_err(EngineError::file(&list.path))?,
                delimiter: list.delimiter,
                encoding: list.encoding,
                columns: Columns::accounts(list.column),
            },
            Path::new("/"),
        )?;
        let place = |what: &str| self.workspace.rejects(&format!("{name}.{what}"));
        let mut compared = self.comparison().await?;
        self.put(&mut compared, Side::A, &mut here, None, progress).await?;
        let rejects = place("reconcile");
        remove(&rejects)?;
        let mut kept = RejectFile::at(rejects);
        let rejected =
            self.put(&mut compared, Side::B, &mut there, Some(&mut kept), progress).await?;
        compared.totals = compared.rows.totals().await?;
        let mut files: Vec<PathBuf> = kept.finish()?.path.into_iter().collect();
        for (difference, what) in
            [(Difference::OnlyA, "only-here"), (Difference::OnlyB, "only-there")]
        {
            files.extend(compared.write(difference, &place(what)).await?);
        }
        // the list has accounts alone, so nothing else of theirs can differ
        let same = compared.totals.same + compared.totals.changed;
        Ok(Reconciled {
            totals: ComparedTotals { changed: 0, same, ..compared.totals },
            rejected,
            files,
        })
    }

    /// The audience of a campaign as it is known best, and the directory that scopes its accounts.
    async fn audience_of(
        &self,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<(Box<dyn Source>, String), EngineError> {
        let row = self.store.campaign(name).await?;
        if let Some(row) = row.filter(|row| row.seal_id.is_some()) {
            return Ok((Box::new(self.everybody(name).await?), row.directory));
        }
        let file = self.campaign_file(name)?;
        let directory = file.directory_name().to_owned();
        Ok((self.open_audience(name, &file, progress).await?, directory))
    }

    /// All sealed people of a campaign, wherever they stand.
    async fn everybody(&self, name: &str) -> Result<CampaignSource, EngineError> {
        let (row, people) = self.people(name).await?;
        if row.seal_id.is_none() {
            return Err(crate::engine::plan::not_sealed(name));
        }
        self.sealed_source(people, &PeopleOf { campaign: name.to_owned(), classes: Vec::new() })
            .await
    }

    async fn comparison(&self) -> Result<Compared, EngineError> {
        let data = self.workspace.database();
        let data = data.parent().unwrap_or(self.workspace.root());
        let folder = tempfile::Builder::new().prefix("compare-").tempdir_in(data);
        let folder = folder.map_err(EngineError::file(data))?;
        Ok(Compared {
            a: String::new(),
            b: String::new(),
            totals: ComparedTotals::default(),
            rejected: (0, 0),
            rows: self.store.comparison(&folder.path().join("rows")).await?,
            key: CampaignKey::generate(&mut rand::rng()),
            _folder: folder,
        })
    }

    /// Puts a whole source on one side; gives back how many rows name no account.
    async fn put(
        &self,
        compared: &mut Compared,
        side: Side,
        source: &mut dyn Source,
        mut rejects: Option<&mut RejectFile>,
        progress: &dyn Progress,
    ) -> Result<u64, EngineError> {
        progress.begin("Comparing", source.progress().total, unit_of(source));
        let mut rejected = 0;
        loop {
            let batch = source.next_batch(BATCH, &mut |_| {}).await?;
            if batch.is_empty() {
                break;
            }
            let mut rows = Vec::with_capacity(batch.len());
            for row in batch {
                match row {
                    Row::Good { recipient, .. } => rows.push(compared.row(self, *recipient)),
                    Row::Rejected(reject) => {
                        rejected += 1;
                        if let Some(kept) = rejects.as_deref_mut() {
                            kept.push(&reject)?;
                        }
                    }
                }
            }
            compared.rows.add(side, rows).await?;
            progress.at(source.progress().done);
        }
        progress.end();
        Ok(rejected)
    }
}

/// Where a label stands; the digest beside it is no part of it, so that nothing depends on order.
const LABEL: Aad<'static> =
    Aad { campaign: Uuid::nil(), table: "comparison", number: 0, column: "label", amendment: 0 };

impl Compared {
    fn row(&self, engine: &Engine, mut person: Recipient) -> ComparedRow {
        // what is done with an address is ours to say and depends on the campaign, not on the source
        person.reason = AddressReason::Ok;
        let account = person.account.as_str().as_bytes();
        ComparedRow {
            account: account_digest(engine.keys.digest(), "", account),
            fields: self.key.seen(&person.canonical()).truncated(),
            label: self.key.seal_blob(&LABEL, account, &mut rand::rng()),
        }
    }

    /// Accounts in clear that stand so, after `after` in an order of their own; and the place to go on
    /// from.
    async fn accounts(
        &mut self,
        difference: Difference,
        after: [u8; 16],
    ) -> Result<Vec<([u8; 16], String)>, EngineError> {
        let listed = self.rows.list(difference, after, 1_000).await?;
        let open = |(digest, label): ([u8; 16], Vec<u8>)| {
            let account = self.key.open_blob(&LABEL, &label)?;
            Ok((digest, String::from_utf8_lossy(&account).into_owned()))
        };
        listed.into_iter().map(open).collect()
    }

    /// Hands every account that stands so to `take`, masked as screens show it, page by page.
    pub async fn list<E: From<EngineError>>(
        &mut self,
        difference: Difference,
        mut take: impl FnMut(&[String]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = [0; 16];
        loop {
            let page = self.accounts(difference, after).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            take(&page.iter().map(|(_, account)| mask_account(account)).collect::<Vec<_>>())?;
        }
    }

    /// Writes the accounts that stand so, in clear, into a file of the owner's alone; none where there
    /// are none.
    async fn write(
        &mut self,
        difference: Difference,
        path: &Path,
    ) -> Result<Option<PathBuf>, EngineError> {
        remove(path)?;
        let mut out = None;
        let mut after = [0; 16];
        loop {
            let page = self.accounts(difference, after).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let file = match &mut out {
                Some(file) => file,
                None => out.insert(create(path)?),
            };
            for (_, account) in &page {
                writeln!(file, "\"{}\"", account.replace('"', "\"\""))
                    .map_err(EngineError::file(path))?;
            }
        }
        let Some(file) = out else { return Ok(None) };
        let file =
            file.into_inner().map_err(|error| EngineError::file(path)(error.into_error()))?;
        file.sync_all().map_err(EngineError::file(path))?;
        Ok(Some(path.to_owned()))
    }
}

fn create(path: &Path) -> Result<std::io::BufWriter<std::fs::File>, EngineError> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = std::io::BufWriter::new(file.map_err(EngineError::file(path))?);
    writeln!(file, "account").map_err(EngineError::file(path))?;
    Ok(file)
}
