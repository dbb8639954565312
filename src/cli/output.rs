//! Where words go: data to stdout, talk to stderr and above whatever bars are drawn there.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use super::CliError;
use super::problem::Look;
use crate::telemetry::LineWriter;

type Out = Arc<Mutex<Box<dyn Write + Send>>>;

/// Prints a command's data and talk.
#[derive(Clone)]
pub struct Printer {
    data: Out,
    talk: Out,
    bars: MultiProgress,
    draws: bool,
    data_is_terminal: bool,
    look: Arc<OnceLock<(bool, bool)>>,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("draws", &self.draws).finish_non_exhaustive()
    }
}

fn out(to: impl Write + Send + 'static) -> Out {
    Arc::new(Mutex::new(Box::new(to)))
}

fn lock(to: &Out) -> MutexGuard<'_, Box<dyn Write + Send>> {
    to.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Printer {
    /// On this process's stdout and stderr.
    pub fn standard() -> Self {
        let draws = io::stderr().is_terminal();
        let target =
            if draws { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            data: out(io::stdout()),
            talk: out(io::stderr()),
            bars: MultiProgress::with_draw_target(target),
            draws,
            data_is_terminal: io::stdout().is_terminal(),
            look: Arc::default(),
        }
    }

    /// One line of data, or several.
    pub fn data(&self, text: &str) -> Result<(), CliError> {
        let written = self.bars.suspend(|| {
            let mut to = lock(&self.data);
            to.write_all(text.as_bytes())?;
            to.write_all(b"\n")?;
            to.flush()
        });
        Ok(written?)
    }

    /// A value as one line of JSON.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.data(&serde_json::to_string(value)?)
    }

    /// A value as JSON for people to read.
    pub fn json(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.data(&serde_json::to_string_pretty(value)?)
    }

    /// Talk: what was done, what to do next. Talk that nobody takes is no reason to stop.
    pub fn say(&self, text: &str) {
        self.raw(format!("{text}\n").as_bytes());
    }

    /// A question, with the cursor left behind it.
    pub fn ask(&self, question: &str) {
        self.raw(question.as_bytes());
    }

    fn raw(&self, bytes: &[u8]) {
        self.bars.suspend(|| {
            let mut to = lock(&self.talk);
            let _ = to.write_all(bytes).and_then(|()| to.flush());
        });
    }

    /// Takes log lines, so that they appear above the bars and not in them.
    pub fn line_writer(&self) -> LineWriter {
        let printer = self.clone();
        Arc::new(move |line: &[u8]| printer.raw(line))
    }

    /// Whether stderr is a terminal, so that something can be drawn on it.
    pub fn draws(&self) -> bool {
        self.draws
    }

    /// Takes what the environment says of the terminal: other letters than ASCII, colours.
    pub(super) fn set_look(&self, unicode: bool, colour: bool) {
        let _ = self.look.set((unicode, colour));
    }

    /// How problems look among the data.
    pub(super) fn data_look(&self) -> Look {
        self.look_if(self.data_is_terminal)
    }

    /// How problems look among the talk.
    pub(super) fn talk_look(&self) -> Look {
        self.look_if(self.draws)
    }

    fn look_if(&self, is_terminal: bool) -> Look {
        let (unicode, colour) = self.look.get().copied().unwrap_or_default();
        Look { is_terminal, unicode: is_terminal && unicode, colour: is_terminal && colour }
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }
}

/// A count as people read it: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text from outside with its control characters made visible: a peer's reply or a name must not
/// steer the operator's terminal, nor break a table's line.
pub fn harmless(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
    };
    text.chars().map(|c| if hidden(c) { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod recording {
    use super::*;

    /// What a printer was told.
    #[derive(Clone, Default)]
    pub struct Recording {
        pub data: Tape,
        pub talk: Tape,
    }

    /// One stream's bytes.
    #[derive(Clone, Default)]
    pub struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Tape {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Printer {
        /// A printer for tests, and what it will have printed.
        pub fn recording() -> (Self, Recording) {
            let kept = Recording::default();
            let printer = Self {
                data: out(kept.data.clone()),
                talk: out(kept.talk.clone()),
                bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
                draws: false,
                data_is_terminal: false,
                look: Arc::default(),
            };
            (printer, kept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_talk_do_not_mix() {
        let (printer, kept) = Printer::recording();
        printer.data("a\tb").unwrap();
        printer.json_line(&serde_json::json!({ "n": 1 })).unwrap();
        printer.say("done");
        assert_eq!(kept.data.text(), "a\tb\n{\"n\":1}\n");
        assert_eq!(kept.talk.text(), "done\n");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (24_123_456, "24,123,456")]
        {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn control_and_bidi_characters_are_shown_and_not_obeyed() {
        assert_eq!(harmless("a\x1b[2Jb\r\n"), "a\u{FFFD}[2Jb\u{FFFD}\u{FFFD}");
        assert_eq!(harmless("a\u{202E}b — é"), "a\u{FFFD}b — é");
    }
}
