//! The ledger: what was done, in a form that others can check later.
//!
//! It must not know stores or mail; it hashes and proves what it is handed.

pub mod merkle;
