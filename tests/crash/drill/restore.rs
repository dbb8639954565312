//! A backup that is put back: nothing is sent or expired from it before `campaign recover`, and then nobody
//! is lost or told twice.
//!
//! The backup is taken as an operator takes one while a worker runs: `VACUUM INTO`, one read transaction
//! that gives a whole file in one pass. SQLite's online backup begins anew whenever another process
//! writes, so beside a worker it may never end.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use forthwith::secret::digest::sha256;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};

use super::CAMPAIGN;
use super::bar::Bar;
use super::database::Everybody;
use super::forthwith::{FOUNDERS, Line, ended};
use super::house::{House, LOST};
use super::record::Line as Recorded;
use super::report::{Break, Report};
use super::sending::{compare, finish, last_words, start, until};
use super::sums;

/// Runs the campaign, restores a backup in its middle, recovers, and compares.
pub async fn run(house: &House, report: &mut Report, bar: &Bar) -> Result<()> {
    let began = Instant::now();
    let backup = house.forthwith.folder.join("backup.db");
    let mut child = start(house)?;
    until(house, &mut child, house.to_tell() * 3 / 10, bar).await?;
    back_up(&house.database(), &backup).await?;
    bar.note("backed up at 30 %");
    until(house, &mut child, house.to_tell() * 7 / 10, bar).await?;
    // The worker is stopped as one stops it to restore; what is open ends.
    terminate(child.id())?;
    let status = ended(&mut child).await?;
    ensure!(status.success(), "a worker that was asked to stop: {}", last_words(house));
    house.sink.quiet().await;
    restore(&backup, &house.database())?;
    bar.note("restored at 70 %");
    let difference = difference(house).await?;
    refuses(house, report)?;
    if house.options.without_journals {
        fs::remove_dir_all(house.journals())?;
        fs::create_dir(house.journals())?;
    }
    recover(house, report).await?;
    let held = if house.options.without_journals {
        all_in_doubt(house, difference, report, bar).await?
    } else {
        0
    };
    finish(house, report, bar).await?;
    report.sending = began.elapsed().as_secs_f64();
    compare(house, held + 1, report).await?;
    // one of them is sent twice in any case: the one whose answers are always lost
    if report.found.second_copies > 1 {
        let text = format!("{} second copies", report.found.second_copies - 1);
        report.breaks.push(Break::of("a rewind sends nobody a second copy", text));
    }
    Ok(())
}

/// A whole copy of a database that a worker is writing to.
async fn back_up(database: &Path, to: &Path) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(database);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    let sql = format!("VACUUM INTO '{}'", to.display());
    sqlx::query(AssertSqlSafe(sql)).execute(&mut conn).await.context("the backup")?;
    conn.close().await?;
    Ok(())
}

/// Puts a backup in the place of a database, whose log goes with it.
fn restore(backup: &Path, database: &Path) -> Result<()> {
    for ending in ["-wal", "-shm"] {
        let mut path = database.as_os_str().to_owned();
        path.push(ending);
        match fs::remove_file(PathBuf::from(path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    fs::copy(backup, database)?;
    Ok(())
}

fn terminate(pid: u32) -> Result<()> {
    let done = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status();
    ensure!(done?.success(), "the worker could not be stopped");
    Ok(())
}

/// Whom the sink took and the restored database does not know as told.
async fn difference(house: &House) -> Result<u64> {
    let everybody = Everybody::read(&house.database(), house.people.campaign).await?;
    let is_told =
        |number: &u64| everybody.people.get(number).is_some_and(|one| one.class == "told");
    let accepted = house.sink.record.accepted()?;
    let unknown = accepted.keys().filter(|address| {
        house.people.numbers.get(*address).is_some_and(|number| !is_told(number))
    });
    Ok(unknown.count() as u64)
}

/// Neither sends nor expires from a restored database.
fn refuses(house: &House, report: &mut Report) -> Result<()> {
    let shop = house.forthwith.folder.join("shop.db");
    let state = || -> Result<_> { Ok((house.sink.record.len(), sha256(&fs::read(&shop)?))) };
    let before = state()?;
    for words in [["campaign", "run", CAMPAIGN], ["secure", "run", CAMPAIGN]] {
        let output = house.forthwith.run(&Line::of(&words))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(1) || !said.contains("campaign recover") {
            let text =
                format!("`forthwith {}` ended with {}: {said}", words.join(" "), output.status);
            report.breaks.push(Break::of("a rewind is seen", text));
        }
    }
    if state()? != before {
        let text = "mail was sent or the shop was changed before `recover`".to_owned();
        report.breaks.push(Break::of("a rewind is seen", text));
    }
    Ok(())
}

/// `campaign recover`: looked at first, then done; then the notice, which it has paused, is let go on.
async fn recover(house: &House, report: &mut Report) -> Result<()> {
    let dry = ["campaign", "recover", "--dry-run"];
    let line = Line { signer: Some(FOUNDERS[0]), ..Line::of(&dry) };
    house.forthwith.run(&line)?;
    let words = ["campaign", "recover", "--as", FOUNDERS[0], "--yes"];
    let line = Line { signer: Some(FOUNDERS[0]), ..Line::of(&words) };
    house.forthwith.done(&line)?;
    house.forthwith.done(&Line::of(&["campaign", "resume", CAMPAIGN]))?;
    report.sums(sums::breaks(&house.database()).await?, "the recovery");
    Ok(())
}

/// Without journals everybody of the difference is held in doubt, and nothing goes to them until an
/// operator has settled it; how many they are.
async fn all_in_doubt(
    house: &House,
    difference: u64,
    report: &mut Report,
    bar: &Bar,
) -> Result<u64> {
    let everybody = Everybody::read(&house.database(), house.people.campaign).await?;
    let held: Vec<u64> = everybody
        .people
        .iter()
        .filter(|(_, one)| one.class == "in-doubt" && one.reason == "held")
        .map(|(number, _)| *number)
        .collect();
    if (held.len() as u64) < difference {
        let text = format!("{} held in doubt, {difference} were sent since the backup", held.len());
        report.breaks.push(Break::of("a rewind without journals is doubt", text));
    }
    let taken = house.sink.record.accepted_count();
    finish(house, report, bar).await?;
    let sent = sent_again(house, taken)?;
    if sent > 0 {
        let text = format!("{sent} people were sent a second copy before their doubt was settled");
        report.breaks.push(Break::of("a rewind without journals is doubt", text));
    }
    house.settle(&held)?;
    Ok(held.len() as u64)
}

/// How many of those the sink took since had got one before.
fn sent_again(house: &House, before: u64) -> Result<u64> {
    let mut known = HashSet::new();
    let mut again = 0;
    for (place, line) in house.sink.record.since(0)?.into_iter().enumerate() {
        let Recorded::Accepted(one) = line else { continue };
        let is_new = known.insert(one.to.clone());
        again += u64::from(place as u64 >= before && !is_new && one.to != LOST);
    }
    Ok(again)
}
