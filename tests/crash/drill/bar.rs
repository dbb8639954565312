//! How far a run is, on stderr.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};

/// A bar on a terminal, a line a step elsewhere, or nothing.
pub struct Bar {
    bar: Option<ProgressBar>,
    speaks: bool,
}

impl Bar {
    /// For whoever watches, or for nobody.
    pub fn new(speaks: bool) -> Self {
        let on_terminal = speaks && std::io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} taken  {msg}");
        let bar = on_terminal.then(|| {
            let bar = ProgressBar::new(0);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, speaks }
    }

    /// A step, or what came of it.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.speaks => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
            None => {}
        }
    }

    /// How many of how many the sink has taken.
    pub fn at(&self, taken: u64, of: u64, doing: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(taken);
            bar.set_message(doing.to_owned());
        }
    }
}
