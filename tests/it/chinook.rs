//! A music shop's customers, told through a mail server that is not ours: the real Chinook database
//! where `FORTHWITH_DATA` names its folder, else one of the same form.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use forthwith::domain::track::Track;
use forthwith::engine::Engine;
use forthwith::engine::progress::Silent;
use forthwith::secret::password::{self, Params, Password};
use mail_parser::{MessageParser, MimeHeaders as _};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::harness::files_under;
use crate::harness::foreign::{Aiosmtpd, real_data, workspace};
use crate::harness::{ANN, BOB, person, write};

mod texts;

use texts::{CAMPAIGN_FILE, INCIDENT, OTHERS, SAID, TOLD};

const CAMPAIGN: &str = "listeners";

/// Everyone with an invoice dated on or after the day the code was planted.
const AFFECTED: &str = "SELECT DISTINCT Customer.CustomerId AS account, Customer.Email AS email,
       Customer.FirstName || ' ' || Customer.LastName AS name,
       CASE WHEN Customer.State IS NULL THEN Customer.Country
            ELSE Customer.Country || '/' || Customer.State END AS region
FROM Customer JOIN Invoice ON Invoice.CustomerId = Customer.CustomerId
WHERE Invoice.InvoiceDate >= '2025-09-01' ORDER BY Customer.CustomerId";

/// The language of a region, as the campaign file maps it.
fn language(region: &str) -> &'static str {
    let country = region.split('/').next().unwrap();
    match (country, region) {
        ("France" | "Belgium", _) | (_, "Canada/QC") => "fr",
        ("Germany" | "Austria", _) => "de",
        ("Spain" | "Argentina", _) => "es",
        ("Portugal" | "Brazil", _) => "pt",
        _ => "en",
    }
}

fn by_language(listeners: &[Listener]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for one in listeners {
        *counts.entry(language(&one.region)).or_default() += 1;
    }
    counts
}

fn plain_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One of the 23.
struct Listener {
    account: i64,
    email: String,
    name: String,
    region: String,
}

/// The shop, a workspace that knows it, and the mail server.
struct Shop {
    dir: TempDir,
    engine: Engine,
    server: Aiosmtpd,
    affected: Vec<Listener>,
}

impl Shop {
    async fn open() -> Self {
        let server = Aiosmtpd::start();
        let (dir, engine) = workspace(server.port()).await;
        let export = dir.path().join("export.sqlite");
        let directory = dir.path().join("directory.sqlite");
        match real_data() {
            Some(folder) => {
                std::fs::copy(folder.join("chinook.sqlite"), &export).unwrap();
            }
            None => like_chinook(&export).await,
        }
        std::fs::copy(&export, &directory).unwrap();
        let marker = engine.store.identity().await.unwrap().database_id.to_string();
        give_passwords(&directory, &marker).await;
        write(&engine.workspace.incident_file("payment-page").0, INCIDENT);
        let file = CAMPAIGN_FILE.replace("{query}", AFFECTED);
        write(&engine.workspace.campaign_file(CAMPAIGN).0, &file);
        let affected = affected(&export).await;
        Self { dir, engine, server, affected }
    }

    async fn approve(&self, track: Track) {
        self.engine.plan(CAMPAIGN, track, false).await.unwrap();
        for (who, completes) in [(ANN, false), (BOB, true)] {
            let signer = self.engine.signer(person(who)).await.unwrap();
            let approval = self.engine.approve(CAMPAIGN, track, &signer).await.unwrap();
            assert_eq!(approval.is_complete, completes);
        }
    }

    async fn run(&self) {
        let report = self.engine.run(CAMPAIGN, &Silent, &CancellationToken::new()).await.unwrap();
        assert!(report.is_finished, "{report:?}");
    }

    /// The customers whose old password still opens their account.
    async fn who_can_log_in(&self) -> Vec<i64> {
        let mut shop = open(&self.dir.path().join("directory.sqlite"), false).await;
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT customer_id, password_hash FROM credential ORDER BY 1")
                .fetch_all(&mut shop)
                .await
                .unwrap();
        assert_eq!(rows.len(), 59);
        let opens = |(id, hash): &(i64, String)| password::verify(&old_password(*id), hash);
        rows.iter().filter(|row| opens(row).unwrap()).map(|(id, _)| *id).collect()
    }

    /// Customers with a live session.
    async fn who_is_signed_in(&self) -> Vec<i64> {
        let mut shop = open(&self.dir.path().join("directory.sqlite"), false).await;
        sqlx::query_scalar("SELECT DISTINCT customer_id FROM session ORDER BY 1")
            .fetch_all(&mut shop)
            .await
            .unwrap()
    }

