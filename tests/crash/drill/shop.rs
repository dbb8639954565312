//! The shop: its stolen hashes, and whether any of them still stands.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// What is to become of an account of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Told by mail.
    Told,
    /// Its address is none: another channel.
    Fallback,
    /// Its stored form is unknown: held.
    Held,
}

/// An account of the list.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub address: String,
    pub fate: Fate,
    /// What was stolen.
    pub hash: Option<String>,
}

/// One row of the shop.
type Row = (String, String, String, Option<String>);

/// A connection that only reads, so that a dead worker's log stays as it was left. Where the process died
/// before there was a log, its half transaction has to be rolled back first, which takes one that writes.
pub async fn reading(path: &Path) -> Result<SqliteConnection> {
    let options =
        SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(30));
    let mut conn = SqliteConnection::connect_with(&options.clone().read_only(true)).await?;
    let tried = sqlx::query("SELECT COUNT(*) FROM sqlite_schema").execute(&mut conn).await;
    match tried {
        Err(sqlx::Error::Database(error)) if error.message().contains("readonly") => {
            Ok(SqliteConnection::connect_with(&options).await?)
        }
        other => {
            other?;
            Ok(conn)
        }
    }
}

/// The accounts of a shop, with their fates.
pub async fn accounts(shop: &Path) -> Result<Vec<Account>> {
    let mut conn = reading(shop).await?;
    let sql = "SELECT id, name, email, password_hash FROM customer ORDER BY id";
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(&mut conn).await?;
    conn.close().await?;
    let account = |(place, (id, _, email, hash)): (usize, Row)| {
        let is_unknown = hash.as_ref().is_some_and(|hash| hash.starts_with("legacy"));
        let (address, fate) = match place {
            _ if is_unknown => (email, Fate::Held),
            _ if place % 500 == 59 => ("not an address".into(), Fate::Fallback),
            _ => (email, Fate::Told),
        };
        Account { id, address, fate, hash }
    };
    Ok(rows.into_iter().enumerate().map(account).collect())
}

/// The list as such lists are: with some rows twice, and one without an account.
pub fn list(accounts: &[Account]) -> String {
    let mut text = String::from("customer_id,email,name\n");
    for (place, account) in accounts.iter().enumerate() {
        let times = if place % 300 == 101 { 2 } else { 1 };
        for _ in 0..times {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{},{},Pat Person", account.id, account.address);
        }
    }
    text.push_str(",lost@mail.example,No Account\n");
    text
}

/// How many of the stolen hashes still open an account. Those of a form nobody knows are no part of it.
pub async fn still_open(shop: &Path, accounts: &[Account]) -> Result<u64> {
    let mut conn = reading(shop).await?;
    let sql = "SELECT id, password_hash FROM customer";
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(sql).fetch_all(&mut conn).await?;
    conn.close().await?;
    let now: HashMap<String, Option<String>> = rows.into_iter().collect();
    let stands = |account: &&Account| {
        account.fate != Fate::Held
            && account.hash.is_some()
            && now.get(&account.id) == Some(&account.hash)
    };
    Ok(accounts.iter().filter(stands).count() as u64)
}
