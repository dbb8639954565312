//! Forthwith tells everyone affected by a data breach, and makes their stolen credentials worthless
//! first.
//!
//! Layers, imports pointing down only (`tests/it/layering.rs` holds it): `domain` (L0), `secret tls` (L1a), `database`,
//! `store mail render directory source ledger journal password_filter sink webhook` (L1b, never importing each
//! other), `engine` (L2), `config cli app lifecycle telemetry` (L3). `docs/architecture.md` walks one recipient
//! through them.

pub mod app;
pub mod cli;
pub mod config;
pub mod database;
pub mod directory;
pub mod domain;
pub mod engine;
pub mod journal;
pub mod ledger;
pub mod lifecycle;
pub mod mail;
pub mod password_filter;
pub mod render;
pub mod secret;
pub mod sink;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod web;
pub mod webhook;
