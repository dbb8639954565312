//! One relay with what is made once for all connections to it.

use std::sync::{Arc, OnceLock};

use super::settings::RelaySettings;
use super::tls::{Tls, TlsFault};

/// A relay's settings, and its TLS as it was first used. Clones share both, and so their TLS
/// sessions: a new connection of an old one's session costs less.
#[derive(Debug, Clone)]
pub struct Relay(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: RelaySettings,
    checked: OnceLock<Tls>,
    unchecked: OnceLock<Tls>,
}

impl Relay {
    /// A relay to be connected to.
    pub fn new(settings: RelaySettings) -> Self {
        let (checked, unchecked) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { settings, checked, unchecked }))
    }

    /// Its settings.
    pub fn settings(&self) -> &RelaySettings {
        &self.0.settings
    }

    /// TLS with or without a look at the certificate. The authorities are read at the first use.
    pub(super) fn tls(&self, checked: bool) -> Result<Tls, TlsFault> {
        let settings = self.settings();
        let name = settings.certificate_name.as_deref().unwrap_or(&settings.host);
        let cell = if checked { &self.0.checked } else { &self.0.unchecked };
        if let Some(made) = cell.get() {
            return Ok(made.clone());
        }
        let made = if checked {
            Tls::checked(name, settings.authorities.as_deref())?
        } else {
            Tls::unchecked(name)?
        };
        Ok(cell.get_or_init(|| made).clone())
    }
}