    fn untouched(&self) -> Vec<i64> {
        let affected: Vec<i64> = self.affected.iter().map(|one| one.account).collect();
        (1..=59).filter(|id| !affected.contains(id)).collect()
    }

    /// Everything that may not name a person: the database with its log, journals, state, ledger.
    async fn papers(&self) -> Vec<(String, String)> {
        let mut papers = Vec::new();
        for folder in ["data", "journal", "state"] {
            for file in files_under(&self.dir.path().join(folder)) {
                let bytes = std::fs::read(&file).unwrap();
                papers.push((file.display().to_string(), searchable(&bytes)));
            }
        }
        for (batch, line) in self.engine.store.ledger_lines(0, 100_000).await.unwrap() {
            papers.push((format!("ledger batch {batch}"), searchable(line.as_bytes())));
        }
        papers
    }
}

fn old_password(customer: i64) -> Password {
    Password::new(format!("the old password of {customer}"))
}

async fn open(file: &Path, new: bool) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(new);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Those the campaign must reach, asked of the export without Forthwith.
async fn affected(export: &Path) -> Vec<Listener> {
    let found = listeners(export, AFFECTED).await;
    assert_eq!(found.len(), 23);
    let languages = [("en", 14), ("es", 2), ("fr", 5), ("pt", 2)];
    assert_eq!(by_language(&found), languages.into());
    assert!(found.iter().filter(|one| !one.name.is_ascii()).count() >= 3, "names with accents");
    found
}

async fn listeners(export: &Path, query: &str) -> Vec<Listener> {
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(query))
        .fetch_all(&mut open(export, false).await)
        .await
        .unwrap();
    rows.into_iter()
        .map(|(account, email, name, region)| Listener { account, email, name, region })
        .collect()
}

/// A shop of the same form: 59 customers, every one with an old invoice, 23 with one in the window.
async fn like_chinook(file: &Path) {
    const FIRST: [&str; 8] =
        ["François", "Bjørn", "Helena", "Jürgen", "Terhi", "Zoë", "Łukasz", "Mark"];
    const LAST: [&str; 7] =
        ["Wichterlová", "O'Neill", "Hämäläinen", "Gonçalves", "van der Meer", "Nuñez", "Clarke"];
    let mut shop = open(file, true).await;
    shop.execute(
        "CREATE TABLE Customer (CustomerId INTEGER NOT NULL PRIMARY KEY, FirstName TEXT NOT NULL,
             LastName TEXT NOT NULL, State TEXT, Country TEXT, Email TEXT NOT NULL);
         CREATE TABLE Invoice (InvoiceId INTEGER NOT NULL PRIMARY KEY, CustomerId INTEGER NOT NULL,
             InvoiceDate TEXT NOT NULL, Total NUMERIC NOT NULL);",
    )
    .await
    .unwrap();
    let (mut told, mut others) = (TOLD.iter(), OTHERS.iter());
    for id in 1_i64..=59 {
        let place = usize::try_from(id).unwrap();
        let is_in_window = id % 5 < 2 && id < 59;
        let homes = if is_in_window { &mut told } else { &mut others };
        let (country, state) = homes.next().copied().unwrap_or(("Norway", None));
        sqlx::query("INSERT INTO Customer VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(id)
            .bind(FIRST[place % FIRST.len()])
            .bind(LAST[place % LAST.len()])
            .bind(state)
            .bind(country)
            .bind(format!("listener.{id}@post{}.example", id % 5))
            .execute(&mut shop)
            .await
            .unwrap();
        // The last day before the window, its first instant, and a second one for some.
        let mut dates = vec!["2025-08-31 00:00:00"];
        if is_in_window {
            dates.push("2025-09-01 00:00:00");
        }
        if id % 10 == 0 {
            dates.push("2025-12-22 00:00:00");
        }
        for date in dates {
            sqlx::query(
                "INSERT INTO Invoice (CustomerId, InvoiceDate, Total) VALUES ($1, $2, 1.98)",
            )
            .bind(id)
            .bind(date)
            .execute(&mut shop)
            .await
            .unwrap();
        }
    }
}

