//! A small shop's user database, made for demos, rehearsals and tests: customers, password hashes,
//! sessions, and the rehearsal marker, so that no live campaign ever touches it.

use std::fmt::Write as _;
use std::path::Path;

use rand::RngExt as _;
use rand::rngs::StdRng;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, QueryBuilder, Sqlite};

use crate::secret::password::{self, Params, Password};

/// What to make.
#[derive(Debug, Clone)]
pub struct ShopSpec {
    /// How many customers.
    pub customers: u32,
    /// The workspace's database id, for the rehearsal marker; no marker where absent.
    pub marker: Option<String>,
    /// Same seed, same shop.
    pub seed: u64,
}

/// The shop with what the demo says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopFacts {
    /// The customer whose password the demo tries.
    pub customer: String,
    /// That password.
    pub password: String,
    /// Customers with a password.
    pub with_password: u32,
    /// Customers who sign in through somebody else.
    pub without_password: u32,
    /// Live sessions.
    pub sessions: u32,
}

/// Why a shop could not be made or asked.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// Its database.
    #[error("the demo shop's database: {0}")]
    Database(#[from] sqlx::Error),
    /// A password hash.
    #[error("the demo shop's password hashes: {0}")]
    Hash(#[from] password::PasswordError),
    /// A file.
    #[error("the demo shop's export: {0}")]
    File(#[from] std::io::Error),
}

const FIRST: [&str; 16] = [
    "Ana", "Bjørn", "Chloé", "Dmitri", "Élodie", "Fatima", "Günter", "Hana", "Ingrid", "João",
    "Kenji", "Łucja", "Marek", "Nuala", "Óscar", "Priya",
];
const LAST: [&str; 16] = [
    "Almeida",
    "Berg",
    "Castañeda",
    "Dvořák",
    "Eriksen",
    "Fournier",
    "Groß",
    "Hughes",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lefèvre",
    "Moreau",
    "Novák",
    "O'Brien",
    "Wójcik",
];
const DOMAINS: [&str; 4] = ["mail.example", "post.example", "inbox.example", "letters.example"];

/// Every hash costs as little as the scheme allows: the shop is made in a second, not in a day.
fn cheap() -> Result<Params, password::PasswordError> {
    Params::new(8, 1, 1)
}

struct Customer {
    id: String,
    name: String,
    email: String,
    hash: Option<String>,
    sessions: u32,
}

fn customer(place: u32, rng: &mut StdRng, params: Params) -> Result<Customer, ShopError> {
    let first = FIRST[place as usize % FIRST.len()];
    let last = LAST[(place as usize / FIRST.len()) % LAST.len()];
    let domain = DOMAINS[place as usize % DOMAINS.len()];
    // Every 25th signs in through somebody else; every 97th hash is of a scheme nobody knows.
    let hash = match place {
        _ if place % 25 == 7 => None,
        _ if place % 997 == 499 => Some("legacy(3):0xUNKNOWN".to_owned()),
        _ => {
            let word = Password::new(format!("old-password-{place}"));
            Some(password::hash(&word, params, rng)?)
        }
    };
    Ok(Customer {
        id: format!("C{place:07}"),
        name: format!("{first} {last}"),
        email: format!("customer{place}@{domain}"),
        hash,
        sessions: rng.random_range(0..3),
    })
}

/// Makes the shop's database.
pub async fn create(path: &Path, spec: &ShopSpec) -> Result<ShopFacts, ShopError> {
    use rand::SeedableRng as _;
    let mut rng = StdRng::seed_from_u64(spec.seed);
    let params = cheap()?;
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(
        "CREATE TABLE customer (
             id TEXT PRIMARY KEY, name TEXT, email TEXT, password_hash TEXT, password_changed_at TEXT);
         CREATE TABLE session (id INTEGER PRIMARY KEY, customer_id TEXT NOT NULL);
         CREATE INDEX session_by_customer ON session (customer_id);",
    )
    .execute(&mut conn)
    .await?;
    if let Some(marker) = &spec.marker {
        sqlx::query("CREATE TABLE forthwith_rehearsal (database_id TEXT)")
            .execute(&mut conn)
            .await?;
        sqlx::query("INSERT INTO forthwith_rehearsal VALUES ($1)")
            .bind(marker)
            .execute(&mut conn)
            .await?;
    }
    let mut facts = ShopFacts {
        customer: "C0000001".into(),
        password: "old-password-1".into(),
        with_password: 0,
        without_password: 0,
        sessions: 0,
    };
    let mut tx = conn.begin().await?;
    let places: Vec<u32> = (1..=spec.customers).collect();
    for part in places.chunks(1_000) {
        let mut made = Vec::with_capacity(part.len());
        for place in part {
            let customer = customer(*place, &mut rng, params)?;
            facts.sessions += customer.sessions;
            *(if customer.hash.is_some() {
                &mut facts.with_password
            } else {
                &mut facts.without_password
            }) += 1;
            made.push(customer);
        }
        insert(&mut tx, &made).await?;
    }
    tx.commit().await?;
    conn.close().await?;
    Ok(facts)
}

async fn insert(conn: &mut SqliteConnection, made: &[Customer]) -> Result<(), ShopError> {
    let mut customers = QueryBuilder::<Sqlite>::new(
        "INSERT INTO customer (id, name, email, password_hash, password_changed_at) ",
    );
    customers.push_values(made, |mut row, customer| {
        row.push_bind(&customer.id)
            .push_bind(&customer.name)
            .push_bind(&customer.email)
            .push_bind(&customer.hash)
            .push_bind("2011-06-01T00:00:00Z");
    });
    customers.build().execute(&mut *conn).await?;
    let owners: Vec<&String> = made
        .iter()
        .flat_map(|customer| std::iter::repeat_n(&customer.id, customer.sessions as usize))
        .collect();
    if !owners.is_empty() {
        let mut sessions = QueryBuilder::<Sqlite>::new("INSERT INTO session (customer_id) ");
        sessions.push_values(owners, |mut row, owner| {
            row.push_bind(owner);
        });
        sessions.build().execute(conn).await?;
    }
    Ok(())
}

/// Whether this password opens this account: what the shop's own log-in page would say.
pub async fn log_in(path: &Path, customer: &str, password: &str) -> Result<bool, ShopError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    let hash: Option<Option<String>> =
        sqlx::query_scalar("SELECT password_hash FROM customer WHERE id = $1")
            .bind(customer)
            .fetch_optional(&mut conn)
            .await?;
    conn.close().await?;
    match hash.flatten() {
        Some(hash) => Ok(password::verify(&Password::new(password.to_owned()), &hash)?),
        None => Ok(false),
    }
}

