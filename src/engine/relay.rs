//! A try of the relay: connects, secures, logs in, and tells what came of it. Sends nothing.

use super::{Engine, EngineError};
use crate::mail::auth::Mechanism;
use crate::mail::capabilities::Capabilities;
use crate::mail::connection::Connection;
use crate::mail::relay::Relay;
use crate::mail::tls::Security;

/// What a relay turned out to be.
#[derive(Debug, Clone)]
pub struct RelayReport {
    /// `host:port`.
    pub relay: String,
    /// How the connection is secured.
    pub security: Security,
    /// By what and as whom we logged in.
    pub logged_in: Option<(Mechanism, String)>,
    /// What it offers.
    pub offered: Capabilities,
    /// What the operator should know.
    pub notes: Vec<&'static str>,
}

impl Engine {
    /// Tries the relay of the configuration.
    pub async fn try_relay(&self) -> Result<RelayReport, EngineError> {
        let connection = Connection::connect(&Relay::new(self.relay.clone()))
            .await
            .map_err(|fault| EngineError::refused(fault.to_string()))?;
        let (security, offered) = (connection.security(), connection.capabilities());
        let user = self.relay.auth.user.clone();
        let report = RelayReport {
            relay: self.relay.relay(),
            security,
            logged_in: connection.logged_in().map(|mechanism| (mechanism, user)),
            offered,
            notes: notes(security, offered),
        };
        connection.close().await;
        Ok(report)
    }
}

fn notes(security: Security, offered: Capabilities) -> Vec<&'static str> {
    let all = [
        (
            security == Security::Clear,
            "Whoever can listen between this machine and the relay reads every notice.",
        ),
        (
            matches!(security, Security::Encrypted { checked: false, .. }),
            "The certificate was not checked: the relay could be somebody else.",
        ),
        (!offered.pipelining, "Without PIPELINING a notice takes three round trips more."),
        (!offered.dsn, "Without DSN a bounce may carry the whole notice back, links and all."),
        (
            !offered.smtputf8,
            "Without SMTPUTF8 people whose address is not ASCII before the @ cannot be reached.",
        ),
    ];
    all.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note).collect()
}
