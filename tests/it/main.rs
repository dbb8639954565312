//! The one integration binary: each module is one behaviour, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod harness;

mod addresses;
mod approvals;
mod chinook;
mod cli;
mod config;
mod crash;
mod end_to_end;
mod kill;
mod launch;
mod layering;
mod link;
mod names;
mod notify;
mod pace;
mod peers;
mod phases;
mod relays;
mod replies;
mod seal;
mod sink;
mod tampering;
mod trust;
mod walk;
