//! A crowd: an audience of fifty thousand with every address reason, credential class and addressee in
//! known numbers, its shop, and what has to become of everybody.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, QueryBuilder, Sqlite, SqliteConnection};

/// The campaign's file for a crowd.
pub const CAMPAIGN_FILE: &str = r#"
incident = "cold-night"
environment = "rehearsal"

[audience.csv]
path = "affected.csv"

[audience.csv.columns]
account = "customer_id"
address = "email"
address_before = "email_before"
name = "name"
locale = "language"
region = "region"
addressee = "addressee"
address_changed_at = "email_changed_at"
last_verified_on = "verified_on"

[addresses]
own_domains = ["northwind.example"]
dormant_after = "730d"
suppressed = "suppressed.txt"
dead_domains = "dead.txt"

[directory]
name = "shop"
policy = "respect"
control_accounts = ["control-1", "control-2"]

[directory.sql]
url = "sqlite:shop.db"

[directory.sql.password]
read = """SELECT c.id AS account, c.password_hash AS current, c.changed_at
FROM json_each(:rows) AS r JOIN customer AS c ON c.id = r.value ->> 'account'"""
expire = """UPDATE customer SET password_hash = r.value ->> 'replacement' FROM json_each(:rows) AS r
WHERE customer.id = r.value ->> 'account' AND customer.password_hash = r.value ->> 'current'"""

[directory.sql.sessions]
count = """SELECT r.value ->> 'account' AS account, count(s.id) AS sessions FROM json_each(:rows) AS r
LEFT JOIN session AS s ON s.customer_id = r.value ->> 'account' GROUP BY 1"""
end = """DELETE FROM session WHERE customer_id IN
(SELECT r.value ->> 'account' FROM json_each(:rows) AS r)"""

[notice]
template = "account-breach"
from = { name = "Northwind Outfitters", address = "security@northwind.example" }

[pace]
per_second = 20000

[retry]
schedule = ["1s"]
max_age = "1h"
jitter = 0.0
"#;

/// What the sink refuses: whoever is here has left.
pub const GONE: &str = "rcpt:550:to=gone-*";

/// The state of somebody's password in the shop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Password {
    Known,
    ChangedSince,
    None,
    Absent,
    UnknownScheme,
}

#[derive(Clone)]
struct Someone {
    account: String,
    email: String,
    before: String,
    name: String,
    language: &'static str,
    region: &'static str,
    addressee: &'static str,
    changed_at: &'static str,
    verified_on: &'static str,
    password: Password,
}

/// An audience with its shop, and the sums it has to come to.
pub struct Crowd {
    rows: Vec<String>,
    shop: Vec<(String, Option<&'static str>, &'static str)>,
    suppressed: Vec<String>,
    /// `class/reason` → people, once everything the machine can do is done and conflicts are released.
    pub deliveries: BTreeMap<&'static str, u64>,
    /// `password/class` → people.
    pub credentials: BTreeMap<&'static str, u64>,
    /// Sealed people.
    pub sealed: u64,
    /// Rows equal to another.
    pub duplicates: u64,
    /// Rows that contradict another of their account.
    pub conflicts: u64,
    /// Rows without a usable account.
    pub rejected: u64,
    /// Names replaced by the neutral salutation.
    pub names_refused: u64,
    /// Second addresses.
    pub copies: u64,
    /// Mails that have to arrive, copies and combined notices counted once each.
    pub mails: u64,
}

/// A well-formed hash nobody can use, different for each account.
fn hash(place: u64) -> String {
    format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${place:043}").replace('0', "A")
}

struct Maker {
    crowd: Crowd,
    rng: StdRng,
    next: u64,
}

const LANGUAGES: [&str; 7] = ["en", "fr", "de", "es", "pt", "pt-BR", "xx"];

impl Maker {
    fn someone(&mut self) -> Someone {
        self.next += 1;
        let place = self.next;
        Someone {
            account: format!("C{place:07}"),
            email: format!("person{place}@mail{}.example", place % 17),
            before: String::new(),
            name: format!("Pat Person {}", ["Ash", "Birch", "Cedar"][(place % 3) as usize]),
            language: LANGUAGES[self.rng.random_range(0..LANGUAGES.len())],
            region: "",
            addressee: "",
            changed_at: "",
            verified_on: "",
            password: Password::Known,
        }
    }

