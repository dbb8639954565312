//! The real binary at work on a house: what it says, how it ends, and signals on the way.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::running::until;
use super::{CAMPAIGN, House, binary, write};

/// How long a process may take to come to its end.
const PATIENCE: Duration = Duration::from_mins(2);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A running process; killed with this value.
pub struct Process {
    child: Child,
    said: PathBuf,
    data: PathBuf,
    _papers: tempfile::TempDir,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// What it said on stderr.
    pub said: String,
}

impl Ended {
    /// Its exit code; a process that a signal killed has none.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl Process {
    /// `campaign run` on a house.
    pub fn run(house: &House) -> Self {
        Self::on(house.dir.path(), &house.path("xdg-state"), &["campaign", "run", CAMPAIGN])
    }

    /// A command on the workspace in `folder`.
    pub fn on(folder: &Path, state_home: &Path, arguments: &[&str]) -> Self {
        let mut command = binary();
        command.arg("--workspace").arg(folder).args(arguments);
        command.env("XDG_STATE_HOME", state_home);
        Self::start(command)
    }

    /// The same through a shell that does something first: `exec "$@"` is the command.
    pub fn through(script: &str, house: &House, arguments: &[&str]) -> Self {
        let plain = binary();
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(plain.get_program());
        command.arg("--workspace").arg(house.dir.path()).args(arguments);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("XDG_STATE_HOME", house.path("xdg-state"));
        Self::start(command)
    }

    pub fn start(mut command: Command) -> Self {
        let papers = tempfile::tempdir().unwrap();
        let name = COUNT.fetch_add(1, Ordering::Relaxed);
        let said = papers.path().join(format!("{name}.said"));
        let data = papers.path().join(format!("{name}.data"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&data).unwrap())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        Self { child, said, data, _papers: papers }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    pub fn data(&self) -> String {
        std::fs::read_to_string(&self.data).unwrap()
    }

    /// Sends a signal by its name, by the shell's own `kill`.
    pub fn send(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Kills it as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it says this.
    pub async fn until_said(&mut self, words: &str) {
        until(words, async || {
            let ended = self.child.try_wait().unwrap();
            let said = self.said();
            assert!(ended.is_none() || said.contains(words), "it ended: {ended:?}\n{said}");
            said.contains(words)
        })
        .await;
    }

    /// Waits until something holds while it runs.
    pub async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        until(what, async || {
            if let Some(ended) = self.child.try_wait().unwrap() {
                panic!("it ended before {what}: {ended}\n{}", self.said());
            }
            holds().await
        })
        .await;
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let Ok(status) = waited.await else { panic!("it never ends:\n{}", self.said()) };
        Ended { status, said: self.said() }
    }

    /// Waits for its end, which is a success.
    pub async fn succeeded(self) -> Ended {
        let ended = self.ended().await;
        assert!(ended.status.success(), "{ended:?}");
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the binary reads of a house's workspace, with further tables.
pub fn write_settings(house: &House, port: u16, more: &str) {
    let settings = format!(
        "[relay]\nhost = \"127.0.0.1\"\nport = {port}\nhello = \"localhost\"\nconnections = 8\n{more}"
    );
    write(&house.path("forthwith.toml"), &settings);
    let providers = "[provider.other]\nconnections = 100\nmessages_per_connection = 1000\n";
    write(&house.path("providers.toml"), providers);
}
