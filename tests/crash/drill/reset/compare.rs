//! Every account against what its owner was told: expired, with a link or code that works, or reset, with a
//! password of theirs, and nothing between the two.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use forthwith::directory::shop;
use sqlx::sqlite::SqliteConnection;

use super::life::Lives;
use super::mails::Mails;
use super::person::{Person, Said, Way};
use super::portal::Portal;
use super::report::Report;
use super::town::Town;
use crate::drill::bar::Bar;
use crate::drill::report::Break;
use crate::drill::shop::{reading, still_open};
use crate::drill::sums;

/// How long the last portal may take to end what others left, and to send what waits.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the database says of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Standing {
    class: String,
    /// Resets that ended well.
    done: u32,
    /// Their confirmations.
    confirmations: u32,
    /// Tokens that set a password, and tokens that still work.
    consumed: u32,
    live: u32,
    /// Codes in force that were asked for before a reset.
    codes: u32,
}

/// Lets a last portal end everything, then looks at everybody.
pub async fn all(town: &Town, lives: Lives<'_>, report: &mut Report, bar: &Bar) -> Result<()> {
    let mut portal = Portal::start(&town.forthwith, town.port).await?;
    quiet(town).await?;
    report.sums(sums::breaks(&town.database()).await?);
    let open = still_open(&town.shop(), &town.accounts).await?;
    if open > 0 {
        let text = format!("{open} stolen hashes open an account again");
        report.breaks.push(Break::of("the stolen password stays out", text));
    }
    let Lives { fresh, waiting, ended, mails, .. } = lives;
    report.raced = ended.iter().chain(&waiting).filter(|one| one.sent.len() > 1).count();
    let everybody = standings(&town.database()).await?;
    let mut again = Vec::new();
    let nobody = Standing::default();
    for person in waiting.into_iter().chain(ended) {
        let standing = everybody.get(&person.number).unwrap_or(&nobody);
        let heard = confirmations(&mails, &person.address)?;
        if one(town, &person, standing, heard, report).await? {
            report.reset += 1;
        } else {
            report.expired += 1;
            again.push(person);
        }
    }
    untouched(&fresh, &everybody, report);
    ledger(&town.database(), &everybody, report).await?;
    bar.note(&format!("{} people whose reset came to nothing try once more", again.len()));
    for mut person in again {
        let came = person.come(&mails).await?;
        let said = match came {
            Some(form) => person.choose(form, false).await?,
            None => Said::Void,
        };
        let password = person.sent.last().cloned().unwrap_or_default();
        let opens = shop::log_in(&town.shop(), &person.account, &password).await?;
        if said != Said::Done || !opens {
            let text =
                format!("told {said:?} at the end; their password opens the account: {opens}");
            report.breaks.push(person.broken("no link and no code is spent for nothing", text));
        }
    }
    portal.kill()
}