    fn count(map: &mut BTreeMap<&'static str, u64>, label: &'static str) {
        *map.entry(label).or_default() += 1;
    }

    /// Adds a person whose notice ends as `label` says.
    fn add(&mut self, someone: &Someone, label: &'static str) {
        self.row(someone);
        self.crowd.sealed += 1;
        let known = match someone.password {
            Password::Known => "password/expired",
            Password::ChangedSince => "password/changed-since",
            Password::None => "password/no-password",
            Password::Absent => "password/not-found",
            Password::UnknownScheme => "password/failed",
        };
        Self::count(&mut self.crowd.credentials, known);
        Self::count(&mut self.crowd.deliveries, label);
        if label == "told/accepted" {
            self.crowd.mails += 1;
        }
        let (stored, changed) = match someone.password {
            Password::Known => (Some("hash"), "2011-06-01T00:00:00Z"),
            Password::ChangedSince => (Some("hash"), "2012-01-20T00:00:00Z"),
            Password::None => (None, "2011-06-01T00:00:00Z"),
            Password::UnknownScheme => (Some("legacy(3):0xUNKNOWN"), "2011-06-01T00:00:00Z"),
            Password::Absent => return,
        };
        self.crowd.shop.push((someone.account.clone(), stored, changed));
    }

    fn row(&mut self, someone: &Someone) {
        let mut line = String::new();
        let Someone { account, email, before, name, language, region, .. } = someone;
        let (addressee, changed, verified) =
            (someone.addressee, someone.changed_at, someone.verified_on);
        let _ = write!(
            line,
            "{account},{email},{before},{name},{language},{region},{addressee},{changed},{verified}"
        );
        self.crowd.rows.push(line);
    }

    fn each(&mut self, count: u64, label: &'static str, change: impl Fn(&mut Someone, u64)) {
        for place in 0..count {
            let mut someone = self.someone();
            change(&mut someone, place);
            self.add(&someone, label);
        }
    }

    /// Every reason an address can have.
    fn addresses(&mut self) {
        self.each(400, "fallback/address:missing", |s, _| s.email.clear());
        self.each(400, "fallback/address:invalid", |s, _| s.email = "not an address".into());
        self.each(200, "fallback/address:dead-domain", |s, n| {
            s.email = format!("d{n}@shop.invalid");
        });
        self.each(100, "fallback/address:dead-domain", |s, n| {
            s.email = format!("d{n}@closed.example");
        });
        self.each(300, "fallback/address:own-mailbox", |s, n| {
            s.email = format!("own{n}@northwind.example");
        });
        self.each(200, "fallback/address:suppressed", |s, n| {
            s.email = format!("no{n}@mail.example");
        });
        self.crowd.suppressed = (0..200).map(|n| format!("no{n}@mail.example")).collect();
        // changed after the window began; the address before it is known or not
        self.each(250, "told/accepted", |s, n| {
            s.changed_at = "2012-01-14T20:00:00Z";
            s.before = format!("before{n}@mail.example");
        });
        self.crowd.copies = 250;
        self.crowd.mails += 250;
        self.each(250, "told/accepted", |s, _| s.changed_at = "2012-01-15T00:00:00Z");
        self.each(300, "told/accepted", |s, _| s.verified_on = "2005-03-01");
        self.each(800, "fallback/bounced", |s, n| s.email = format!("gone-{n}@mail.example"));
        self.each(150, "told/accepted", |s, n| s.email = format!("i{n}@bücher{n}.example"));
    }

    /// Mailboxes of several: roles, couples, organisations' pools, and two of nobody in particular.
    fn mailboxes(&mut self) {
        self.each(200, "told/accepted", |s, n| s.email = format!("info@firm{n}.example"));
        self.each(600, "told/accepted", |s, n| s.email = format!("couple{}@mail.example", n / 2));
        for pool in 0..20 {
            self.each(1, "told/accepted", |s, _| s.email = format!("pool{pool}@mail.example"));
            self.each(7, "told/carrier", |s, _| s.email = format!("pool{pool}@mail.example"));
        }
        for catch in 0..2 {
            self.each(60, "held/shared", |s, _| s.email = format!("all{catch}@mail.example"));
        }
    }

