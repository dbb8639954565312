//! How to reach one relay: the settings this module owns, read from files by `config`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::auth::AuthSettings;
use super::tls::TlsMode;
use crate::domain::duration::HumanDuration;
use crate::domain::reply::Phase;

/// One relay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySettings {
    /// The relay's host name or IP address.
    pub host: String,
    /// Its port.
    #[serde(default = "submission_between_servers")]
    pub port: u16,
    /// The name we give in EHLO.
    pub hello: HelloName,
    /// How its connections are secured.
    #[serde(default)]
    pub tls: TlsMode,
    /// A PEM file with the only authorities whose certificates are taken; the machine's own where it
    /// is not given (an empty text).
    #[serde(default, deserialize_with = "text_or_none")]
    pub authorities: Option<PathBuf>,
    /// The name its certificate must have; the host where it is not given (an empty text).
    #[serde(default, deserialize_with = "text_or_none")]
    pub certificate_name: Option<String>,
    /// How we log in.
    #[serde(default)]
    pub auth: AuthSettings,
    /// Connections open at the same time.
    #[serde(default = "ten_connections")]
    pub connections: u32,
    /// Messages after which a connection is closed.
    #[serde(default = "hundred_messages")]
    pub messages_per_connection: u32,
    /// How long each phase may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How long a connection may lie idle before it is closed. Below the 5 minutes that
    /// RFC 5321 §4.5.3.2.7 asks of servers.
    #[serde(default = "one_minute")]
    pub idle_for: HumanDuration,
    /// Refuses a host that resolves to anything but this machine. Not for files: set for every
    /// rehearsal.
    #[serde(skip)]
    pub loopback_only: bool,
}

/// The name given in EHLO: a domain name or an address literal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HelloName(String);

/// A text that may not stand in EHLO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`hello` is {0:?}, neither a host name nor an address in brackets; hint: hello = \"mail.brand.example\""
)]
pub struct HelloFault(String);

/// How long each phase may take; the defaults are those of RFC 5321 §4.5.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Opening the TCP connection, each address of the host by itself.
    pub connect: HumanDuration,
    /// The server's greeting.
    pub greeting: HumanDuration,
    /// Each EHLO.
    pub ehlo: HumanDuration,
    /// STARTTLS and the TLS handshake; our own bound, RFC 5321 knows none.
    pub tls: HumanDuration,
    /// Each step of AUTH; our own bound.
    pub auth: HumanDuration,
    /// MAIL.
    pub mail: HumanDuration,
    /// RCPT.
    pub rcpt: HumanDuration,
    /// DATA.
    pub data: HumanDuration,
    /// Writing the message and waiting for the answer to its final dot.
    pub dot: HumanDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |count: u32| HumanDuration::from_secs(count * 60);
        Self {
            connect: HumanDuration::from_secs(30),
            greeting: minutes(5),
            ehlo: minutes(5),
            tls: minutes(1),
            auth: minutes(2),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            dot: minutes(10),
        }
    }
}

impl Timeouts {
    /// The bound of one phase.
    pub fn of(&self, phase: Phase) -> std::time::Duration {
        match phase {
            Phase::Connect => self.connect,
            Phase::Greeting => self.greeting,
            Phase::Ehlo => self.ehlo,
            Phase::Tls => self.tls,
            Phase::Auth => self.auth,
            Phase::Mail => self.mail,
            Phase::Rcpt => self.rcpt,
            Phase::Data => self.data,
            Phase::Dot => self.dot,
        }
        .unsigned()
    }
}

impl RelaySettings {
    /// A relay with every other setting at its default.
    pub fn new(host: &str, port: u16, hello: HelloName) -> Self {
        Self {
            host: host.into(),
            port,
            hello,
            tls: TlsMode::Auto,
            authorities: None,
            certificate_name: None,
            auth: AuthSettings::default(),
            connections: ten_connections(),
            messages_per_connection: hundred_messages(),
            timeouts: Timeouts::default(),
            idle_for: one_minute(),
            loopback_only: false,
        }
    }

    /// The same relay, its relative paths starting at `root`.
    #[must_use]
    pub fn under(mut self, root: &Path) -> Self {
        for path in [&mut self.authorities, &mut self.auth.secret_file].into_iter().flatten() {
            *path = root.join(&path);
        }
        self
    }

    /// The relay as `host:port`, for messages.
    pub fn relay(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl HelloName {
    /// The name as it stands in EHLO.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HelloName {
    type Error = HelloFault;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(known);
        let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_literal = literal.is_some_and(|inner| match inner.strip_prefix("IPv6:") {
            Some(six) => six.parse::<std::net::Ipv6Addr>().is_ok(),
            None => inner.parse::<Ipv4Addr>().is_ok(),
        });
        if is_literal || (text.len() <= 253 && text.split('.').all(is_label)) {
            return Ok(Self(text));
        }
        Err(HelloFault(text))
    }
}

/// Whether an address is this machine's own, also where IPv6 wraps it: nobody can listen on the way.
pub fn is_this_machine(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// A name or a path where a file gives one; an empty text is none.
pub(super) fn text_or_none<'de, T: From<String>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(text).filter(|text| !text.is_empty()).map(T::from))
}

/// Port 25.
fn submission_between_servers() -> u16 {
    25
}

/// The number of connections where a file names none.
fn ten_connections() -> u32 {
    10
}

/// The number of messages a connection carries where a file names none.
fn hundred_messages() -> u32 {
    100
}

/// How long a connection lies idle where a file does not say.
fn one_minute() -> HumanDuration {
    HumanDuration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_needs_a_host_and_a_name_to_say_and_the_rest_has_defaults() {
        let relay: RelaySettings =
            toml::from_str("host = \"relay.example\"\nhello = \"mail.brand.example\"").unwrap();
        let hello = HelloName::try_from("mail.brand.example".to_owned()).unwrap();
        assert_eq!(relay, RelaySettings::new("relay.example", 25, hello));
        assert_eq!(relay.timeouts.of(Phase::Dot).as_secs(), 600);
        assert_eq!(relay.timeouts.of(Phase::Connect).as_secs(), 30);
    }

    #[test]
    fn a_bad_key_or_value_is_named() {
        let relay = |more: &str| format!("host = \"r\"\nhello = \"h\"\n{more}");
        for (text, word) in [
            (relay("tls = true"), "tls"),
            (relay("tls = \"always\""), "opportunistic"),
            (relay("[auth]\nmechanism = \"cram-md5\""), "xoauth2"),
            (relay("[auth]\nuser = \"a\\u0000b\""), "user"),
            (relay("[auth]\npassword = \"x\""), "password"),
            (relay("loopback_only = true"), "loopback_only"),
            (relay("[timeouts]\ndots = \"5m\""), "dots"),
            (relay("[timeouts]\ndot = \"5\""), "`5`"),
            (relay("idle_for = 5"), "idle_for"),
            ("host = \"r\"".into(), "hello"),
            ("host = \"r\"\nhello = \"a b\"".into(), "hello"),
            ("host = \"r\"\nhello = \"h\\r\\nQUIT\"".into(), "hello"),
            ("host = \"r\"\nhello = \"[10.0.0]\"".into(), "hello"),
        ] {
            let fault = toml::from_str::<RelaySettings>(&text).unwrap_err().to_string();
            assert!(fault.contains(word), "{text}: {fault}");
        }
        assert!(HelloName::try_from("[127.0.0.1]".to_owned()).is_ok());
    }
}
