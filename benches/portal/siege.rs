//! Attackers: who asks for codes far too often while people come for theirs, and who guesses at everybody's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forthwith::domain::track::Track;
use forthwith::engine::portal::{Asked, Portal, Typed};
use forthwith::engine::progress::Silent;
use forthwith::secret::code::ResetCode;
use forthwith::secret::keyring::Keyring;
use forthwith::secret::mail::reference;
use forthwith::secret::visit::Visit;
use forthwith::store::credentials::Pick;
use futures_util::{StreamExt as _, stream};
use rand::RngExt as _;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::form;
use crate::harness::process::Process;
use crate::harness::running::until;
use crate::harness::tampering::query;
use crate::harness::visitor::address;
use crate::harness::{CAMPAIGN, House, Plan, campaign_file};
use crate::mails::Mails;
use crate::pages::{self, Served};
use crate::resets::browser;
use crate::table::Table;

/// Requests of attackers a second.
const FLOOD: u32 = 500;
/// People who come meanwhile, and in what time.
const PEOPLE: u32 = 1_000;
const COME_FOR: Duration = Duration::from_mins(1);
/// When somebody should hold their code.
const SOON: Duration = Duration::from_mins(1);
/// The pace of the campaign, which goes on.
const PACE: u32 = 100;
const CUSTOMERS: u32 = 16_000;
/// Visits of a guesser at the same time.
const AT_ONCE: usize = 8;

