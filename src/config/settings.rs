//! The sections of the configuration, typed.

use serde::Deserialize;

use super::portal::PortalSection;
use crate::domain::address::EmailAddress;
use crate::domain::duration::HumanDuration;
use crate::engine::WorkerSettings;
use crate::engine::support::SupportLimits;
use crate::mail::settings::RelaySettings;

/// A lease shorter than this ends before a slow disk has renewed it: a permit asks for 5 s of it.
const SHORTEST_LEASE: HumanDuration = HumanDuration::from_secs(15);

/// All sections.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) relay: RelaySettings,
    pub(super) portal: PortalSection,
    pub(super) support: SupportSection,
    pub(super) worker: WorkerSection,
    pub(super) test: TestSection,
    pub(super) log: LogSettings,
}

/// `[test]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestSection {
    pub(super) addresses: Vec<EmailAddress>,
}

/// `[support]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SupportSection {
    look_ups: u64,
    shift: HumanDuration,
}

impl From<SupportSection> for SupportLimits {
    fn from(section: SupportSection) -> Self {
        Self { look_ups: section.look_ups, shift: section.shift.signed() }
    }
}

/// `[worker]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkerSection {
    window: usize,
    lease_for: HumanDuration,
    pub(super) database_wait: HumanDuration,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// From which level on.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// From which level on lines are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What stopped.
    Error,
    /// What should be looked at.
    Warn,
    /// What was done.
    Info,
    /// How it was done.
    Debug,
    /// Every step.
    Trace,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Written {
    /// Reads nested tables and checks what types cannot say.
    pub(super) fn read(table: toml::Table) -> Result<Self, String> {
        let written: Self =
            table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let relay = &written.relay;
        for (key, value) in [
            ("relay.port", u64::from(relay.port)),
            ("relay.connections", u64::from(relay.connections)),
            ("relay.messages_per_connection", u64::from(relay.messages_per_connection)),
            ("worker.window", written.worker.window as u64),
            ("portal.connections", written.portal.connections as u64),
            ("portal.anonymous_per_minute", u64::from(written.portal.anonymous_per_minute)),
            ("portal.relay.connections", written.portal.relay.connections as u64),
            ("portal.status.per_second", u64::from(written.portal.status.per_second)),
        ] {
            if value == 0 {
                return Err(format!("`{key}` must be more than zero"));
            }
        }
        written.portal.check()?;
        if written.worker.lease_for < SHORTEST_LEASE {
            return Err(format!("`worker.lease_for` must be {SHORTEST_LEASE} or longer"));
        }
        Ok(written)
    }
}

impl From<WorkerSection> for WorkerSettings {
    fn from(section: WorkerSection) -> Self {
        Self { window: section.window, lease_for: section.lease_for.unsigned() }
    }
}
