//! L0: pure types and rules. No I/O, no async, no database or web crate.

pub mod address;
pub mod chunk;
pub mod clock;
pub mod credential;
pub mod delivery;
pub mod duration;
pub mod field;
pub mod incident;
pub mod ledger;
pub mod loopback;
pub mod operator;
pub mod pace;
pub mod problem;
pub mod provider;
pub mod recipient;
pub mod reply;
pub mod retry;
pub mod snapshot;
pub mod toml_file;
pub mod totals;
pub mod track;
pub mod variant;
pub mod zoned;
