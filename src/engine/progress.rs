//! How long work tells how far it is: the CLI draws bars, tests listen, nobody has to.

/// Hears about the progress of one piece of long work.
pub trait Progress: Send + Sync {
    /// A stage begins; `total` in `unit`s where it is known.
    fn begin(&self, stage: &str, total: Option<u64>, unit: &str);
    /// So much of the stage is done.
    fn at(&self, done: u64);
    /// The stage ended.
    fn end(&self);
    /// A sentence the operator should read.
    fn note(&self, text: &str);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: Option<u64>, _: &str) {}
    fn at(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}
