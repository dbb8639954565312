//! A whole house per test: workspace, shop, sink, engine, two founders.

pub mod amending;
pub mod audience;
pub mod browser;
pub mod confined;
pub mod crowd;
pub mod database;
pub mod django;
pub mod endpoint;
pub mod exim;
pub mod files;
pub mod foreign;
pub mod form;
pub mod guests;
pub mod keycloak;
pub mod kratos;
pub mod link;
pub mod opensmtpd;
pub mod postfix;
pub mod process;
pub mod rewound;
pub mod running;
pub mod slapd;
pub mod snapshot;
pub mod stage;
pub mod table;
pub mod tampering;
pub mod tiny_disk;
pub mod visitor;
pub mod wire;
pub mod wordpress;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use forthwith::directory::shop::{self, ShopFacts, ShopSpec};
use forthwith::domain::clock::{Clock, SystemClock};
use forthwith::domain::track::Track;
use forthwith::engine::operators::Person;
use forthwith::engine::progress::Silent;
use forthwith::engine::tracks::RunReport;
use forthwith::engine::{Engine, EngineError, WorkerSettings, Workspace};
use forthwith::journal::{HighWater, HighWaterKeeper};
use forthwith::mail::settings::RelaySettings;
use forthwith::secret::keyring::Keyring;
use forthwith::secret::password::Password;
use forthwith::sink::{MailStore, Settings, Sink};
use forthwith::store::LedgerMark;
use forthwith::store::campaigns::Campaigns as _;
use forthwith::store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub use files::{INCIDENT, campaign_file};

pub const CAMPAIGN: &str = "thaw";
pub const ANN: &str = "ann";
pub const BOB: &str = "bob";

/// A house with everything in place and nothing done yet.
pub struct House {
    pub dir: TempDir,
    pub engine: Engine,
    pub shop: PathBuf,
    pub facts: ShopFacts,
    pub sink: Sink,
    /// Where the sink keeps what it took.
    pub maildir: PathBuf,
}

/// How a house is to be furnished.
pub struct Plan {
    pub customers: u32,
    pub marker: bool,
    pub faults: Vec<&'static str>,
    pub clock: Arc<dyn Clock>,
    pub campaign: String,
    pub dot_delay: Duration,
    /// The folder that the house is to stand in; its mail then lies outside of it, in `maildir`.
    pub ground: Option<Ground>,
}

/// A place for a house that is moved, or whose disk becomes full.
#[derive(Debug, Clone)]
pub struct Ground {
    pub under: PathBuf,
    pub maildir: PathBuf,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            customers: 60,
            marker: true,
            faults: Vec::new(),
            clock: Arc::new(SystemClock),
            campaign: campaign_file(""),
            dot_delay: Duration::ZERO,
            ground: None,
        }
    }
}

/// A campaign file whose passwords are those of a view, so that a trigger decides what an update does.
pub fn over_view(campaign: &str) -> String {
    campaign
        .replace("JOIN customer AS c", "JOIN login AS c")
        .replace("UPDATE customer SET", "UPDATE login SET")
        .replace("customer.id =", "login.id =")
        .replace("customer.password_hash =", "login.password_hash =")
}

/// SQL of that view, and of the customers it updates.
pub fn view_that_updates(whom: &str) -> String {
    format!(
        "DROP VIEW IF EXISTS login;
         CREATE VIEW login AS SELECT id, password_hash FROM customer;
         CREATE TRIGGER take INSTEAD OF UPDATE ON login BEGIN
             UPDATE customer SET password_hash = NEW.password_hash WHERE {whom};
         END;"
    )
}

