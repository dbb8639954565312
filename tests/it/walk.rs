//! README's ten-minute walk, followed literally: every line of its blocks, through a real Postfix.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const README: &str = include_str!("../../README.md");
/// How long the relay may take to come up; the first time, `scripts/test` has fetched it already.
const PATIENCE: Duration = Duration::from_mins(1);

/// The walk's blocks, the relay's first.
fn blocks() -> Vec<&'static str> {
    let (_, walk) = README.split_once("## Ten minutes").unwrap();
    let (walk, _) = walk.split_once("\n## ").unwrap();
    let blocks = walk.split("```sh\n").skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `scripts/practice-relay`, ended with this value: it ends with its process, however that ends.
struct PracticeRelay(Child);

impl PracticeRelay {
    fn start(command: &str, folder: &Path, port: u16) -> Self {
        let mut words = command.split_whitespace();
        let child = Command::new(root().join(words.next().unwrap()))
            .args(words)
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        let relay = Self(child);
        let (asked, log) = (Instant::now(), folder.join("var/spool/postfix/private/auth"));
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        while !(log.exists() && listens()) {
            let said = std::fs::read_to_string(folder.with_extension("log")).unwrap_or_default();
            assert!(asked.elapsed() < PATIENCE, "the relay does not come up:\n{said}");
            std::thread::sleep(Duration::from_millis(50));
        }
        relay
    }
}

impl Drop for PracticeRelay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn the_ten_minute_walk_of_the_readme_ends_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let (at, port) = (folder.path().join("practice-relay"), free_port());
    // Another place and port than the reader's, so that tests beside this one are not disturbed.
    let moved = |text: &str| {
        text.replace("/tmp/practice-relay", &at.display().to_string())
            .replace("2587", &port.to_string())
    };
    let blocks = blocks();
    let _relay = PracticeRelay::start(moved(blocks[0]).trim(), &at, port);
    let script: String = blocks[1..].iter().map(|block| moved(block)).collect();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_forthwith"));
    let mut path = binary.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("XDG_STATE_HOME", folder.path().join("state"))
        .env_remove("FORTHWITH_DATA")
        .env_remove("FORTHWITH_TEST_PYTHON")
        .env_remove("FORTHWITH_TEST_SERVERS")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, talk) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{talk}");
    let (_, end) = README.split_once("It ends with `").unwrap();
    let (end, _) = end.split_once('`').unwrap();
    assert!(said.contains(end), "{end}\n{said}");
    for told in ["connection  TLSv1.3, certificate checked", "as campaigns, by plain", "550  5.1.1"]
    {
        assert!(said.contains(told), "{told}\n{said}");
    }
    let mails = std::fs::read_dir(at.join("var/mail/mails/new")).unwrap().count();
    assert_eq!(mails, 4, "the four who are told");
}
