//! Mail: builds a notice's bytes and carries them over one SMTP connection.
//!
//! Knows nothing of campaigns, stores or journals: the engine hands in values and a mark to make
//! before the final dot, and gets back what the server said.

pub mod address;
pub mod auth;
pub mod capabilities;
pub mod connection;
mod dialogue;
pub mod envelope;
pub mod message;
mod normalise;
mod opening;
mod quoted_printable;
pub mod relay;
pub mod settings;
pub mod stream;
pub mod tls;
pub mod transaction;
pub mod wire;

#[cfg(test)]
mod scripted;
