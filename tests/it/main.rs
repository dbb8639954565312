//! The one integration binary: each module is one behaviour, seen from outside.

mod harness;

mod approvals;
mod chinook;
mod cli;
mod crash;
mod end_to_end;
mod kill;
mod layering;
mod notify;
mod seal;
