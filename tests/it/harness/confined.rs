//! A server of Debian's, private to one test: in namespaces of its own (`tests/peers/confined`),
//! on loopback and a port chosen here, with a folder for its configuration, mail and log.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::foreign::{end_by_stdin, told};

/// How long a server may take to come up, to deliver what it accepted, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How often a server is started that ends at once: somebody may have taken the port meanwhile.
const STARTS: u32 = 4;

/// A running server; ends with this value, and with the test process however that ends.
pub struct Confined {
    child: Child,
    port: u16,
    folder: TempDir,
}

/// What a server is given.
pub struct Furnishing<'a> {
    /// The folder under `tests/peers` with its configuration and `start`.
    pub server: &'static str,
    /// What stands there as `@NAME@`; `@PORT@` and `@HOSTNAME@` are given by themselves.
    pub values: &'a [(&'static str, &'a str)],
    /// Further files beside its configuration.
    pub files: &'a [(&'static str, String)],
    /// What is there, under `var`, once it can serve; besides the listening port.
    pub ready: Option<&'static str>,
}

/// What is the same with every mail server.
pub trait MailServer {
    /// The file it logs to.
    const LOG: &'static str;
    /// What its log says once for each connection it took.
    const CONNECTED: &'static str;

    fn confined(&self) -> &Confined;

    fn port(&self) -> u16 {
        self.confined().port()
    }

    /// What it delivered to those it knows, once so many are there.
    fn mails(&self, count: usize) -> Vec<Vec<u8>> {
        self.confined().maildir("mails", count)
    }

    fn log(&self) -> String {
        self.confined().log(Self::LOG)
    }

    /// Everything it wrote about its work: each file with its name.
    fn logs(&self) -> Vec<(String, Vec<u8>)> {
        self.confined().logs()
    }

    /// How many connections it took.
    fn connections(&self) -> usize {
        self.log().matches(Self::CONNECTED).count()
    }
}

impl Confined {
    /// Starts a server and waits until it listens. Without what `scripts/test` prepares this fails: a
    /// test that passed by not running would say nothing.
    pub fn start(furnishing: &Furnishing<'_>) -> Self {
        let mut said = String::new();
        for _ in 0..STARTS {
            let mut server = Self::launch(furnishing, free_port());
            match server.wait_until_ready(furnishing.ready) {
                None => return server,
                Some(end) => said = format!("{end}\n{}", server.last_words()),
            }
        }
        panic!("{} does not start: {said}", furnishing.server);
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn launch(furnishing: &Furnishing<'_>, port: u16) -> Self {
        let servers = told("FORTHWITH_TEST_SERVERS").expect(
            "FORTHWITH_TEST_SERVERS is not set: this test speaks to servers of Debian's; run it with \
             `scripts/test relays databases directories`, which prepares them",
        );
        let folder = tempfile::tempdir().unwrap();
        furnish(folder.path(), furnishing, port);
        let child = Command::new(peers().join("confined"))
            .arg(servers.join("root"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(File::create(folder.path().join("said")).unwrap())
            .stderr(File::options().append(true).open(folder.path().join("said")).unwrap())
            .spawn()
            .unwrap();
        Self { child, port, folder }
    }

    /// None once it serves; how it ended, if it did.
    fn wait_until_ready(&mut self, ready: Option<&str>) -> Option<ExitStatus> {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(end) = self.child.try_wait().unwrap() {
                return Some(end);
            }
            if is_listening(self.port) && ready.is_none_or(|file| self.var(file).exists()) {
                return None;
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        panic!("the server did not come up in {PATIENCE:?}:\n{}", self.last_words());
    }

    fn var(&self, name: &str) -> PathBuf {
        self.folder.path().join("var").join(name)
    }

    /// The text of a file below `var`.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.var(name)).unwrap()
    }

    /// A file of its log folder; empty where it has not written yet.
    fn log(&self, name: &str) -> String {
        let bytes = std::fs::read(self.var("log").join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it said before its log was open, and all its logs, by their files.
    fn logs(&self) -> Vec<(String, Vec<u8>)> {
        let said = [self.folder.path().join("said")];
        let logs = std::fs::read_dir(self.var("log")).into_iter().flatten();
        let files = said.into_iter().chain(logs.map(|entry| entry.unwrap().path()));
        files.map(|file| (file.display().to_string(), std::fs::read(&file).unwrap())).collect()
    }

    fn last_words(&self) -> String {
        let logs = self.logs();
        logs.iter().map(|(_, words)| String::from_utf8_lossy(words).into_owned()).collect()
    }

    /// Every mail in one of its Maildirs, once so many are there.
    pub fn maildir(&self, maildir: &str, count: usize) -> Vec<Vec<u8>> {
        let new = self.var("mail").join(maildir).join("new");
        let asked = Instant::now();
        loop {
            let there = std::fs::read_dir(&new).map_or(0, Iterator::count);
            if there >= count {
                break;
            }
            assert!(
                asked.elapsed() < PATIENCE,
                "{there} of {count} mails in {maildir} after {PATIENCE:?}:\n{}",
                self.last_words()
            );
            std::thread::sleep(BETWEEN_LOOKS);
        }
        let entries = std::fs::read_dir(&new).into_iter().flatten();
        entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // The hard way works too: `unshare --kill-child` takes all others along.
        end_by_stdin(&mut self.child, PATIENCE);
    }
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// Writes `srv` (configuration with its values) and `var` (empty).
fn furnish(folder: &Path, furnishing: &Furnishing<'_>, port: u16) {
    let srv = folder.join("srv");
    std::fs::create_dir(&srv).unwrap();
    std::fs::create_dir(folder.join("var")).unwrap();
    std::fs::copy(peers().join("watch"), srv.join("watch")).unwrap();
    let (port, hostname) = (port.to_string(), format!("{}.example", furnishing.server));
    let given = [("PORT", port.as_str()), ("HOSTNAME", hostname.as_str())];
    for entry in std::fs::read_dir(peers().join(furnishing.server)).unwrap() {
        let path = entry.unwrap().path();
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (name, value) in given.iter().chain(furnishing.values) {
            text = text.replace(&format!("@{name}@"), value);
        }
        std::fs::write(srv.join(path.file_name().unwrap()), text).unwrap();
    }
    for (name, text) in furnishing.files {
        std::fs::write(srv.join(name), text).unwrap();
    }
}

/// A port nobody listens on now, below those that the system hands out by itself.
fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks the system instead of connecting, which the server would count and log.
fn is_listening(port: u16) -> bool {
    let address = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&address) && fields.nth(1) == Some("0A")
    })
}