/// The company's directory: a password and a session for every customer, and the rehearsal marker.
async fn give_passwords(file: &Path, marker: &str) {
    let mut shop = open(file, false).await;
    shop.execute(
        "CREATE TABLE credential (customer_id INTEGER PRIMARY KEY, password_hash TEXT);
         CREATE TABLE session (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL);
         CREATE TABLE forthwith_rehearsal (database_id TEXT);",
    )
    .await
    .unwrap();
    sqlx::query("INSERT INTO forthwith_rehearsal VALUES ($1)")
        .bind(marker)
        .execute(&mut shop)
        .await
        .unwrap();
    let (cheap, mut rng) = (Params::new(8, 1, 1).unwrap(), StdRng::seed_from_u64(59));
    let customers: Vec<i64> = sqlx::query_scalar("SELECT CustomerId FROM Customer ORDER BY 1")
        .fetch_all(&mut shop)
        .await
        .unwrap();
    for id in customers {
        sqlx::query("INSERT INTO credential VALUES ($1, $2)")
            .bind(id)
            .bind(password::hash(&old_password(id), cheap, &mut rng).unwrap())
            .execute(&mut shop)
            .await
            .unwrap();
        sqlx::query("INSERT INTO session (customer_id) VALUES ($1)")
            .bind(id)
            .execute(&mut shop)
            .await
            .unwrap();
    }
}

/// Bytes as text in which a secret is found in whatever case it was written. Journals are mostly
/// zeros, which are left out: what was one word still is.
fn searchable(bytes: &[u8]) -> String {
    let written: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&written).to_ascii_lowercase()
}

/// What every log line of this thread says, from the most talkative level on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn keep(&self) -> tracing::subscriber::DefaultGuard {
        let kept = self.clone();
        let logging = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || kept.clone());
        tracing::subscriber::set_default(logging.finish())
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One thread, so that the log of this test is the whole log of its engine.
#[tokio::test]
async fn everybody_with_an_invoice_in_the_window_is_secured_then_told() {
    let log = Log::default();
    let _logging = log.keep();
    let shop = Shop::open().await;
    shop.engine.seal(CAMPAIGN, &Silent).await.unwrap();
    shop.approve(Track::Containment).await;
    shop.approve(Track::Notice).await;
    assert_eq!(shop.who_can_log_in().await.len(), 59);
    shop.run().await;

    let status = shop.engine.status(CAMPAIGN).await.unwrap();
    assert!(status.source.balances() && status.deliveries.balances(), "{status:?}");
    assert_eq!((status.source.rows, status.source.sealed), (23, 23));
    assert_eq!(
        status.credentials,
        BTreeMap::from([("password/expired".to_owned(), 23), ("password/pending".to_owned(), 0)])
    );
    assert_eq!((status.deliveries.told, status.deliveries.machine_open()), (23, 0), "{status:?}");
    assert_eq!((status.containment, status.notice), ("done", "sending-finished"));
    assert_eq!(shop.who_can_log_in().await, shop.untouched(), "the 23 and nobody else");
    assert_eq!(shop.who_is_signed_in().await, shop.untouched());

    every_mail_is_right(&shop);
    nothing_names_a_person(&shop, &log).await;

    shop.run().await;
    assert_eq!(shop.server.envelopes().len(), 23, "a second run sends nothing");
    for one in &shop.affected {
        one_story_is_whole(&shop, one).await;
    }
}

/// 23 mails, one a person, in the foreign server's Maildir, whole after its own parsing.
fn every_mail_is_right(shop: &Shop) {
    let mut recipients: Vec<_> = shop.server.envelopes();
    for (sender, to) in &recipients {
        assert!(sender.starts_with("b-") && sender.ends_with("@quayside-records.example"));
        assert_eq!(to.len(), 1, "{to:?}");
    }
    recipients.sort_by(|a, b| a.1.cmp(&b.1));
    let mut wanted: Vec<&str> = shop.affected.iter().map(|one| one.email.as_str()).collect();
    wanted.sort_unstable();
    assert_eq!(recipients.iter().map(|(_, to)| to[0].as_str()).collect::<Vec<_>>(), wanted);

    let mails = shop.server.mails();
    assert_eq!(mails.len(), 23);
    for one in &shop.affected {
        let parsed: Vec<_> = mails
            .iter()
            .map(|mail| MessageParser::default().parse(mail).unwrap())
            .filter(|mail| mail.to().unwrap().first().unwrap().address() == Some(&one.email))
            .collect();
        let [mail] = parsed.as_slice() else { panic!("{} mails for {}", parsed.len(), one.name) };
        assert_eq!(mail.to().unwrap().first().unwrap().name(), Some(one.name.as_str()));
        assert_eq!(mail.header_raw("X-RcptTo").map(str::trim), Some(one.email.as_str()));
        let language = language(&one.region);
        assert_eq!(mail.header_raw("Content-Language").map(str::trim), Some(language));
        let (_, [subject, dear, expired, since]) =
            SAID.into_iter().find(|(known, _)| *known == language).unwrap();
        assert_eq!(mail.subject(), Some(subject));
        let has = |subtype| {
            let is = |part: &&mail_parser::MessagePart<'_>| part.is_content_type("text", subtype);
            mail.parts.iter().filter(is).count()
        };
        assert_eq!((has("plain"), has("html")), (1, 1));
        let text = plain_spaces(&mail.body_text(0).unwrap());
        for said in [&format!("{dear}{}", one.name), expired, since] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let html = plain_spaces(&mail.body_html(0).unwrap());
        let name = one.name.replace('\'', "&#x27;");
        let since = &since[since.find(|c: char| c.is_ascii_digit()).unwrap()..];
        for said in [&format!("{dear}{name}"), expired, since] {
            assert!(html.contains(said), "{said}: {html}");
        }
        assert!(html.starts_with(&format!("<!DOCTYPE html> <html lang=\"{language}\">")));
    }
}

