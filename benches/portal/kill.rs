//! The secure pass on a company's own `PostgreSQL`, and on LDAP and `http` over a wire of 5 ms.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::secret::password::{Params, Password, PasswordForm};
use forthwith::store::credentials::Pick;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::files::campaign_file;
use crate::harness::database::{Database, Kind};
use crate::harness::endpoint::Endpoint;
use crate::harness::slapd::{Holding, SUFFIX, Slapd};
use crate::harness::tampering::query;
use crate::harness::wire::Wire;
use crate::harness::{CAMPAIGN, House, Plan, write};
use crate::table::Table;

/// To the server and back.
const LATENCY: Duration = Duration::from_millis(5);
/// Operations at once.
const CONCURRENCY: u32 = 8;

/// Measures each.
pub async fn measure(table: &mut Table) {
    let rate = postgres(100_000).await;
    table.goal(
        "secure pass with read-back, 100,000 accounts, PostgreSQL",
        &format!("{rate:.0} accounts/s"),
        "≥ 10,000/s",
        rate >= 10_000.0,
    );
    let most = f64::from(CONCURRENCY) / LATENCY.as_secs_f64();
    let share =
        |rate: f64| format!("{rate:.0}/s, {:.0} % of {CONCURRENCY} ÷ 5 ms", rate / most * 100.0);
    let pings = Pings::start().await;
    let rate = ldap(30_000).await;
    let what = "secure pass with read-back, 30,000 entries, OpenLDAP with its policy, 5 ms away";
    table.goal(what, &share(rate), "≥ 80 %", rate >= most * 0.8);
    let took = pings.median().await;
    table.row(
        "… what the wire took meanwhile for an octet and its echo",
        &format!("p50 {took:.1?}"),
    );
    let rate = http(10_000, 1).await;
    let what =
        "secure pass with read-back, 10,000 accounts, `http`, 5 ms away, a row a request: requests";
    table.goal(what, &share(rate), "≥ 80 %", rate >= most * 0.8);
    let rate = http(20_000, 100).await / 3.0 * 100.0;
    table.row(
        "… 20,000 accounts, 100 rows a request (the default)",
        &format!("{rate:.0} accounts/s"),
    );
}

/// A house over that directory, approved for containment, and who has a password.
async fn contained(house: &House, directory: &str) {
    let file = campaign_file("");
    let (head, rest) = file.split_once("[directory.sql]").unwrap();
    let tail = rest.split_once("[notice]").unwrap().1;
    let path = house.engine.workspace.campaign_file(CAMPAIGN).0;
    write(&path, &format!("{head}{directory}\n[notice]{tail}"));
    house.seal().await;
    house.approve(Track::Containment).await;
}

/// Everybody a second, from the start of the pass to its end.
async fn pass(house: &House, people: u32) -> f64 {
    let began = Instant::now();
    assert!(house.secure(Pick::Pending, &Silent).await.unwrap().is_done);
    f64::from(people) / began.elapsed().as_secs_f64()
}

async fn furnished(customers: u32) -> (House, Vec<(String, bool)>) {
    let house = House::furnished(Plan { customers, ..Plan::default() }).await;
    let found: Vec<(String, Option<String>)> =
        query(&house.shop, "SELECT id, password_hash FROM customer").await;
    (house, found.into_iter().map(|(id, hash)| (id, hash.is_some())).collect())
}

async fn postgres(people: u32) -> f64 {
    let (house, _) = furnished(people).await;
    let database = Database::start(Kind::Postgres, None).await;
    database.stock(&house).await;
    database.admin().await.execute("ANALYZE").await;
    contained(&house, &database.directory()).await;
    pass(&house, people).await
}

async fn ldap(people: u32) -> f64 {
    let (house, customers) = furnished(people).await;
    let hash = PasswordForm::LdapArgon2
        .hash(
            &Password::new("an old password".into()),
            Params::new(64, 1, 1).unwrap(),
            &mut rand::rng(),
        )
        .unwrap()
        .expose()
        .to_owned();
    let people: Vec<_> = customers
        .iter()
        .map(|(id, has)| (id.clone(), "-", if *has { hash.clone() } else { "-".into() }))
        .collect();
    let count = u32::try_from(people.len()).unwrap();
    let slapd = Slapd::start(&Holding { people, ..Holding::default() });
    let entry = house.engine.marker_entry(SUFFIX).await.unwrap();
    slapd.modify(&entry.replacen('\n', "\nchangetype: add\n", 1));
    let wire = Wire::to(slapd.port(), LATENCY / 2).await;
    let table =
        format!("[directory.ldap]\n{}concurrency = {CONCURRENCY}\n", slapd.table(wire.port()));
    contained(&house, &table).await;
    pass(&house, count).await
}

/// Requests a second.
async fn http(people: u32, rows: u32) -> f64 {
    let (house, customers) = furnished(people).await;
    let endpoint = Endpoint::start().await;
    let hash = "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
                zL2wVdFJq5PMbp7wGqzT1MTdBd0P1pRQbJm6yq3bU8s";
    for (id, has) in &customers {
        endpoint.put(id, has.then(|| hash.to_owned()), 1);
    }
    // what an endpoint takes in one call where it says nothing of it
    endpoint.inside().batch = 1_000;
    endpoint.inside().rehearsal =
        Some(house.engine.store.identity().await.unwrap().database_id.to_string());
    let wire = Wire::to(endpoint.port(), LATENCY / 2).await;
    let mut table = format!("[directory.http]\n{}", endpoint.table(wire.port()));
    writeln!(table, "rows_per_request = {rows}\nconcurrency = {CONCURRENCY}").unwrap();
    contained(&house, &table).await;
    let before = endpoint.inside().requests;
    let began = Instant::now();
    pass(&house, people).await;
    let made = u32::try_from(endpoint.inside().requests - before).unwrap();
    f64::from(made) / began.elapsed().as_secs_f64()
}

/// An octet that goes to an echo and back over a wire of its own, again and again: what the delay comes to on
/// a machine that is busy.
struct Pings {
    is_over: Arc<AtomicBool>,
    pinging: JoinHandle<Vec<Duration>>,
}

impl Pings {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut from, mut to) = listener.accept().await.unwrap().0.into_split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
        let is_over = Arc::<AtomicBool>::default();
        let ends = Arc::clone(&is_over);
        let pinging = tokio::spawn(async move {
            let wire = Wire::to(port, LATENCY / 2).await;
            let mut line = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
            line.set_nodelay(true).unwrap();
            let mut took = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                let began = Instant::now();
                line.write_all(b"x").await.unwrap();
                line.read_u8().await.unwrap();
                took.push(began.elapsed());
            }
            took
        });
        Self { is_over, pinging }
    }

    async fn median(self) -> Duration {
        self.is_over.store(true, Ordering::Relaxed);
        let mut took = self.pinging.await.unwrap();
        took.sort();
        took[took.len() / 2]
    }
}
