//! The one integration binary: each module is one behaviour, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

#[path = "../crash/drill/mod.rs"]
mod drill;
mod harness;

use harness::{files, form};

mod addresses;
mod ahead;
mod amendments;
mod approvals;
mod bad_input;
mod browser;
mod chinook;
mod cli;
mod config;
mod crash;
mod crowd;
mod databases;
mod directories;
mod end_to_end;
mod faults;
mod flush;
mod hints;
mod kill;
mod kinds;
mod launch;
mod layering;
mod link;
mod names;
mod notify;
mod pace;
mod peers;
mod people;
mod phases;
mod portal;
mod recheck;
mod relays;
mod replies;
mod rescue;
mod rewind;
mod safety;
mod seal;
mod sink;
mod sites;
mod sources;
mod support;
mod tampering;
mod trust;
mod walk;
mod waves;
mod words;
