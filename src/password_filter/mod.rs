//! Passwords known from breaches, in a file of our own that is asked on this machine alone: nothing about a
//! new password leaves it (NIST SP 800-63B-4 §3.1.1.2, OWASP ASVS 5.0 §6.2.12).
//!
//! A filter is what is left of a list's hashes, in order, so that a look-up is three short reads at known places
//! and no memory. It keeps 52 bits of each: a password that is on no list is taken for one that is with a
//! chance of the list's length ÷ 2^52, one in five millions for nine hundred million. A password on the list is
//! always found.

mod build;
mod error;
mod file;
mod list;
mod reject;
mod sorter;
mod writer;

pub use build::{Built, Wanted, build};
pub use error::FilterError;
pub use file::PasswordFilter;
pub use list::ListForm;
pub use reject::{Reject, RejectReason, Rejected};
pub use writer::Stage;
