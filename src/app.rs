//! The composition root: opens what the engine needs and hands it over. Nothing else knows how the
//! parts are made.

mod shipped;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use shipped::SHIPPED;

use crate::config::{Config, starter};
use crate::domain::clock::{Clock, SystemClock};
use crate::engine::rewind::Rewound;
use crate::engine::{Engine, EngineError, Workspace};
use crate::journal::{HighWater, HighWaterError, HighWaterKeeper};
use crate::secret::keyring::Keyring;
use crate::secret::keys::KeyPurpose;
use crate::store::campaigns::DatabaseIdentity;
use crate::store::sqlite::SqliteStore;
use crate::store::{Campaigns as _, LedgerMark, OnBatch, Operators as _, StoreError};

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no workspace here.
    #[error(
        "there is no workspace in `{folder}`; hint: `forthwith init`, or name one with \
         `--workspace DIR`"
    )]
    NoWorkspace {
        /// Where it was looked for.
        folder: String,
    },
    /// There is one here already.
    #[error(
        "there is a workspace in `{folder}` already, with its founders; hint: go on with \
         `forthwith incident new`, or name another folder"
    )]
    Exists {
        /// Where.
        folder: String,
    },
    /// New keys would not fit a database that was written under others.
    #[error(
        "the database of this workspace was written under keys of its own, so new ones would not \
         open it; hint: put the files of `keys/` back from your key backup"
    )]
    KeysKnown,
    /// Key files.
    #[error(transparent)]
    Key(#[from] crate::secret::key_file::KeyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mark that tells a rewound database.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
    /// Anything the engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// An opened workspace.
#[derive(Debug)]
pub struct App {
    /// The use cases.
    pub engine: Engine,
    /// How the database differs from the one this host saw last, as it was opened; then it is closed to writes.
    pub rewound: Option<Rewound>,
    store: SqliteStore,
}

/// Moves the high-water mark after each commit; empty until the database has said who it is.
type Advance = Arc<OnceLock<(Arc<HighWaterKeeper>, DatabaseIdentity)>>;

impl App {
    /// Opens a workspace that was made before. `writer` is named in the ledger's batches.
    pub async fn open(
        workspace: Workspace,
        config: Config,
        writer: &str,
    ) -> Result<Self, AppError> {
        if !workspace.database().exists() {
            return Err(AppError::NoWorkspace { folder: workspace.root().display().to_string() });
        }
        let keys = Keyring::load(&workspace.keys())?;
        let mut app = Self::assemble(workspace, config, writer, keys).await?;
        app.rewound = app.engine.guard().await?;
        app.engine.check_keys().await?;
        Ok(app)
    }

    /// Makes a workspace: folders, keys, database, its own configuration file. One that has its
    /// founders is refused; one whose `init` did not get that far is continued.
    pub async fn init(workspace: Workspace, config: Config) -> Result<Self, AppError> {
        workspace.create()?;
        let keys = if workspace.database().exists() {
            Self::continued(&workspace).await?
        } else {
            Self::load_or_draw(&workspace)?
        };
        let mut app = Self::assemble(workspace, config, "init", keys).await?;
        let identity = app.engine.store.identity().await?;
        if app.engine.store.ledger_head().await?.is_none() {
            let database_id = *identity.database_id.as_bytes();
            app.engine.high_water.found(database_id, identity.incarnation)?;
        }
        app.rewound = app.engine.guard().await?;
        app.engine.check_keys().await?;
        let own = app.engine.workspace.config_file();
        if !own.exists() {
            app.engine.workspace.write_new(&own, &starter())?;
        }
        Ok(app)
    }

    /// The keys of a workspace whose `init` was cut short.
    async fn continued(workspace: &Workspace) -> Result<Keyring, AppError> {
        let store = open_store(workspace, Advance::default(), "init").await?;
        let (operators, known) = (store.operators().await?, store.keys().await?);
        store.close().await;
        if !operators.is_empty() {
            return Err(AppError::Exists { folder: workspace.root().display().to_string() });
        }
        if known.is_empty() {
            Self::load_or_draw(workspace)
        } else {
            Ok(Keyring::load(&workspace.keys())?)
        }
    }

    fn load_or_draw(workspace: &Workspace) -> Result<Keyring, AppError> {
        let has_key = |purpose: KeyPurpose| workspace.keys().join(purpose.file_name()).exists();
        Ok(if KeyPurpose::ALL.into_iter().any(has_key) {
            Keyring::load(&workspace.keys())?
        } else {
            Keyring::create(&workspace.keys(), &mut rand::rng())?
        })
    }

    /// Draws the keys of a workspace whose database knows none yet.
    pub async fn make_keys(workspace: &Workspace) -> Result<Keyring, AppError> {
        if workspace.database().exists() {
            let store = open_store(workspace, Advance::default(), "init").await?;
            let known = store.keys().await?;
            store.close().await;
            if !known.is_empty() {
                return Err(AppError::KeysKnown);
            }
        }
        Ok(Keyring::create(&workspace.keys(), &mut rand::rng())?)
    }

    async fn assemble(
        workspace: Workspace,
        config: Config,
        writer: &str,
        keys: Keyring,
    ) -> Result<Self, AppError> {
        let advance = Advance::default();
        let store = open_store(&workspace, Arc::clone(&advance), writer)
            .await?
            .waiting(config.database_wait);
        let identity = store.identity().await?;
        let copies = high_water_copies(&workspace, config.state_home.as_deref(), &identity);
        let high_water = Arc::new(HighWaterKeeper::open(copies)?);
        let _ = advance.set((Arc::clone(&high_water), identity));
        let engine = Engine {
            store: Arc::new(store.clone()),
            keys: Arc::new(keys),
            clock: Arc::new(SystemClock),
            workspace,
            relay: config.relay,
            providers: Arc::new(config.providers),
            replies: Arc::new(config.replies),
            worker: config.worker,
            test_addresses: config.test_addresses.into(),
            high_water,
            shipped_templates: SHIPPED,
            last_notice: Arc::default(),
        };
        Ok(Self { engine, rewound: None, store })
    }

    /// Closes the database, so that its file is whole, and makes the high-water mark last.
    pub async fn close(self) {
        self.store.close().await;
        if let Err(error) = self.engine.high_water.sync() {
            tracing::warn!(%error, "the high-water mark may not survive this machine");
        }
    }
}

async fn open_store(
    workspace: &Workspace,
    advance: Advance,
    writer: &str,
) -> Result<SqliteStore, StoreError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let on_batch: OnBatch = Arc::new(move |mark| note(&advance, mark));
    SqliteStore::open(&workspace.database(), true, clock, on_batch, writer).await
}

/// Remembers a committed batch. A commit cannot be taken back, so a mark that can't be moved is told
/// and no more; the next start compares it with the database before anything is sent.
fn note(advance: &Advance, mark: LedgerMark) {
    let Some((keeper, identity)) = advance.get() else { return };
    let moved = keeper.advance(&HighWater {
        database_id: *identity.database_id.as_bytes(),
        incarnation: identity.incarnation,
        batch_id: mark.batch_id,
        batch_sha256: mark.sha256,
    });
    if let Err(error) = moved {
        tracing::error!(%error, batch = mark.batch_id, "the high-water mark was not moved");
    }
}

/// One copy beside the database, one where a restored workspace does not reach.
fn high_water_copies(
    workspace: &Workspace,
    state_home: Option<&Path>,
    identity: &DatabaseIdentity,
) -> Vec<PathBuf> {
    let id = identity.database_id.to_string();
    let of_host = state_home.map(|state| state.join("forthwith").join(id).join("high-water"));
    std::iter::once(workspace.high_water()).chain(of_host).collect()
}

#[cfg(test)]
mod tests;
