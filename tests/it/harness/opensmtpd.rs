//! OpenSMTPD as a relay that speaks TLS from the first octet.

use forthwith::sink::Certificates;

use super::confined::{Confined, Furnishing, MailServer};

/// A private OpenSMTPD.
pub struct OpenSmtpd(Confined);

impl OpenSmtpd {
    /// One that takes mail for `known`, and refuses everybody else at RCPT.
    pub fn start(certificates: &Certificates, known: &[String]) -> Self {
        Self(Confined::start(&Furnishing {
            server: "opensmtpd",
            values: &[],
            files: &[
                ("chain.pem", certificates.chain_pem.clone()),
                ("key.pem", certificates.key_pem.clone()),
                ("known", known.join("\n") + "\n"),
            ],
            ready: None,
        }))
    }
}

impl MailServer for OpenSmtpd {
    const LOG: &'static str = "smtpd.log";
    const CONNECTED: &'static str = " smtp connected ";

    fn confined(&self) -> &Confined {
        &self.0
    }
}
