//! `[portal]`: where the public pages are served, and what they may use.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use crate::domain::endpoint::endpoint;
use crate::engine::portal::PortalSettings;
use crate::mail::auth::AuthSettings;
use crate::mail::settings::RelaySettings;
use crate::mail::tls::TlsMode;
use crate::webhook::WebhookSettings;

/// As written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortalSection {
    listen: SocketAddr,
    address: String,
    certificate: String,
    certificate_key: String,
    trusted_proxies: Vec<IpNet>,
    pub(super) connections: usize,
    hashes_at_once: usize,
    password_filter: String,
    pub(super) anonymous_per_minute: u32,
    pub(super) relay: PortalRelay,
    pub(super) status: StatusSection,
    event: EventSection,
}

/// `[portal.status]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusSection {
    key_file: String,
    pub(super) per_second: u32,
}

/// `[portal.event]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventSection {
    url: String,
    key_file: String,
    authorities: String,
}

/// `[portal.relay]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortalRelay {
    host: String,
    port: u16,
    tls: TlsMode,
    user: String,
    secret_file: String,
    pub(super) connections: usize,
}

/// Where and how pages are served.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// The address listened at.
    pub listen: SocketAddr,
    /// Proxies whose word on who is behind them is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate chain and key as PEM files, where no proxy does TLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Connections open at the same time.
    pub connections: usize,
    /// Requests for codes without a reference number taken in a minute, over all networks.
    pub anonymous_per_minute: u32,
    /// Questions of the company's log-in page answered in a second.
    pub questions_per_second: u32,
}

impl PortalSection {
    /// What types cannot say of a value by itself.
    pub(super) fn check(&self) -> Result<(), String> {
        self.event.check()?;
        self.address().map(drop)
    }

    /// What no value says alone: the key to look at, and what is wrong.
    pub(super) fn check_together(&self) -> Result<(), (&'static str, String)> {
        let pair = |key: &'static str, other: &str| {
            let said = format!("`{key}` goes together with `{other}`; hint: set both, or neither");
            Err((key, said))
        };
        if self.certificate.is_empty() != self.certificate_key.is_empty() {
            return if self.certificate.is_empty() {
                pair("portal.certificate_key", "portal.certificate")
            } else {
                pair("portal.certificate", "portal.certificate_key")
            };
        }
        if !self.event.url.is_empty() && self.event.key_file.is_empty() {
            return pair("portal.event.url", "portal.event.key_file");
        }
        Ok(())
    }

    fn address(&self) -> Result<Option<Url>, String> {
        if self.address.is_empty() {
            return Ok(None);
        }
        let url: Url =
            self.address.parse().map_err(|error| format!("`portal.address`: {error}"))?;
        if !matches!(url.scheme(), "http" | "https")
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err("`portal.address` must be a plain http or https address".into());
        }
        Ok(Some(url))
    }

    /// Where pages are served; relative paths start at `root`.
    pub(super) fn web(&self, root: &Path) -> WebSettings {
        let certificate = (!self.certificate.is_empty())
            .then(|| (root.join(&self.certificate), root.join(&self.certificate_key)));
        WebSettings {
            listen: self.listen,
            trusted_proxies: self.trusted_proxies.clone(),
            certificate,
            connections: self.connections,
            anonymous_per_minute: self.anonymous_per_minute,
            questions_per_second: self.status.per_second,
        }
    }

    /// What the portal may use; its relay is that of the notices where it has none of its own.
    pub(super) fn portal(&self, notices: &RelaySettings, root: &Path) -> PortalSettings {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let own = &self.relay;
        let relay = if own.host.is_empty() {
            notices.clone()
        } else {
            let secret_file = (!own.secret_file.is_empty()).then(|| root.join(&own.secret_file));
            let auth =
                AuthSettings { user: own.user.clone(), secret_file, ..AuthSettings::default() };
            RelaySettings {
                host: own.host.clone(),
                port: own.port,
                tls: own.tls,
                auth,
                ..notices.clone()
            }
        };
        PortalSettings {
            address: self.address().ok().flatten(),
            hashes_at_once: if self.hashes_at_once == 0 { cores } else { self.hashes_at_once },
            relay,
            connections: own.connections,
            status_key: (!self.status.key_file.is_empty())
                .then(|| root.join(&self.status.key_file)),
            events: self.event.settings(root),
            password_filter: (!self.password_filter.is_empty())
                .then(|| root.join(&self.password_filter)),
        }
    }
}

impl EventSection {
    fn check(&self) -> Result<(), String> {
        if self.url.is_empty() {
            return Ok(());
        }
        endpoint(&self.url).map(drop).map_err(|said| format!("`portal.event.url` {said}"))
    }

    fn settings(&self, root: &Path) -> Option<WebhookSettings> {
        Some(WebhookSettings {
            url: endpoint(&self.url).ok()?,
            key_file: root.join(&self.key_file),
            authorities: (!self.authorities.is_empty()).then(|| root.join(&self.authorities)),
        })
    }
}
