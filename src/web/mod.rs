//! L3: what people see over HTTP. Calls the engine and renders; never touches the store.
//!
//! Owns the listener and its limits, who is behind a proxy, and the headers of every answer.

pub mod client;
mod headers;
mod limits;
mod listener;
pub mod portal;

pub use listener::{Listening, WebError};
