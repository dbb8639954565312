//! Peers that are not ours, and the two things a test learns from its environment.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use forthwith::domain::clock::SystemClock;
use forthwith::engine::{Engine, Workspace};
use tempfile::TempDir;

use super::{ANN, BOB, copy_templates, engine, person};

/// How long the server may take to come up, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `scripts/test` and `.ci/run` tell the tests.
pub fn told(key: &str) -> Option<PathBuf> {
    std::env::var_os(key).map(PathBuf::from)
}

/// The folder with real data, where there is one.
pub fn real_data() -> Option<PathBuf> {
    told("FORTHWITH_DATA")
}

/// The Python with the packages of `tests/peers/requirements.txt`.
pub fn python() -> PathBuf {
    told("FORTHWITH_TEST_PYTHON").expect(
        "FORTHWITH_TEST_PYTHON is not set: this test speaks to a mail program written in Python; run \
         it with `scripts/test chinook peers`, which prepares one",
    )
}

/// Sends by Python's smtplib, one mail a recipient; `user` is `name:password` or empty. Returns a line
/// for the log-in and each recipient: whom it is about, the code that decided, the server's words.
pub fn smtplib(port: u16, tls: SmtplibTls<'_>, user: &str, text: &str, to: &[&str]) -> Vec<String> {
    let (mode, authorities) = match tls {
        SmtplibTls::None => ("plain", Path::new("")),
        SmtplibTls::Starttls(authorities) => ("starttls", authorities),
        SmtplibTls::Implicit(authorities) => ("implicit", authorities),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/smtplib_client.py");
    let output = Command::new(python())
        .arg(script)
        .args([&port.to_string(), mode])
        .arg(authorities)
        .args([user, SENDER, text])
        .args(to)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().map(str::to_owned).collect()
}

/// Who sends what smtplib sends.
pub const SENDER: &str = "client@sender.example";

/// How smtplib secures its connection, and the file with the authorities it trusts.
#[derive(Clone, Copy)]
pub enum SmtplibTls<'a> {
    None,
    Starttls(&'a Path),
    Implicit(&'a Path),
}

/// aiosmtpd in a process of its own, on loopback and a port it chose; ends with this value.
pub struct Aiosmtpd {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Aiosmtpd {
    /// Starts the server with a folder of its own for Maildir and log. Without the Python that
    /// `scripts/test` prepares this fails: a test that passed by not running would say nothing.
    pub fn start() -> Self {
        let python = python();
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/aiosmtpd_maildir.py");
        let mut child = Command::new(&python)
            .arg(&script)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", python.display()));
        let lines = child.stdout.take().map(BufReader::new).unwrap().lines();
        let (told, first) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(lines.map_while(Result::ok).next()));
        let Ok(Some(port)) = first.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("aiosmtpd did not come up; does {} have it? see scripts/test", python.display())
        };
        Self { child, port: port.trim().parse().unwrap(), folder }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every envelope it took: sender and recipients.
    pub fn envelopes(&self) -> Vec<(String, Vec<String>)> {
        let text =
            std::fs::read_to_string(self.folder.path().join("envelopes.log")).unwrap_or_default();
        text.lines()
            .map(|line| {
                let mut parts = line.split('\t').map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.collect())
            })
            .collect()
    }

    /// Every mail in its Maildir.
    pub fn mails(&self) -> Vec<Vec<u8>> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("maildir").join("new")) else {
            return Vec::new();
        };
        entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        end_by_stdin(&mut self.child, PATIENCE);
    }
}

/// Ends a server that stops when its standard input ends, and one that does not, the hard way.
pub fn end_by_stdin(child: &mut Child, patience: Duration) {
    drop(child.stdin.take());
    let asked = Instant::now();
    while asked.elapsed() < patience {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A workspace with two founders and the shipped templates, its relay on loopback at `port`.
pub async fn workspace(port: u16) -> (TempDir, Engine) {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(dir.path());
    workspace.create().unwrap();
    copy_templates(&workspace.templates());
    let engine = engine(&workspace, port, Arc::new(SystemClock), true).await;
    engine.found([person(ANN), person(BOB)]).await.unwrap();
    (dir, engine)
}
