//! Django without its pages: one process that says whom it lets in, as often as a test asks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Mutex;

use super::home::Home;
use super::{PATIENCE, command};
use crate::harness::foreign::end_by_stdin;

/// The process, with the tables it made; ends with this value.
pub struct Judge {
    inside: Mutex<(Child, BufReader<ChildStdout>)>,
}

impl Judge {
    pub fn start(home: &Home) -> Self {
        let mut child = command(&home.url(), home.secret())
            .arg("judge")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { inside: Mutex::new((child, said)) }
    }

    /// What Django answers to a question of `tests/peers/django/site.py`.
    pub fn ask(&self, question: &str, parts: &[&str]) -> String {
        let mut inside = self.inside.lock().unwrap();
        let (child, said) = &mut *inside;
        let line = [&[question], parts].concat().join("\t");
        writeln!(child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        said.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "Django ended at `{question}`; above is why");
        answer.trim_end().to_owned()
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // A test that failed while it asked is on its way out already.
        let inside = self.inside.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        end_by_stdin(&mut inside.0, PATIENCE);
    }
}