/// How many sessions are alive.
pub async fn sessions(path: &Path) -> Result<i64, ShopError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM session").fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(count)
}

/// Writes the list of affected accounts as such lists are: mostly right, with repeated rows, rows that
/// contradict each other, missing and broken addresses, an account nobody knows and a row of rubbish.
pub async fn export(path: &Path, csv: &Path) -> Result<u32, ShopError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT id, name, email FROM customer ORDER BY id")
            .fetch_all(&mut conn)
            .await?;
    conn.close().await?;
    let mut text = String::from("customer_id,name,email\n");
    let mut written = 0;
    let mut line = |text: &mut String, id: &str, name: &str, email: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{id},{name},{email}");
        written += 1;
    };
    for (place, (id, name, email)) in rows.iter().enumerate() {
        match place % 200 {
            17 => line(&mut text, id, name, ""),
            59 => line(&mut text, id, name, "not an address"),
            _ => line(&mut text, id, name, email),
        }
        if place % 200 == 101 {
            line(&mut text, id, name, email);
        }
        if place % 500 == 250 {
            line(&mut text, id, name, &format!("other-{email}"));
        }
    }
    line(&mut text, "C9999999", "Nobody Here", "nobody@mail.example");
    line(&mut text, "", "No Account", "lost@mail.example");
    std::fs::write(csv, text)?;
    Ok(written)
}
