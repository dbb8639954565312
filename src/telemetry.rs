//! What the program says about its own doings: tracing on stderr, never on stdout.

use std::io::Write;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Takes one whole line; the CLI draws it above its progress bars.
pub type LineWriter = Arc<dyn Fn(&[u8]) + Send + Sync>;

#[derive(Clone)]
struct Lines(LineWriter);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        (self.0)(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is logged: our own modules at `level`. sqlx logs statements with their values and lettre
/// whole messages, so neither is heard at any level.
fn filter(level: LogLevel) -> EnvFilter {
    let word = match level {
        LogLevel::Off => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    EnvFilter::new(format!("off,forthwith={word},sqlx=off,lettre=off"))
}

/// Begins to log. Only the first call of a process counts.
pub fn start(settings: LogSettings, lines: LineWriter) {
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter(settings.level))
        .with_writer(Lines(lines))
        .with_ansi(false);
    let _ = match settings.format {
        LogFormat::Text => base.with_target(false).try_init(),
        LogFormat::Json => base.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn foreign_crates_are_not_heard_at_any_level() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let lines =
            Lines(Arc::new(move |line: &[u8]| into.lock().unwrap().extend_from_slice(line)));
        let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(filter(LogLevel::Trace)).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "lettre", "a whole message");
            tracing::error!(target: "sqlx::query", "a statement");
            tracing::error!(target: "handlebars", "a context");
            tracing::trace!("a step");
        });
        let heard = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
        assert!(heard.contains("a step"), "{heard}");
        for word in ["message", "statement", "context"] {
            assert!(!heard.contains(word), "{heard}");
        }
    }
}
