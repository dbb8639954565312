//! How a sink is set up. Pure data; what the parts mean is said where they live.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::auth::AuthSettings;
use super::fault::FaultRules;
use super::greylist::GreylistSettings;
use super::offer::{EhloForm, Extension};
use super::script::ReplyScript;
use super::setting::SettingError;
use super::tls::TlsSettings;

/// How a [`Sink`](super::Sink) listens, keeps mail and fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address to listen on: loopback only, port 0 takes a free port.
    pub listen: SocketAddr,
    /// What becomes of accepted mail.
    #[serde(default)]
    pub store: MailStore,
    /// A file that gets a line for each recipient of each message taken, and for each transaction a
    /// client left open; appended to, none by default.
    #[serde(default)]
    pub record: Option<PathBuf>,
    /// Faults to play; none by default.
    #[serde(default)]
    pub faults: FaultRules,
    /// Replies by address, before all faults; in configuration the script's text.
    #[serde(default)]
    pub replies: ReplyScript,
    /// Seed of the faults: equal seeds give equal fates to equal addresses, attempts and connections.
    #[serde(default)]
    pub seed: u64,
    /// Wait between storing a message and answering its final dot (key `dot_delay_ms`,
    /// milliseconds).
    #[serde(default, rename = "dot_delay_ms", deserialize_with = "milliseconds")]
    pub dot_delay: Duration,
    /// Wait before each reply (key `slow_ms`, milliseconds).
    #[serde(default, rename = "slow_ms", deserialize_with = "milliseconds")]
    pub slow: Duration,
    /// All replies leave one octet at a time.
    #[serde(default)]
    pub bytewise: bool,
    /// What EHLO offers; all that the other settings allow by default.
    #[serde(default)]
    pub offer: Option<Vec<Extension>>,
    /// In which form EHLO is answered.
    #[serde(default)]
    pub ehlo: EhloForm,
    /// How many connections may be open at once; any number by default.
    #[serde(default)]
    pub max_connections: Option<ConnectionLimit>,
    /// How many messages one connection may send before its MAIL is answered with 421.
    #[serde(default)]
    pub messages_per_connection: Option<u64>,
    /// Who comes first is asked to come back; nobody by default.
    #[serde(default)]
    pub greylist: Option<GreylistSettings>,
    /// TLS; none by default.
    #[serde(default)]
    pub tls: TlsSettings,
    /// AUTH; none by default.
    #[serde(default)]
    pub auth: Option<AuthSettings>,
}

impl Settings {
    /// A sink on `listen` that counts mail and never fails.
    pub fn counting(listen: SocketAddr) -> Self {
        Self {
            listen,
            store: MailStore::Count,
            record: None,
            faults: FaultRules::default(),
            replies: ReplyScript::default(),
            seed: 0,
            dot_delay: Duration::ZERO,
            slow: Duration::ZERO,
            bytewise: false,
            offer: None,
            ehlo: EhloForm::default(),
            max_connections: None,
            messages_per_connection: None,
            greylist: None,
            tls: TlsSettings::default(),
            auth: None,
        }
    }
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// What becomes of accepted mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStore {
    /// Counted and forgotten; the fastest.
    #[default]
    Count,
    /// Written to this Maildir, one file per recipient, with a line in
    /// [`ACCEPTED_LOG`](super::ACCEPTED_LOG).
    Maildir(PathBuf),
}

/// How many connections may be open at once; as text `5`, or `5:cut`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ConnectionLimit {
    /// So many.
    pub most: usize,
    /// A further one is closed without a word; else it hears 421.
    pub cut: bool,
}

impl FromStr for ConnectionLimit {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, cut) = text.strip_suffix(":cut").map_or((text, false), |most| (most, true));
        let wrong = |_| SettingError::new("max-connections", text, "write 5, or 5:cut");
        number.parse().map_err(wrong).map(|most| Self { most, cut })
    }
}

impl TryFrom<String> for ConnectionLimit {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{CertificateKind, CertificateSource, TlsMode};

    #[test]
    fn settings_are_read_from_toml() {
        let settings: Settings = toml::from_str(
            "listen = '127.0.0.1:2525'\nseed = 7\ndot_delay_ms = 20\n\
             faults = ['rcpt:550:0.02', 'drop-after-dot:share=0.01']\n\
             [store]\nmaildir = '/tmp/mail'\n",
        )
        .unwrap();
        assert_eq!(settings.store, MailStore::Maildir("/tmp/mail".into()));
        assert_eq!(settings.dot_delay, Duration::from_millis(20));
        assert_eq!(settings.faults.rules().len(), 2);
        let error = toml::from_str::<Settings>("listen = '127.0.0.1:1'\nfaults = ['rcpt:250']\n");
        assert!(error.unwrap_err().to_string().contains("hint: take 400 to 599"));
        let count: Settings = toml::from_str("listen = '[::1]:0'\nstore = 'count'\n").unwrap();
        assert_eq!(count.store, MailStore::Count);
    }

    #[test]
    fn every_setting_has_a_text() {
        let settings: Settings = toml::from_str(
            "listen = '127.0.0.1:0'\nslow_ms = 5\nbytewise = true\noffer = ['SIZE', 'starttls']\n\
             ehlo = 'lower-case,unknown=3'\nmax_connections = '5:cut'\n\
             messages_per_connection = 20\ngreylist = '5m:0.5'\n\
             replies = \"*\\tquit\\t221 So long\"\n\
             [tls]\nmode = 'starttls'\nrequired = true\n[tls.certificate.made]\nkind = 'expired'\n\
             [auth]\nuser = 'ann'\nsecret = 's3cret'\nmechanisms = ['PLAIN', 'XOAUTH2']\n",
        )
        .unwrap();
        assert_eq!(settings.offer.as_ref().unwrap().len(), 2);
        assert_eq!(settings.ehlo.unknown, 3);
        assert_eq!(settings.max_connections, Some(ConnectionLimit { most: 5, cut: true }));
        assert_eq!(settings.greylist.unwrap().wait, Duration::from_mins(5));
        assert_eq!(settings.tls.mode, TlsMode::Starttls);
        let CertificateSource::Made { kind, .. } = settings.tls.certificate else { panic!() };
        assert_eq!(kind, CertificateKind::Expired);
        assert!(!format!("{:?}", settings.auth.unwrap()).contains("s3cret"));
        let error = "many".parse::<ConnectionLimit>().unwrap_err().to_string();
        assert!(error.contains("hint: write 5, or 5:cut"), "{error}");
    }
}
