//! 500 guests of a hotel, told through a relay that is not ours; their relay is the test's choice.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::report::Status;
use forthwith::engine::tracks::RunReport;
use forthwith::engine::{Engine, EngineError};
use forthwith::mail::settings::RelaySettings;
use forthwith::store::reports::DeliveryFilter;
use jiff::Timestamp;
use mail_parser::MessageParser;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::confined::MailServer;
use super::foreign::workspace;
use super::tampering::query;
use super::{ANN, BOB, CAMPAIGN, person, write};

pub const GUESTS: usize = 500;
/// Connections open at the same time; each may carry everything.
pub const CONNECTIONS: usize = 4;
pub const BOUNCE_DOMAIN: &str = "bounce.quayside.example";
/// How long one run may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// In the body of every notice, and nowhere else.
pub const MARKER: &str = "harbourmaster";

const INCIDENT: &str = r#"
title = "A list of guests was open"
summary = "A list of the guests of our harbourmaster could be read by anybody."
discovered_at = "2026-03-01T18:00[Europe/London]"

[window]
from = "2026-02-01T02:00[Europe/London]"
until = "2026-03-01T18:00[Europe/London]"

[brand]
name = "Quayside Hotels"
site = "https://www.quayside.example"
support_email = "help@quayside.example"

[exposed]
data = ["name", "email address"]
credentials = []
"#;

const CAMPAIGN_FILE: &str = r#"
incident = "guests"
environment = "rehearsal"

[audience.csv]
path = "affected.csv"
columns = { account = "account", address = "email", name = "name" }

[notice]
template = "account-breach"
mode = "none"
from = { name = "Quayside Hotels", address = "security@quayside.example" }
bounce_domain = "bounce.quayside.example"

# The dead may come in a row, and this is no test of the breaker.
[breaker]
least = 500

[pace]
per_second = 2000
"#;

/// Where the guests' mail ends, by their numbers.
#[derive(Clone, Copy)]
pub struct Fates {
    /// Refused at RCPT.
    pub unknown: fn(usize) -> bool,
    /// Accepted, then bounced.
    pub failing: fn(usize) -> bool,
}

impl Fates {
    /// Everybody is reached.
    pub const ALL_WELL: Self = Self { unknown: |_| false, failing: |_| false };

    fn those(which: impl Fn(usize) -> bool) -> Vec<String> {
        (0..GUESTS).filter(|n| which(*n)).map(address).collect()
    }

    pub fn unknown(&self) -> usize {
        Self::those(self.unknown).len()
    }

    pub fn failing(&self) -> Vec<String> {
        Self::those(self.failing)
    }

    /// The addresses whose mail arrives.
    pub fn reached(&self) -> Vec<String> {
        Self::those(|n| !(self.unknown)(n) && !(self.failing)(n))
    }
}

/// Guest `n`: at one of seven domains.
fn address(n: usize) -> String {
    format!("guest{n}@post{}.example", n % 7)
}

/// Their campaign, sealed and approved.
pub struct Guests {
    _dir: TempDir,
    pub engine: Engine,
}

impl Guests {
    /// With the relay on loopback at `port`; `settings` sets what else there is to it.
    pub async fn sealed(port: u16, settings: impl FnOnce(&mut RelaySettings)) -> Self {
        let (dir, mut engine) = workspace(port).await;
        engine.relay.connections = u32::try_from(CONNECTIONS).unwrap();
        engine.relay.messages_per_connection = 1000;
        settings(&mut engine.relay);
        let mut list = "account,email,name\n".to_owned();
        for n in 0..GUESTS {
            writeln!(list, "G{n:03},{},Guest Number {n}", address(n)).unwrap();
        }
        write(&dir.path().join("affected.csv"), &list);
        write(&engine.workspace.incident_file("guests").0, INCIDENT);
        write(&engine.workspace.campaign_file(CAMPAIGN).0, CAMPAIGN_FILE);
        engine.seal(CAMPAIGN, &Silent).await.unwrap();
        engine.plan(CAMPAIGN, Track::Notice, false).await.unwrap();
        for who in [ANN, BOB] {
            let signer = engine.signer(person(who)).await.unwrap();
            engine.approve(CAMPAIGN, Track::Notice, &signer).await.unwrap();
        }
        Self { _dir: dir, engine }
    }