    /// Everybody a notice can speak to, and what can have become of a password.
    fn people(&mut self) {
        for (count, addressee) in [(500, "guardian"), (200, "estate"), (700, "organisation")] {
            self.each(count, "told/accepted", |s, _| s.addressee = addressee);
        }
        self.each(2_000, "told/accepted", |s, _| s.password = Password::None);
        self.each(150, "told/accepted", |s, _| s.password = Password::Absent);
        self.each(500, "told/accepted", |s, _| s.password = Password::ChangedSince);
        self.each(60, "held/credential", |s, _| s.password = Password::UnknownScheme);
        self.each(300, "told/accepted", |s, _| s.name = "www.evil.example".into());
        self.crowd.names_refused = 300;
    }

    /// Rows that are no people of their own.
    fn rows(&mut self) {
        for _ in 0..300 {
            let someone = self.someone();
            self.add(&someone, "told/accepted");
            self.row(&someone);
            self.crowd.duplicates += 1;
        }
        for _ in 0..50 {
            let mut someone = self.someone();
            self.add(&someone, "told/accepted");
            someone.name = "Another Name".into();
            self.row(&someone);
            self.crowd.conflicts += 1;
        }
        for place in 0..100 {
            let mut someone = self.someone();
            match place % 2 {
                0 => someone.account.clear(),
                _ => someone.addressee = "nobody",
            }
            self.row(&someone);
            self.crowd.rejected += 1;
        }
    }
}

impl Crowd {
    /// So many people, the same ones for the same seed.
    pub fn of(people: u64, seed: u64) -> Self {
        let crowd = Self {
            rows: Vec::new(),
            shop: Vec::new(),
            suppressed: Vec::new(),
            deliveries: BTreeMap::new(),
            credentials: BTreeMap::new(),
            sealed: 0,
            duplicates: 0,
            conflicts: 0,
            rejected: 0,
            names_refused: 0,
            copies: 0,
            mails: 0,
        };
        let mut maker = Maker { crowd, rng: StdRng::seed_from_u64(seed), next: 0 };
        maker.addresses();
        maker.mailboxes();
        maker.people();
        maker.rows();
        let rest = people - maker.crowd.sealed;
        maker.each(rest, "told/accepted", |_, _| {});
        maker.crowd.rows.shuffle(&mut maker.rng);
        maker.crowd
    }

    /// Rows of its source.
    pub fn source_rows(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Writes the list, what it needs besides, and the shop with its marker.
    pub async fn settle_in(&self, folder: &Path, marker: &str) {
        let head = "customer_id,email,email_before,name,language,region,addressee,email_changed_at,\
                    verified_on";
        std::fs::write(folder.join("affected.csv"), format!("{head}\n{}\n", self.rows.join("\n")))
            .unwrap();
        std::fs::write(folder.join("suppressed.txt"), self.suppressed.join("\n")).unwrap();
        std::fs::write(folder.join("dead.txt"), "closed.example\n").unwrap();
        let options =
            SqliteConnectOptions::new().filename(folder.join("shop.db")).create_if_missing(true);
        let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE customer (id TEXT PRIMARY KEY, password_hash TEXT, changed_at TEXT);
             CREATE TABLE session (id INTEGER PRIMARY KEY, customer_id TEXT NOT NULL);
             CREATE INDEX session_by_customer ON session (customer_id);
             CREATE TABLE forthwith_rehearsal (database_id TEXT);",
        )
        .execute(&mut conn)
        .await
        .unwrap();
        sqlx::query("INSERT INTO forthwith_rehearsal VALUES ($1)")
            .bind(marker)
            .execute(&mut conn)
            .await
            .unwrap();
        let mut tx = conn.begin().await.unwrap();
        let controls = ["control-1", "control-2"].map(|id| (id.to_owned(), Some("hash"), ""));
        let all: Vec<_> = self.shop.iter().chain(&controls).enumerate().collect();
        for part in all.chunks(1_000) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO customer (id, password_hash, changed_at) ",
            );
            insert.push_values(part, |mut row, (place, (id, stored, changed))| {
                let stored = stored.map(|word| match word {
                    "hash" => hash(*place as u64),
                    other => other.to_owned(),
                });
                let changed = (!changed.is_empty()).then_some(*changed);
                row.push_bind(id).push_bind(stored).push_bind(changed);
            });
            insert.build().execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        conn.close().await.unwrap();
    }
}
