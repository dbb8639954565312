//! The binary as an operator meets it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use forthwith::directory::shop::{self, ShopSpec};

use crate::harness::{CAMPAIGN, INCIDENT, binary, campaign_file, write};

fn forthwith(folder: &Path) -> Command {
    let mut command = binary();
    command
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("xdg-state"))
        .env("FORTHWITH_PASSWORD_1", "the long password of ann")
        .env("FORTHWITH_PASSWORD_2", "the long password of bob")
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    forthwith(folder).args(words).output().unwrap()
}

/// Runs and expects exit 0; gives stdout.
fn done(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs as one operator.
fn signed(folder: &Path, words: &[&str], who: &str) -> Output {
    forthwith(folder)
        .env_remove("FORTHWITH_PASSWORD_1")
        .env_remove("FORTHWITH_PASSWORD_2")
        .env("FORTHWITH_PASSWORD", format!("the long password of {who}"))
        .args(words)
        .args(["--operator", who, "--yes"])
        .output()
        .unwrap()
}

struct SinkProcess {
    child: Child,
    port: String,
}

impl SinkProcess {
    fn start(folder: &Path) -> Self {
        let mut child = forthwith(folder)
            .args(["sink", "--listen", "127.0.0.1:0", "--maildir", "maildir"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let port = first.trim().rsplit(':').next().unwrap().to_owned();
        Self { child, port }
    }
}

impl Drop for SinkProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_exits_zero_with_both_sums_balanced() {
    let folder = tempfile::tempdir().unwrap();
    let output = forthwith(folder.path())
        .env("TMPDIR", folder.path())
        .args(["demo", "--exit", "--accounts", "600"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let sums: Vec<&str> = text.lines().filter(|line| line.contains(" = ")).collect();
    for (sum, words) in sums.iter().zip(["sealed + ", "told + "]) {
        assert!(sum.contains(words), "{sum}");
        let numbers: Vec<u64> = sum
            .split(|c: char| !c.is_ascii_digit() && c != ',')
            .filter_map(|part| part.replace(',', "").parse().ok())
            .collect();
        assert_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{sum}");
    }
    assert_eq!(sums.len(), 2);
    for class in ["queued", "in flight", "deferred"] {
        let line = text.lines().find(|line| line.trim_start().starts_with(class)).unwrap();
        assert!(line.ends_with(" 0"), "{line}");
    }
    assert!(text.contains("fallback/bounced") && text.contains("held/credential"), "{text}");
    let notice = text.find("What happened").or_else(|| text.find("WHAT HAPPENED"));
    assert!(notice.is_some(), "one notice is shown");
}

#[tokio::test]
async fn the_road_from_a_list_to_a_finished_campaign_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    done(at, &["init", ".", "--founder", "ann", "--founder", "bob"]);
    let sink = SinkProcess::start(at);
    let settings = format!("[relay]\nport = {}\nhello = \"localhost\"\n", sink.port);
    write(&at.join("forthwith.toml"), &settings);
    write(&at.join("incidents/cold-night/incident.toml"), INCIDENT);
    write(&at.join(format!("campaigns/{CAMPAIGN}.toml")), &campaign_file(""));
    let spec = ShopSpec { customers: 50, marker: None, seed: 3 };
    let file = at.join("shop.db");
    shop::create(&file, &spec).await.unwrap();
    shop::export(&file, &at.join("affected.csv")).await.unwrap();
    done(at, &["config", "check"]);
    done(at, &["audience", "seal", CAMPAIGN]);

    let refused = run(at, &["directory", "check", CAMPAIGN]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let id = said.split("VALUES ('").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    mark(&file, id).await;
    done(at, &["directory", "check", CAMPAIGN]);

    for noun in ["containment", "campaign"] {
        done(at, &[noun, "plan", CAMPAIGN, "--check"]);
        let early = signed(at, &[noun, "approve", CAMPAIGN], "ann");
        assert_eq!(early.status.code(), Some(1), "--check stores nothing");
        done(at, &[noun, "plan", CAMPAIGN]);
        for who in ["ann", "bob"] {
            let output = signed(at, &[noun, "approve", CAMPAIGN], who);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    done(at, &["campaign", "run", CAMPAIGN]);
    let status: serde_json::Value =
        serde_json::from_str(&done(at, &["campaign", "status", CAMPAIGN, "--json"])).unwrap();
    assert_eq!(status["notice"], "sending-finished");
    let told = status["deliveries"]["told"].as_u64().unwrap();
    let kept = std::fs::read_dir(at.join("maildir/new")).unwrap().count() as u64;
    assert_eq!((told, told > 40), (kept, true));

    let shown = done(at, &["delivery", "show", CAMPAIGN, "C0000001", "--json"]);
    assert!(shown.contains("accepted") && !shown.contains("customer1@"), "{shown}");
    let listed = done(at, &["delivery", "list", CAMPAIGN, "--class", "told", "--json"]);
    assert_eq!(listed.lines().count() as u64, told);
    done(at, &["campaign", "run", CAMPAIGN]);
    assert_eq!(std::fs::read_dir(at.join("maildir/new")).unwrap().count() as u64, kept);
}

async fn mark(file: &Path, database_id: &str) {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("CREATE TABLE forthwith_rehearsal (database_id TEXT)")
        .execute(&mut conn)
        .await
        .unwrap();
    sqlx::query("INSERT INTO forthwith_rehearsal VALUES ($1)")
        .bind(database_id)
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
}

#[test]
fn what_is_yours_to_mend_exits_one_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["campaign", "status", "nothing"][..],
        &["audience", "seal", "nothing"],
        &["no-such-noun"],
        &["sink", "--listen", "192.0.2.1:25"],
        &["sink", "--fault", "rcpt:nonsense"],
    ] {
        let output = run(folder.path(), words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    done(folder.path(), &["init", ".", "--founder", "ann", "--founder", "bob"]);
    write(&folder.path().join("forthwith.toml"), "[relay]\nhots = \"x\"\n");
    let output = run(folder.path(), &["campaign", "list"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("forthwith.toml") && said.contains("hots"), "{said}");
    let again = run(folder.path(), &["init", ".", "--founder", "eve", "--founder", "mallory"]);
    assert_eq!(again.status.code(), Some(1));
}
