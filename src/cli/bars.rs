//! Progress of long work: a bar on a terminal, plain lines anywhere else.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Printer;
use super::output::count;
use crate::engine::progress::Progress;

/// Draws the stages of one piece of work.
#[derive(Debug)]
pub struct Bars {
    printer: Printer,
    stage: Mutex<Option<Stage>>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    unit: String,
    bar: Option<ProgressBar>,
    done: u64,
    began: Instant,
}

impl Bars {
    /// Bars on this printer's stderr.
    pub fn new(printer: &Printer) -> Self {
        Self { printer: printer.clone(), stage: Mutex::new(None) }
    }

    fn bar(&self, stage: &str, total: Option<u64>, unit: &str) -> Option<ProgressBar> {
        if !self.printer.draws() {
            return None;
        }
        let template = match (total.is_some(), unit == "bytes") {
            (true, true) => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
            (true, false) => {
                "{msg} {wide_bar} {human_pos}/{human_len} {prefix}, {per_sec}, {eta} left"
            }
            (false, true) => "{msg} {spinner} {bytes} {bytes_per_sec}",
            (false, false) => "{msg} {spinner} {human_pos} {prefix}, {per_sec}",
        };
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let bar = self.printer.bars().add(bar);
        bar.set_style(ProgressStyle::with_template(template).ok()?);
        bar.set_message(stage.to_owned());
        bar.set_prefix(unit.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Some(bar)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Stage>) -> T) -> T {
        work(&mut self.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Bars {
    fn begin(&self, stage: &str, total: Option<u64>, unit: &str) {
        self.end();
        let bar = self.bar(stage, total, unit);
        if bar.is_none() {
            match total {
                Some(total) => self.printer.say(&format!("{stage}: {} {unit} to do", count(total))),
                None => self.printer.say(&format!("{stage} …")),
            }
        }
        let (name, unit) = (stage.to_owned(), unit.to_owned());
        self.with(|slot| *slot = Some(Stage { name, unit, bar, done: 0, began: Instant::now() }));
    }

    fn at(&self, done: u64) {
        self.with(|slot| {
            if let Some(stage) = slot {
                stage.done = done;
                if let Some(bar) = &stage.bar {
                    bar.set_position(done);
                }
            }
        });
    }

    fn end(&self) {
        let Some(stage) = self.with(Option::take) else { return };
        if let Some(bar) = &stage.bar {
            bar.finish_and_clear();
        }
        let Stage { name, unit, done, began, .. } = stage;
        let seconds = began.elapsed().as_secs_f64();
        self.printer.say(&format!("{name}: {} {unit} in {seconds:.1} s", count(done)));
    }

    fn note(&self, text: &str) {
        self.printer.say(text);
    }
}

impl Drop for Bars {
    /// Work that failed leaves its bar behind.
    fn drop(&mut self) {
        if let Some(Stage { bar: Some(bar), .. }) = self.with(Option::take) {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_each_stage_is_two_lines_and_notes_are_told() {
        let (printer, kept) = Printer::recording();
        let bars = Bars::new(&printer);
        bars.begin("Sealing", Some(2_000), "rows");
        bars.at(1_000);
        bars.note("half of it");
        bars.at(2_000);
        bars.end();
        bars.end();
        let talk = kept.talk.text();
        let lines: Vec<&str> = talk.lines().collect();
        assert_eq!(lines[..2], ["Sealing: 2,000 rows to do", "half of it"]);
        assert!(lines[2].starts_with("Sealing: 2,000 rows in "), "{talk}");
        assert_eq!((lines.len(), kept.data.text().as_str()), (3, ""));
    }
}
