//! The binary as a process: run to its end, or killed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// The two founders.
pub const FOUNDERS: [&str; 2] = ["ann", "bob"];

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// A process that takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(10);

/// The binary, at work in one workspace.
#[derive(Debug, Clone)]
pub struct Forthwith {
    pub binary: PathBuf,
    pub folder: PathBuf,
}

/// A command line, with whoever signs it.
#[derive(Debug, Clone)]
pub struct Line {
    pub words: Vec<String>,
    pub signer: Option<&'static str>,
}

/// What became of a process that was to be killed.
pub enum Struck {
    /// It died in the middle.
    Killed,
    /// It had ended before.
    Ended(Output),
}

pub fn password(of: &str) -> String {
    format!("the long password of {of}")
}

impl Line {
    pub fn of(words: &[&str]) -> Self {
        Self { words: words.iter().map(|word| (*word).to_owned()).collect(), signer: None }
    }

    /// Signed by an operator, without a question.
    pub fn signed(words: &[&str], by: &'static str) -> Self {
        let mut line = Self::of(words);
        line.words.extend(["--operator", by, "--yes"].map(String::from));
        line.signer = Some(by);
        line
    }
}

impl Forthwith {
    /// A command in its workspace. Of the variables that steer this program, only ours are set.
    pub fn command(&self, line: &Line) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FORTHWITH_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(&self.folder)
            .env("XDG_STATE_HOME", self.folder.join("xdg-state"))
            .args(&line.words)
            .stdin(Stdio::null());
        match line.signer {
            Some(who) => command.env("FORTHWITH_PASSWORD", password(who)),
            None => command
                .env("FORTHWITH_PASSWORD_1", password(FOUNDERS[0]))
                .env("FORTHWITH_PASSWORD_2", password(FOUNDERS[1])),
        };
        command
    }

    /// Starts a command whose words go to a log.
    pub fn spawn(&self, line: &Line, log: &Path) -> Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = self.command(line);
        command.stdout(Stdio::null()).stderr(log);
        command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))
    }

    /// Runs a command to its end.
    pub fn run(&self, line: &Line) -> Result<Output> {
        let output = self.command(line).output();
        output.with_context(|| format!("cannot start {}", self.binary.display()))
    }

    /// Runs a command that must end well; what it printed.
    pub fn done(&self, line: &Line) -> Result<String> {
        let output = self.run(line)?;
        ensure!(output.status.success(), "{}", failure(line, &output));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a command that must end well; how long it took.
    pub fn measured(&self, line: &Line) -> Result<Duration> {
        let began = Instant::now();
        self.done(line)?;
        Ok(began.elapsed())
    }

    /// Starts a command and kills it after so long, unless it has ended before.
    pub async fn struck(&self, line: &Line, after: Duration) -> Result<Struck> {
        let began = Instant::now();
        let mut command = self.command(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        tokio::time::sleep(after.saturating_sub(began.elapsed())).await;
        if child.try_wait()?.is_some() {
            return Ok(Struck::Ended(child.wait_with_output()?));
        }
        child.kill()?;
        let output = child.wait_with_output()?;
        // it may have ended between the look and the kill
        Ok(if output.status.code().is_some() { Struck::Ended(output) } else { Struck::Killed })
    }
}

/// Waits for a process; gives up on one that hangs.
pub async fn ended(child: &mut Child) -> Result<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            bail!("a process hung for {} s and was ended", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How a command failed, in words.
pub fn failure(line: &Line, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    format!("`forthwith {}` ended with {}: {}", line.words.join(" "), output.status, said.trim())
}