impl House {
    pub async fn furnished(plan: Plan) -> Self {
        let (dir, maildir) = if let Some(ground) = plan.ground {
            (tempfile::tempdir_in(ground.under).unwrap(), ground.maildir)
        } else {
            let dir = tempfile::tempdir().unwrap();
            let maildir = dir.path().join("maildir");
            (dir, maildir)
        };
        let workspace = Workspace::at(dir.path());
        workspace.create().unwrap();
        copy_templates(&workspace.templates());
        let sink = start_sink(&maildir, &plan.faults, plan.dot_delay).await;
        let engine = engine(&workspace, sink.addr().port(), Arc::clone(&plan.clock), true).await;
        engine.found([person(ANN), person(BOB)]).await.unwrap();
        let shop = dir.path().join("shop.db");
        let marker = engine.store.identity().await.unwrap().database_id.to_string();
        let spec =
            ShopSpec { customers: plan.customers, marker: plan.marker.then_some(marker), seed: 7 };
        let facts = shop::create(&shop, &spec).await.unwrap();
        shop::export(&shop, &dir.path().join("affected.csv")).await.unwrap();
        write(&workspace.incident_file("cold-night").0, INCIDENT);
        write(&workspace.campaign_file(CAMPAIGN).0, &plan.campaign);
        Self { dir, engine, shop, facts, sink, maildir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub async fn seal(&self) {
        self.engine.seal(CAMPAIGN, &Silent).await.unwrap();
    }

    pub async fn sign(&self, track: Track, who: &str) -> Result<bool, EngineError> {
        let signer = self.engine.signer(person(who)).await?;
        Ok(self.engine.approve(CAMPAIGN, track, &signer).await?.is_complete)
    }

    pub async fn approve(&self, track: Track) {
        if track == Track::Notice {
            self.keep_sealed_rows().await;
        }
        self.engine.plan(CAMPAIGN, track, false).await.unwrap();
        assert!(!self.sign(track, ANN).await.unwrap());
        assert!(self.sign(track, BOB).await.unwrap());
    }

    /// Sealed and approved on both tracks.
    pub async fn ready(plan: Plan) -> Self {
        let house = Self::furnished(plan).await;
        house.make_ready().await;
        house
    }

    /// Sealed, and approved by both for both tracks.
    pub async fn make_ready(&self) {
        self.seal().await;
        self.approve(Track::Containment).await;
        self.approve(Track::Notice).await;
    }

    pub async fn run(&self) -> Result<RunReport, EngineError> {
        self.engine.run(CAMPAIGN, &Silent, &CancellationToken::new()).await
    }

    /// What the sink took: (queue id, recipient, message id) a line.
    pub fn taken(&self) -> Vec<(String, String, String)> {
        let log = self.maildir.join("accepted.log");
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.lines()
            .map(|line| {
                let mut parts = line.split('\t').map(str::to_owned);
                let mut part = || parts.next().unwrap_or_default();
                (part(), part(), part())
            })
            .collect()
    }

    /// Every line of the ledger so far, in order.
    pub async fn ledger_lines(&self) -> Vec<String> {
        use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
        let file = SqliteConnectOptions::new().filename(self.engine.workspace.database());
        let mut conn = SqliteConnection::connect_with(&file.read_only(true)).await.unwrap();
        let batches: Vec<(Vec<u8>,)> =
            sqlx::query_as("SELECT entries FROM ledger_batch ORDER BY id")
                .fetch_all(&mut conn)
                .await
                .unwrap();
        let text = |(entries,): (Vec<u8>,)| String::from_utf8(entries).unwrap();
        batches
            .into_iter()
            .map(text)
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Every mail the sink keeps, as text.
    pub fn mails(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.maildir.join("new")) else {
            return Vec::new();
        };
        entries
            .map(|entry| {
                String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned()
            })
            .collect()
    }
}

/// The binary, without the variables that steer the tests: it refuses settings it does not know.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forthwith"));
    for steering in [
        "FORTHWITH_DATA",
        "FORTHWITH_HTML_TO",
        "FORTHWITH_SNAPSHOTS",
        "FORTHWITH_TEST_PYTHON",
        "FORTHWITH_TEST_SERVERS",
    ] {
        command.env_remove(steering);
    }
    command
}

/// Asks a process to stop, as a service manager does: by the shell's own `kill`, since not every machine
/// has the program.
pub fn terminate(child: &std::process::Child) {
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

pub fn person(name: &str) -> Person {
    Person { name: name.into(), password: Password::new(format!("the long password of {name}")) }
}

pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A file with a secret, for its owner alone.
pub fn secret_file(path: &Path, secret: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    write(path, secret);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_owned()
}

/// Every file under a folder.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found
}

pub async fn start_sink(maildir: &Path, faults: &[&str], dot_delay: Duration) -> Sink {
    let rules: Vec<forthwith::sink::FaultRule> =
        faults.iter().map(|text| text.parse().unwrap()).collect();
    let settings = Settings {
        store: MailStore::Maildir(maildir.to_owned()),
        faults: rules.into(),
        seed: 11,
        dot_delay,
        ..Settings::counting("127.0.0.1:0".parse().unwrap())
    };
    Sink::start(settings).await.unwrap()
}

/// Opens a workspace's engine the way the composition root does, on the clock given.
pub async fn engine(workspace: &Workspace, port: u16, clock: Arc<dyn Clock>, new: bool) -> Engine {
    let keys = if new {
        Keyring::create(&workspace.keys(), &mut rand::rng()).unwrap()
    } else {
        Keyring::load(&workspace.keys()).unwrap()
    };
    let keeper = Arc::new(HighWaterKeeper::open([workspace.high_water()]).unwrap());
    let identity = Arc::new(OnceLock::new());
    let (advancing, known) = (Arc::clone(&keeper), Arc::clone(&identity));
    let on_batch = Arc::new(move |mark: LedgerMark| {
        if let Some((database_id, incarnation)) = known.get() {
            let mark = HighWater {
                database_id: *database_id,
                incarnation: *incarnation,
                batch_id: mark.batch_id,
                batch_sha256: mark.sha256,
            };
            advancing.advance(&mark).unwrap();
        }
    });
    let store = SqliteStore::open(&workspace.database(), new, Arc::clone(&clock), on_batch, "test")
        .await
        .unwrap();
    let known = store.identity().await.unwrap();
    let _ = identity.set((*known.database_id.as_bytes(), known.incarnation));
    let hello = "localhost".to_owned().try_into().unwrap();
    let mut relay = RelaySettings::new("127.0.0.1", port, hello);
    relay.connections = 8;
    let engine = Engine {
        store: Arc::new(store),
        keys: Arc::new(keys),
        clock,
        workspace: workspace.clone(),
        relay,
        providers: Arc::new(toml::from_str(files::PROVIDERS).unwrap()),
        replies: Arc::new(forthwith::config::replies::shipped().unwrap()),
        worker: WorkerSettings { window: 256, lease_for: Duration::from_mins(1) },
        high_water: keeper,
        test_addresses: Arc::new([]),
        shipped_templates: &[],
        last_notice: Arc::default(),
    };
    engine.guard().await.unwrap();
    engine
}

fn copy_templates(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    copy(&from, to);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
