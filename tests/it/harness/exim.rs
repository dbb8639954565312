//! Exim as a plain relay, without TLS or log-in.

use super::confined::{Confined, Furnishing, MailServer};

/// A private Exim.
pub struct Exim(Confined);

impl Exim {
    /// One that takes mail for `known`, and refuses everybody else at RCPT.
    pub fn start(known: &[String]) -> Self {
        Self(Confined::start(&Furnishing {
            server: "exim",
            values: &[],
            files: &[("known", known.join("\n") + "\n")],
            ready: None,
        }))
    }
}

impl MailServer for Exim {
    const LOG: &'static str = "exim.mainlog";
    const CONNECTED: &'static str = " (TCP/IP connection count = ";

    fn confined(&self) -> &Confined {
        &self.0
    }
}