/// The whole of the shop's customers, counted before anything is approved.
#[tokio::test]
async fn of_all_59_five_read_german_and_the_plan_says_so() {
    let shop = Shop::open().await;
    let everybody = AFFECTED.replace("WHERE Invoice.InvoiceDate >= '2025-09-01' ", "");
    let file = CAMPAIGN_FILE.replace("{query}", &everybody);
    write(&shop.engine.workspace.campaign_file(CAMPAIGN).0, &file);
    shop.engine.seal(CAMPAIGN, &Silent).await.unwrap();
    let plan = shop.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap();
    let census = plan.census.unwrap();
    let all = listeners(&shop.dir.path().join("export.sqlite"), &everybody).await;
    assert_eq!((all.len(), census.people), (59, 59));
    let expected: BTreeMap<String, u64> = by_language(&all)
        .into_iter()
        .map(|(language, count)| (language.to_owned(), u64::try_from(count).unwrap()))
        .collect();
    assert_eq!(census.locales, expected);
    assert_eq!(census.locales["de"], 5);
}

/// No address, no beginning of one, no name: in no file, no ledger entry, no line of the log.
async fn nothing_names_a_person(shop: &Shop, log: &Log) {
    let export = searchable(&std::fs::read(shop.dir.path().join("export.sqlite")).unwrap());
    let mut papers = shop.papers().await;
    assert!(papers.iter().any(|(name, _)| name.ends_with("forthwith.db-wal")));
    assert!(papers.iter().any(|(name, _)| name.contains("/journal/")));
    assert!(papers.iter().any(|(name, _)| name.contains("/state/")));
    assert!(papers.iter().filter(|(name, _)| name.starts_with("ledger")).count() >= 46);
    tracing::info!("the log is kept");
    let lines = searchable(&log.0.lock().unwrap());
    assert!(lines.contains("the log is kept"));
    papers.push(("the log".into(), lines));
    for one in &shop.affected {
        let email = searchable(one.email.as_bytes());
        assert!(export.contains(&email), "the search finds what is there");
        let (local, _) = email.split_once('@').unwrap();
        for secret in [&email, &format!("{local}@"), &searchable(one.name.as_bytes())] {
            for (name, paper) in &papers {
                assert!(!paper.contains(secret.as_str()), "{name} holds {secret}");
            }
        }
    }
}

/// Sealed, expired, told in one attempt that the server answered; found by address or account, and
/// shown without either's whole address.
async fn one_story_is_whole(shop: &Shop, one: &Listener) {
    let found = shop.engine.find(CAMPAIGN, &one.email).await.unwrap();
    assert_eq!(shop.engine.find(CAMPAIGN, &one.account.to_string()).await.unwrap(), found);
    let [number] = found[..] else { panic!("{found:?}") };
    let story = shop.engine.story(CAMPAIGN, number).await.unwrap();
    let text = serde_json::to_string(&story).unwrap();
    assert!(story.sealed_at.is_some() && story.seal_root.len() == 64, "{text}");
    let [credential] = story.credentials.as_slice() else { panic!("{text}") };
    assert_eq!((credential.kind, credential.class), ("password", "expired"));
    assert_eq!((story.delivery.class, story.delivery.attempts), ("told", 1));
    let [attempt] = story.attempts.as_slice() else { panic!("{text}") };
    assert_eq!((attempt.result, attempt.code), (Some("accepted"), Some(250)), "{text}");
    assert!(attempt.ended_at.is_some(), "{text}");
    assert!(story.delivery.reference.starts_with("FW-") && story.person.len() == 64, "{text}");
    assert!(!text.contains(&one.email) && !text.contains(&one.name), "{text}");
}
