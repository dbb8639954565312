//! How a command ends: exit code, and the words for what went wrong.

use std::io;
use std::process::ExitCode;

use super::Printer;
use super::problem::Look;
use crate::app::AppError;
use crate::config::ConfigError;
use crate::domain::problem::ProblemList;
use crate::engine::{EngineError, Workspace};
use crate::sink::SinkError;
use crate::store::{StoreError, Trouble};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A use case refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The workspace could not be opened or made.
    #[error(transparent)]
    App(#[from] AppError),
    /// The local SMTP server did not start.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Something the operator can mend; the text says what and ends with a hint.
    #[error("{0}")]
    Refused(String),
    /// Asked, and the answer was no.
    #[error("nothing was done")]
    Declined,
    /// A file named on the command line.
    #[error("`{path}`: {source}; hint: check the path and who may read it")]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The machine keeps the database from being written.
    #[error("{told}")]
    Trouble {
        /// What that means, with a hint.
        told: String,
        /// What could not be done.
        #[source]
        source: Box<CliError>,
    },
    /// Standard output does not take what is written, or another stream failed.
    #[error("cannot read or write: {0}")]
    Output(#[from] io::Error),
    /// A value that has no JSON form.
    #[error("cannot write JSON: {0}; this is a defect, please report it")]
    Json(#[from] serde_json::Error),
    /// The runtime or its signal handlers could not be made.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

impl CliError {
    /// A refusal with its words.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    /// The same error; where the machine is at fault, with what it is at this workspace and what helps.
    pub(super) fn in_workspace(self, workspace: &Workspace) -> Self {
        let trouble = match &self {
            Self::Engine(error) | Self::App(AppError::Engine(error)) => error.trouble(),
            Self::App(AppError::Store(error)) => error.trouble(),
            _ => None,
        };
        let database = workspace.database();
        let told = match trouble {
            None => return self,
            Some(Trouble::Full) => {
                let folder = database.parent().unwrap_or(workspace.root()).display();
                format!(
                    "no space is left in `{folder}`, so nothing more was started; hint: `df -h {folder}` \
                     shows what is left; free some, then the same command goes on: what was recorded \
                     stands, and what was on its way is settled from the wire journal"
                )
            }
            Some(Trouble::Locked) => {
                let file = database.display();
                format!(
                    "another process holds the lock of `{file}`; hint: `fuser {file}` names who has it \
                     open; end that one, then the same command goes on: what was on its way is settled \
                     from the wire journal"
                )
            }
        };
        Self::Trouble { told, source: Box::new(self) }
    }

    /// What is wrong with files, where that is the reason.
    fn problems(&self) -> Option<&ProblemList> {
        match self {
            Self::Engine(error) | Self::App(AppError::Engine(error)) => error.problems(),
            Self::Config(ConfigError::Problems(list)) => Some(list),
            _ => None,
        }
    }

    /// Whether the operator can mend it (exit 1) rather than us (exit 2).
    pub fn is_yours(&self) -> bool {
        match self {
            Self::Engine(error) | Self::App(AppError::Engine(error)) => error.is_yours(),
            Self::App(AppError::Store(error)) => {
                !matches!(error, StoreError::Statement { .. } | StoreError::Corrupt { .. })
            }
            Self::Config(error) => !matches!(error, ConfigError::Defaults(_)),
            Self::App(_)
            | Self::Sink(_)
            | Self::Refused(_)
            | Self::Declined
            | Self::File { .. } => true,
            Self::Trouble { .. } | Self::Output(_) | Self::Json(_) | Self::Runtime(_) => false,
        }
    }
}

/// The exit code of a command line that clap refused, answered by clap's own words.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(u8::from(error.exit_code() != 0))
}

/// Prints what went wrong and gives the exit code: 0 done, 1 yours to mend, 2 ours.
pub(super) fn report(result: Result<(), CliError>, printer: &Printer) -> ExitCode {
    let error = match result {
        Ok(()) => return ExitCode::SUCCESS,
        // Whoever read our output has read enough.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(error) => error,
    };
    printer.say(&told(&error, printer.talk_look()));
    ExitCode::from(if error.is_yours() { 1 } else { 2 })
}

/// All that a person reads of an error; its last line is the hint, where there is one.
pub fn told(error: &CliError, look: Look) -> String {
    let Some(list) = error.problems() else { return words(error) };
    let all = CliError::refused(match list.len() {
        1 => {
            "1 problem in your files; hint: mend it, `forthwith config check` reads them all".into()
        }
        more => format!(
            "{more} problems in your files; hint: mend them, `forthwith config check` reads them all"
        ),
    });
    format!("{}\n{}", super::problem::shown(list, look), words(&all))
}

/// The error, its causes as far as they add anything, and its hint on a line of its own: that of a cause
/// where the error itself has none.
fn words(error: &CliError) -> String {
    let whole = error.to_string();
    let (told, mut hint) = parted(&whole);
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !whole.contains(&text) {
            let (cause, its) = parted(&text);
            hint = hint.or(its);
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        }
        next = cause.source();
    }
    let mut text = format!("error: {told}");
    for cause in causes {
        text.push_str("\n  because: ");
        text.push_str(&cause);
    }
    if let Some(hint) = hint {
        text.push_str("\nhint: ");
        text.push_str(&hint);
    }
    text
}

/// A text without its hint, and the hint.
fn parted(text: &str) -> (String, Option<String>) {
    match text.split_once("; hint: ") {
        Some((told, hint)) => (told.to_owned(), Some(hint.to_owned())),
        None => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceError;

    #[test]
    fn a_hint_stands_on_its_own_line_and_a_cause_is_told_once() {
        let refused = CliError::refused("there is no `x`; hint: write it, or ask");
        assert_eq!(words(&refused), "error: there is no `x`\nhint: write it, or ask");
        let file = CliError::File {
            path: "p".into(),
            source: io::Error::new(io::ErrorKind::NotFound, "not there"),
        };
        assert_eq!(words(&file), "error: `p`: not there\nhint: check the path and who may read it");
        let stopped = EngineError::Source(SourceError::Read {
            origin: "csv p".into(),
            line: 7,
            source: io::Error::other("no route"),
        });
        assert_eq!(
            words(&CliError::Engine(stopped)),
            "error: csv p: reading stopped at line 7\n  because: no route\nhint: run the same command \
             again once the file can be read to its end"
        );
        let runtime = CliError::Runtime(io::Error::other("no threads"));
        assert_eq!(words(&runtime), "error: cannot start: no threads");
    }

    #[test]
    fn what_a_person_can_mend_is_one_and_what_is_ours_is_two() {
        let broken = CliError::Engine(EngineError::Broken("a sum".into()));
        assert!(CliError::refused("x").is_yours() && !broken.is_yours());
        let (printer, _) = Printer::recording();
        assert_eq!(report(Err(broken), &printer), ExitCode::from(2));
        assert_eq!(report(Err(CliError::Declined), &printer), ExitCode::from(1));
        let pipe = io::Error::new(io::ErrorKind::BrokenPipe, "gone");
        assert_eq!(report(Err(CliError::Output(pipe)), &printer), ExitCode::SUCCESS);
    }
}