/// Attackers ask for codes by the addresses of people, from many networks, half of them with a reference number
/// that they made up; people come for their codes; the campaign sends.
pub async fn flood(table: &mut Table) {
    let pace = format!("per_second = {PACE}");
    let campaign = campaign_file("").replace("per_second = 2000", &pace);
    let house = House::ready(Plan { customers: CUSTOMERS, campaign, ..Plan::default() }).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let port = pages::settle(&house);
    let run = Process::run(&house);
    let told = async || house.engine.status(CAMPAIGN).await.unwrap().deliveries.told;
    until("some are told", async || told().await > u64::from(PEOPLE) * 11 / 10).await;
    let served = Served::of(house, port).await;
    let before = pace_of(&served.house, Duration::from_secs(10)).await;

    let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let attack = tokio::spawn(attack(served.root.clone(), Arc::clone(&is_over), Arc::clone(&sent)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (began, asked_before) = (Instant::now(), sent.load(Ordering::Relaxed));
    let told_before = told_now(&served.house).await;
    let mut took = people(&served).await;
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let [asked, told] = [
        (sent.load(Ordering::Relaxed) - asked_before) as f64 / seconds,
        (told_now(&served.house).await - told_before) as f64 / seconds,
    ];
    is_over.store(true, Ordering::Relaxed);
    attack.await.unwrap();
    run.kill();

    took.sort();
    let soon = took.iter().flatten().filter(|took| **took <= SOON).count();
    let with_code: Vec<Duration> = took.iter().flatten().copied().collect();
    let at = |share: usize| with_code[(with_code.len() - 1) * share / 100];
    table.goal(
        &format!(
            "{asked:.0} attackers' requests for codes a second while {PEOPLE} people come in {} s",
            COME_FOR.as_secs()
        ),
        &format!(
            "{soon} hold a code that opens within {} s; p50 {:.1?}, p99 {:.1?}, slowest {:.1?}",
            SOON.as_secs(),
            at(50),
            at(99),
            at(100)
        ),
        "≥ 99 %",
        soon * 100 >= PEOPLE as usize * 99,
    );
    table.goal(
        "… notices a second meanwhile, and before",
        &format!("{told:.1}, {before:.1}"),
        "≥ 98 % of before",
        told >= before * 0.98,
    );
}

async fn told_now(house: &House) -> u64 {
    house.engine.status(CAMPAIGN).await.unwrap().deliveries.told
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
async fn pace_of(house: &House, time: Duration) -> f64 {
    let (began, before) = (Instant::now(), told_now(house).await);
    tokio::time::sleep(time).await;
    (told_now(house).await - before) as f64 / began.elapsed().as_secs_f64()
}

/// So many requests a second, each from another network, until it is over.
async fn attack(root: String, is_over: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    // numbers in the right form, of nobody
    let folder = tempfile::tempdir().unwrap();
    let keys = Keyring::create(&folder.path().join("keys"), &mut rand::rng()).unwrap();
    let made_up = || reference(keys.mail(), &Uuid::nil(), rand::random()).to_string();
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let start = client.get(format!("{root}/reset")).send().await.unwrap();
    let cookie =
        start.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let html = start.text().await.unwrap();
    let (action, proof) = form::action(&html).unwrap();
    let (url, proof) = (format!("{root}{action}"), proof.to_owned());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / FLOOD);
    let mut under_way = JoinSet::new();
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let network: [u8; 3] = rand::random();
        let from = format!("{}.{}.{}.9", network[0] % 100 + 100, network[1], network[2]);
        let whom = address(rand::rng().random_range(1..CUSTOMERS));
        let mut fields = vec![("proof", proof.clone()), ("address", whom)];
        if rand::random() {
            fields.push(("reference", made_up()));
        }
        let request = client
            .post(&url)
            .header(COOKIE, &cookie)
            .header("x-forwarded-for", from)
            .form(&fields)
            .send();
        let sent = Arc::clone(&sent);
        under_way.spawn(async move {
            let response = request.await.unwrap();
            let status = response.status();
            let is_taken = status == StatusCode::SEE_OTHER;
            assert!(is_taken || status == StatusCode::UNPROCESSABLE_ENTITY, "{status}");
            sent.fetch_add(1, Ordering::Relaxed);
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

/// People come evenly; how long each waited until a code opened the form, `None` for whom none did.
async fn people(served: &Served) -> Vec<Option<Duration>> {
    let known: Vec<(i64, Vec<u8>)> = query(
        &served.house.database(),
        "SELECT d.number, r.body FROM delivery AS d
         JOIN credential AS c USING (campaign_id, number)
         JOIN campaign ON campaign.id = d.campaign_id
         JOIN recipient AS r ON r.seal_id = campaign.seal_id AND r.number = d.number
         WHERE d.class = 'told' AND c.kind = 'password' AND c.class = 'expired'",
    )
    .await;
    let engine = &served.house.engine;
    let (_, sealed) = engine.people(CAMPAIGN).await.unwrap();
    let mails = Arc::new(Mutex::new(Mails::at(&served.house.maildir)));
    let mut coming = JoinSet::new();
    let mut ticks = tokio::time::interval(COME_FOR / PEOPLE);
    for (place, (number, body)) in known.into_iter().take(PEOPLE as usize).enumerate() {
        ticks.tick().await;
        let number = number.unsigned_abs();
        let recipient = sealed.open(number, &body).unwrap();
        let person = Coming {
            root: served.root.clone(),
            client: browser(place),
            address: recipient.address.unwrap().as_str().to_owned(),
            reference: reference(engine.keys.mail(), &sealed.uuid, number).to_string(),
            mails: Arc::clone(&mails),
        };
        coming.spawn(person.come());
    }
    coming.join_all().await
}

/// Somebody on their way to a code.
struct Coming {
    root: String,
    client: Client,
    address: String,
    /// The number on their notice.
    reference: String,
    mails: Arc<Mutex<Mails>>,
}

impl Coming {
    /// Asks as people do: by the address, with the notice's number where the page asks for it, then by every
    /// code that comes, until one opens the form.
    async fn come(self) -> Option<Duration> {
        let began = Instant::now();
        let start = self.page("/reset").await;
        let before = self.codes().len();
        let mut shown = self.send(&start, &[("address", &self.address)]).await;
        if shown.contains("name=\"reference\"") {
            let both = [("address", self.address.as_str()), ("reference", &self.reference)];
            shown = self.send(&shown, &both).await;
        }
        let mut tried = before;
        while began.elapsed() < SOON + SOON {
            for code in self.codes().into_iter().skip(tried) {
                tried += 1;
                let opened = self.send(&shown, &[("code", &code)]).await;
                if opened.contains("name=\"password\"") {
                    return Some(began.elapsed());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    fn codes(&self) -> Vec<String> {
        let mut mails = self.mails.lock().unwrap();
        mails.to(&self.address).unwrap().iter().filter_map(|mail| mail.code.clone()).collect()
    }

    async fn page(&self, path: &str) -> String {
        let url = format!("{}{path}", self.root);
        self.client.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn send(&self, html: &str, fields: &[(&str, &str)]) -> String {
        let (action, proof) = form::action(html).unwrap();
        let mut filled = vec![("proof", proof)];
        filled.extend(fields);
        let request = self.client.post(format!("{}{action}", self.root)).form(&filled);
        let response = request.send().await.unwrap();
        match response.headers().get(LOCATION) {
            Some(place) => self.page(place.to_str().unwrap()).await,
            None => response.text().await.unwrap(),
        }
    }
}

/// For each of so many accounts somebody asks for a code and types five others.
pub async fn guesses(table: &mut Table, accounts: u32) {
    let alarms = Alarms::listen();
    let house = House::furnished(Plan { customers: accounts, ..Plan::default() }).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let served = house.portal().await;
    let (began, mut taken) = (Instant::now(), 0_u64);
    let everybody: Vec<u32> = (1..=accounts).collect();
    for part in everybody.chunks(200) {
        let visits: Vec<Visit> = part.iter().map(|_| Visit::draw(&mut rand::rng())).collect();
        for (place, visit) in part.iter().zip(&visits) {
            let asked = Asked {
                visit,
                address: &address(*place).parse().unwrap(),
                network: "198.51.100.0/24",
                reference: None,
                locale: "en",
            };
            served.portal.ask(&asked).await.unwrap();
        }
        while served.portal.answer_requests().await.unwrap() > 0 {}
        let opened = stream::iter(&visits).map(|visit| five(&served.portal, visit));
        taken += opened.buffer_unordered(AT_ONCE).fold(0, async |all, one| all + one).await;
    }
    let sql = "SELECT SUM(count) FROM portal_count WHERE event = 'wrong-code' AND campaign_id > 0";
    let [(wrong,)] = query::<(i64,)>(&house.database(), sql).await[..] else { return };
    let (codes, fired) = (count(&house).await, alarms.count());
    table.goal(
        &format!("{accounts} accounts, a code asked for each, five others typed"),
        &format!(
            "{codes} codes, {wrong} wrong ones counted, {taken} accounts taken over, {fired} alarms; {:.0} \
             tries/s",
            f64::from(accounts) * 5.0 / began.elapsed().as_secs_f64()
        ),
        "0 taken over, the counter fires",
        taken == 0 && fired > 0,
    );
}

/// Types five codes that were drawn by chance; how many opened the form.
async fn five(portal: &Portal, visit: &Visit) -> u64 {
    let mut opened = 0;
    for _ in 0..5 {
        let code = rand::rng().random_range(0..1_000_000_000_000_u64);
        let code = ResetCode::parse(&format!("{code:012}")).unwrap();
        opened += u64::from(portal.try_code(visit, &code).await.unwrap() == Typed::Right);
    }
    opened
}

async fn count(house: &House) -> i64 {
    let sql = "SELECT COUNT(*) FROM code_request WHERE answer = 'code'";
    query::<(i64,)>(&house.database(), sql).await[0].0
}

/// What the log says of guessing, counted.
#[derive(Clone, Default)]
struct Alarms(Arc<AtomicU64>);

impl Alarms {
    fn listen() -> Self {
        let alarms = Self::default();
        let counting = alarms.clone();
        let logging = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || counting.clone());
        tracing::subscriber::set_global_default(logging.finish()).unwrap();
        alarms
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl std::io::Write for Alarms {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.fetch_add(u64::from(text.contains("somebody is guessing")), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