    pub async fn run(&self) -> Result<RunReport, EngineError> {
        let stop = CancellationToken::new();
        let run = self.engine.run(CAMPAIGN, &Silent, &stop);
        tokio::time::timeout(PATIENCE, run).await.expect("a campaign of 500 ends")
    }

    /// Runs the campaign until everybody was tried once, and stops it then: what is deferred is not
    /// waited for.
    pub async fn run_until_nobody_is_queued(&self) {
        let stop = CancellationToken::new();
        let (engine, soft) = (self.engine.clone(), stop.clone());
        let run = tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &soft).await });
        let tried = tokio::time::timeout(PATIENCE, async {
            let is_open = async || {
                let now = self.status().await.deliveries;
                now.queued + now.in_flight > 0
            };
            while !run.is_finished() && is_open().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        tried.await.expect("everybody is tried once");
        stop.cancel();
        run.await.unwrap().unwrap();
    }

    /// Those who are deferred: code, status and phase of what deferred them, and when they are due.
    pub async fn waiting(&self) -> Vec<(u16, String, String, Timestamp)> {
        let those = DeliveryFilter { class: Some("deferred".into()), ..DeliveryFilter::default() };
        let those = self.engine.deliveries(CAMPAIGN, &those, None, u32::MAX).await.unwrap();
        let mut waiting = Vec::new();
        for one in those {
            let last =
                self.engine.story(CAMPAIGN, one.number).await.unwrap().attempts.pop().unwrap();
            let due = one.due_at.unwrap().parse().unwrap();
            waiting.push((last.code.unwrap(), last.enhanced.unwrap(), last.phase, due));
        }
        waiting
    }

    pub async fn status(&self) -> Status {
        let status = self.engine.status(CAMPAIGN).await.unwrap();
        assert!(status.source.balances() && status.deliveries.balances(), "{status:?}");
        status
    }

    /// Runs the campaign, and holds what is booked against what the server did: who is told, who
    /// bounced at RCPT, one attempt and one queue id each, every mail in its Maildir.
    pub async fn tell(&self, server: &impl MailServer, fates: Fates) {
        let report = self.run().await.unwrap();
        assert!(report.is_finished, "{report:?}");
        let (status, unknown) = (self.status().await, fates.unknown());
        let told = GUESTS - unknown;
        assert_eq!(status.deliveries.told, told as u64, "{status:?}");
        let bounced = status.deliveries.reasons.get("fallback/bounced").copied();
        assert_eq!(bounced.unwrap_or_default(), unknown as u64, "{status:?}");

        // What never began is no attempt.
        let others = "result NOT IN ('accepted', 'not-started') GROUP BY phase, code";
        let refused: Vec<(String, i64, i64)> = self.outcomes("phase, code, count(*)", others).await;
        let expected =
            (unknown > 0).then(|| ("rcpt".to_owned(), 550, unknown.cast_signed() as i64));
        assert_eq!(refused, Vec::from_iter(expected), "one attempt each, and no more");
        let ids: BTreeSet<(String,)> = BTreeSet::from_iter(
            self.outcomes("queue_id", "result = 'accepted' AND code = 250").await,
        );
        assert_eq!(ids.len(), told, "a queue id each: {ids:?}");

        let reached = fates.reached();
        assert_eq!(addressees(&server.mails(reached.len())), BTreeSet::from_iter(reached));
        let log = server.log();
        for (id,) in &ids {
            assert!(log.contains(id), "the relay knows no {id}");
        }
    }

    /// Columns of the recorded outcomes.
    async fn outcomes<T>(&self, columns: &str, which: &str) -> Vec<T>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        let sql = format!("SELECT {columns} FROM outcome WHERE {which}");
        query(&self.engine.workspace.database(), &sql).await
    }
}

/// Whom these mails are addressed to: notices with the marker in their bodies, one a person.
fn addressees(mails: &[Vec<u8>]) -> BTreeSet<String> {
    let to: BTreeSet<String> = mails
        .iter()
        .map(|mail| {
            let mail = MessageParser::default().parse(mail).unwrap();
            assert!(mail.body_text(0).unwrap().contains(MARKER));
            mail.to().unwrap().first().unwrap().address().unwrap().to_owned()
        })
        .collect();
    assert_eq!(to.len(), mails.len(), "nobody is told twice");
    to
}
