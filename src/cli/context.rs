//! What every command starts from: where the workspace is, what was set up, where to print.

use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::{CliError, Printer};
use crate::app::App;
use crate::config::{Config, Variables};
use crate::engine::{Engine, Workspace};
use crate::telemetry;

/// The surroundings of one command.
pub(super) struct Context<'a> {
    pub(super) workspace: Workspace,
    pub(super) variables: Variables,
    pub(super) printer: &'a Printer,
    /// The command changes nothing, so it may look at a rewound database too.
    pub(super) only_reads: bool,
}

impl<'a> Context<'a> {
    /// The workspace is the one named, else the environment's, else this folder.
    pub(super) fn new(named: Option<PathBuf>, variables: Variables, printer: &'a Printer) -> Self {
        let root = named.or_else(|| variables.workspace()).unwrap_or_else(|| ".".into());
        Self { workspace: Workspace::at(root), variables, printer, only_reads: false }
    }

    /// The configuration, with the log begun as it says.
    pub(super) fn config(&self) -> Result<Config, CliError> {
        self.config_of(&self.workspace)
    }

    /// The configuration of a workspace that a command names itself.
    pub(super) fn config_of(&self, workspace: &Workspace) -> Result<Config, CliError> {
        let config = Config::load(workspace, &self.variables)?;
        telemetry::start(config.log, self.printer.line_writer());
        Ok(config)
    }

    /// Begins to log for commands that need no workspace.
    pub(super) fn log_without_workspace(&self) -> Result<(), CliError> {
        let config = Config::without_workspace(&self.variables)?;
        telemetry::start(config.log, self.printer.line_writer());
        Ok(())
    }

    /// Opens the workspace, works, and closes it whatever came of the work.
    pub(super) async fn with_engine<T, F: Future<Output = Result<T, CliError>>>(
        &self,
        work: impl FnOnce(Engine) -> F,
    ) -> Result<T, CliError> {
        let in_trouble = |error: CliError| error.in_workspace(&self.workspace);
        let opened = Box::pin(App::open(self.workspace.clone(), self.config()?, "cli")).await;
        let app = opened.map_err(|error| in_trouble(error.into()))?;
        let done = match self.check_rewound(&app) {
            // what a command keeps while it works is large, and would be in every future above it
            Ok(()) => Box::pin(work(app.engine.clone())).await,
            Err(error) => Err(error),
        };
        app.close().await;
        done.map_err(in_trouble)
    }

    /// Refuses to change a rewound database, before anything is asked; tells whoever only looks.
    fn check_rewound(&self, app: &App) -> Result<(), CliError> {
        let Some(rewound) = &app.rewound else { return Ok(()) };
        if !self.only_reads {
            return Err(crate::engine::EngineError::from(rewound.clone()).into());
        }
        self.printer.say(&rewound.to_string());
        Ok(())
    }

    /// Who acts where no operator signs: `os:user@host`.
    pub(super) fn actor() -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        format!("os:{}@{host}", user(own_uid(), &accounts))
    }
}

/// The account this process runs under, asked of the kernel: `$USER` is whatever somebody typed.
fn own_uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// The name of an account in `/etc/passwd`, else its number.
fn user(uid: Option<u32>, accounts: &str) -> String {
    let Some(uid) = uid else { return "unknown".into() };
    let named = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_acts_is_named_by_the_kernels_word_for_them() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user(Some(1000), accounts), "ann");
        assert_eq!(user(Some(1001), accounts), "1001");
        assert!(Context::actor().starts_with("os:"));
    }
}