/// Waits until no claim is open and no mail waits.
async fn quiet(town: &Town) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut conn = reading(&town.database()).await?;
        let (claims, mails): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM reset WHERE state = 'claimed'),
                    (SELECT COUNT(*) FROM errand WHERE state IN ('queued', 'taken'))",
        )
        .fetch_one(&mut conn)
        .await?;
        if claims == 0 && mails == 0 {
            return Ok(());
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "{claims} claims and {mails} mails are open after {} s",
            PATIENCE.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Somebody who sent a password: whether it is set.
async fn one(
    town: &Town,
    person: &Person,
    standing: &Standing,
    heard: u32,
    report: &mut Report,
) -> Result<bool> {
    let mut opening = Vec::new();
    for password in &person.sent {
        if shop::log_in(&town.shop(), &person.account, password).await? {
            opening.push(password);
        }
    }
    let is_reset = standing.class == "reset";
    let mut broken = |promise, text: String| report.breaks.push(person.broken(promise, text));
    if opening.len() != usize::from(is_reset) {
        let text = format!("{standing:?}, and {} of their passwords open it", opening.len());
        broken("one of two states", text);
    }
    if !is_reset && (standing.class != "expired" || standing.done > 0 || standing.consumed > 0) {
        broken("one of two states", format!("{standing:?}"));
    }
    if !is_reset && standing.live != 1 {
        broken("no link is spent for nothing", format!("{standing:?}"));
    }
    if is_reset && (standing.live > 0 || standing.codes > 0 || standing.done == 0) {
        broken("nothing else opens it afterwards", format!("{standing:?}"));
    }
    let by_link = matches!(person.way, Way::Link(_));
    if is_reset && by_link && (standing.consumed != 1 || standing.done != 1) {
        broken("a link sets one password", format!("{standing:?}"));
    }
    if standing.confirmations != standing.done || heard < standing.done {
        broken("whoever is reset is told by mail", format!("{heard} mails; {standing:?}"));
    }
    if let Some(last) = person.told.last() {
        let stands = opening.first().is_some_and(|opens| *opens == last);
        // by a code somebody may set another one later; by a link never
        if !stands || (by_link && person.told.len() > 1) {
            broken(
                "who is told so gets in",
                format!("told {} times; {standing:?}", person.told.len()),
            );
        }
    } else if person.was_refused && !is_reset {
        broken("no link and no code is spent for nothing", format!("was refused; {standing:?}"));
    }
    Ok(is_reset)
}

/// Confirmations that the relay took for somebody.
fn confirmations(mails: &Mutex<Mails>, address: &str) -> Result<u32> {
    let mut mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
    let confirming = mails.to(address)?.iter().filter(|mail| mail.confirms).count();
    Ok(u32::try_from(confirming)?)
}

/// Whoever never came is as they were.
fn untouched(
    fresh: &std::collections::VecDeque<Person>,
    everybody: &HashMap<u64, Standing>,
    report: &mut Report,
) {
    let as_before = Standing { class: "expired".into(), live: 1, ..Standing::default() };
    for person in fresh {
        let standing = everybody.get(&person.number);
        if standing != Some(&as_before) {
            let text = format!("never came, and is {standing:?}");
            report.breaks.push(person.broken("nobody else is touched", text));
        }
    }
}

/// One entry in the ledger for each reset.
async fn ledger(
    database: &Path,
    everybody: &HashMap<u64, Standing>,
    report: &mut Report,
) -> Result<()> {
    let mut conn = reading(database).await?;
    let batches: Vec<(Option<Vec<u8>>,)> =
        sqlx::query_as("SELECT entries FROM ledger_batch").fetch_all(&mut conn).await?;
    let mut entries = 0;
    for (batch,) in &batches {
        let text = String::from_utf8_lossy(batch.as_deref().unwrap_or_default());
        entries += text.lines().filter(|line| line.contains("\"kind\":\"reset\"")).count();
    }
    let done: u32 = everybody.values().map(|one| one.done).sum();
    if entries != done as usize {
        let text = format!("{entries} entries of resets in the ledger, {done} resets");
        report.breaks.push(Break::of("the ledger has each reset once", text));
    }
    Ok(())
}

async fn standings(database: &Path) -> Result<HashMap<u64, Standing>> {
    let mut conn = reading(database).await?;
    let mut all: HashMap<u64, Standing> = HashMap::new();
    let classes: Vec<(i64, String)> =
        sqlx::query_as("SELECT number, class FROM credential WHERE kind = 'password'")
            .fetch_all(&mut conn)
            .await?;
    for (number, class) in classes {
        all.entry(number.unsigned_abs()).or_default().class = class;
    }
    let mut set = |rows: Vec<(i64, u32)>, field: fn(&mut Standing) -> &mut u32| {
        for (number, count) in rows {
            *field(all.entry(number.unsigned_abs()).or_default()) = count;
        }
    };
    set(counts(&mut conn, "reset", "state = 'done'").await?, |one| &mut one.done);
    let told = "kind = 'confirmation' AND state = 'ended'";
    set(counts(&mut conn, "errand", told).await?, |one| &mut one.confirmations);
    let consumed = "consumed_at IS NOT NULL";
    set(counts(&mut conn, "reset_token", consumed).await?, |one| &mut one.consumed);
    let live = "consumed_at IS NULL AND revoked_at IS NULL";
    set(counts(&mut conn, "reset_token", live).await?, |one| &mut one.live);
    // whoever asked again after their reset holds a code of their own
    let older = "EXISTS (SELECT 1 FROM code_request AS r JOIN reset AS d ON d.state = 'done'
                         WHERE r.id = code_account.request_id AND d.number = code_account.number
                           AND r.requested_at <= d.ended_at)";
    set(counts(&mut conn, "code_account", older).await?, |one| &mut one.codes);
    Ok(all)
}

/// How many rows of a table each person has.
async fn counts(conn: &mut SqliteConnection, table: &str, which: &str) -> Result<Vec<(i64, u32)>> {
    let sql = format!("SELECT number, COUNT(*) FROM {table} WHERE {which} GROUP BY number");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(conn).await?)
}
