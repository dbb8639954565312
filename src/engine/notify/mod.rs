//! Notify: claim, render, intent, permit, wire, outcome (protocol §4–§7).
//!
//! One dispatcher feeds connection tasks through the recorder; nothing is handed to a connection before
//! its intent is committed, and nothing counts before its outcome is.

pub mod brake;
pub mod claim;
pub mod concurrency;
pub mod connections;
pub mod control;
pub mod dispatch;
pub mod fault;
pub mod halt;
pub mod job;
pub mod lane;
pub mod outcome;
pub mod pace;
pub mod pick;
pub mod policy;
pub mod quota;
pub mod reaction;
pub mod recorder;
pub mod recover;
pub mod relay_state;
pub mod share;
pub mod short;
pub mod worker;

pub use worker::Worker;
