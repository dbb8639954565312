//! A database of an older schema, killed while the binary brings it up.

use std::borrow::Cow;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use forthwith::engine::Workspace;
use rand::RngExt as _;
use rand::rngs::StdRng;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{Connection as _, Executor as _};

use super::bar::Bar;
use super::database::count;
use super::forthwith::{FOUNDERS, Forthwith, Line, Struck, failure};
use super::options::Options;
use super::report::Report;
use super::sums;

const APPLIED: &str = "SELECT COUNT(*) FROM _sqlx_migrations";
const FAILED: &str = "SELECT COUNT(*) FROM _sqlx_migrations WHERE success = 0";
const OUTCOMES: &str = "SELECT COUNT(*) FROM outcome";

/// Rows an old database has, so that its tables are worth something.
const ROWS: i64 = 5_000;

static ALL: Migrator = sqlx::migrate!("migrations/sqlite");

/// Brings databases of random older schemas up, each under kills.
pub async fn kill(
    options: &Options,
    folder: &Path,
    rng: &mut StdRng,
    report: &mut Report,
    bar: &Bar,
) -> Result<()> {
    let newest = ALL.iter().count();
    let line = Line::of(&["init", ".", "--founder", FOUNDERS[0], "--founder", FOUNDERS[1]]);
    let mut struck = 0;
    for old in 0..options.kills_before {
        let from = rng.random_range(1..newest);
        let at = |name: &str| Forthwith {
            binary: Path::new("/").into(),
            folder: folder.join(format!("old-{old}-{name}")),
        };
        let (measured, killed) = (at("measure"), at("killed"));
        let binary = options.binary()?;
        let (measured, killed) =
            (Forthwith { binary: binary.clone(), ..measured }, Forthwith { binary, ..killed });
        make(&measured.folder, from).await?;
        let window = window(&measured, &line, from, newest).await?;
        make(&killed.folder, from).await?;
        for _ in 0..options.kills_before {
            let after = window.mul_f64(rng.random_range(0.3..1.1));
            match killed.struck(&line, after).await? {
                Struck::Killed => struck += 1,
                Struck::Ended(output) => {
                    ensure!(output.status.success(), "{}", failure(&line, &output));
                    break;
                }
            }
            let found = sums::breaks(&database(&killed.folder)).await?;
            report.sums(found, "a kill of a migration");
        }
        let output = killed.run(&line)?;
        let has_founders =
            count(&database(&killed.folder), "SELECT COUNT(*) FROM operator").await? == 2;
        ensure!(output.status.success() || has_founders, "{}", failure(&line, &output));
        check(&killed.folder, newest).await?;
        std::fs::remove_dir_all(&measured.folder)?;
        std::fs::remove_dir_all(&killed.folder)?;
    }
    bar.note(&format!("{struck} kills struck migrations"));
    report.before.push(("migrate".into(), struck));
    Ok(())
}

fn database(folder: &Path) -> std::path::PathBuf {
    Workspace::at(folder).database()
}

/// A workspace whose database has the first so many migrations only, and rows.
async fn make(folder: &Path, migrations: usize) -> Result<()> {
    let path = database(folder);
    std::fs::create_dir_all(path.parent().context("a database lies in a folder")?)?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    let mut old = sqlx::migrate!("migrations/sqlite");
    old.migrations = Cow::Owned(ALL.iter().take(migrations).cloned().collect());
    old.run(&mut conn).await?;
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)";
    conn.execute(sqlx::AssertSqlSafe(format!(
        "{numbers} INSERT INTO intent (campaign_id, number, generation, n, dated_at, content, from_class,
                                       chunk, epoch, incarnation, worker, segment, relay)
         SELECT 1, i, 1, 1, 0, zeroblob(32), 'queued', 0, 1, 1, 'w', 1, 'relay' FROM n;
         {numbers} INSERT INTO outcome (campaign_id, number, generation, n, result, ended_at)
         SELECT 1, i, 1, 1, 'accepted', 0 FROM n;
         INSERT INTO lane (campaign_id, wave, provider, send_window) VALUES (1, 1, 'gmail', '');"
    )))
    .await?;
    conn.close().await?;
    Ok(())
}

/// How long after its start the binary has brought this database up.
async fn window(forthwith: &Forthwith, line: &Line, from: usize, to: usize) -> Result<Duration> {
    let mut command = forthwith.command(line);
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let path = database(&forthwith.folder);
    let mut took = None;
    while child.try_wait()?.is_none() {
        let applied = count(&path, APPLIED).await.unwrap_or(0);
        if applied >= i64::try_from(to)? {
            took = took.or(Some(began.elapsed()));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ensure!(child.wait()?.success(), "a database with {from} migrations was not brought up");
    Ok(took.unwrap_or_else(|| began.elapsed()))
}

/// It is of the newest schema, and nothing of it is gone.
async fn check(folder: &Path, newest: usize) -> Result<()> {
    let path = database(folder);
    let applied = count(&path, APPLIED).await?;
    let (failed, rows) = (count(&path, FAILED).await?, count(&path, OUTCOMES).await?);
    ensure!(
        applied == i64::try_from(newest)? && failed == 0 && rows == ROWS,
        "after kills a database has {applied} of {newest} migrations ({failed} failed), {rows} of \
         {ROWS} outcomes"
    );
    Ok(())
}
