//! Mailbox providers: which one serves a recipient's domain, and how much mail it takes at once.
//!
//! The facts are data (`config/providers.toml`); the caller reads the text and hands it to serde.
//! Only consumer domains are listed: a company domain behind the same machines counts as `other`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

/// The provider of every domain that the table does not list.
/// The provider of every domain that the table does not list.
pub const OTHER: &str = "other";

/// The short name of a mailbox provider, as in `gmail`: lower-case letters, digits and hyphens.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderName(String);

/// How much one provider takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProviderLimits {
    /// Messages per second; none means that only the campaign's own pace holds.
    pub pace_per_second: Option<f64>,
    /// Messages per day (UTC); none means no quota. Of `other` it is the quota of all its domains.
    pub messages_per_day: Option<u64>,
    /// Messages that may leave at once before the pace holds.
    pub burst: u32,
    /// Messages on their way at the same time: what the provider allows as connections. Of `other` it
    /// holds for each domain.
    pub connections: u32,
    /// Messages after which a connection is closed.
    pub messages_per_connection: u32,
}

/// All known providers.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "WrittenTable")]
pub struct ProviderTable {
    limits: HashMap<ProviderName, ProviderLimits>,
    by_domain: HashMap<String, ProviderName>,
    other: ProviderName,
}

/// Why a provider table cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProviderFault {
    /// A provider's name has other characters than lower-case letters, digits and hyphens.
    #[error("`{0}` is no provider name; hint: lower-case letters, digits and hyphens, at most 32")]
    Name(String),
    /// A domain is not written in its lower-case A-label form.
    #[error("provider.{provider}.domains: `{domain}` is no lower-case ASCII domain")]
    Domain {
        /// The provider's name.
        provider: String,
        /// The text that is no domain.
        domain: String,
    },
    /// Two providers claim one domain.
    #[error("`{domain}` is listed under provider.{first} and provider.{second}")]
    TwoProviders {
        /// The domain.
        domain: String,
        /// The provider that listed it first.
        first: String,
        /// The provider that listed it again.
        second: String,
    },
    /// A limit is zero, negative or no number.
    #[error("provider.{provider}.{key} must be more than zero")]
    NotPositive {
        /// The provider's name.
        provider: String,
        /// The limit's key.
        key: &'static str,
    },
    /// `other` lists domains, which would make it a provider like the rest.
    #[error("provider.other.domains must be empty: it serves every domain not listed elsewhere")]
    OtherHasDomains,
}

impl ProviderName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProviderName {
    type Error = ProviderFault;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 32 || !text.bytes().all(known) {
            return Err(ProviderFault::Name(text));
        }
        Ok(Self(text))
    }
}

impl std::str::FromStr for ProviderName {
    type Err = ProviderFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<ProviderName> for String {
    fn from(name: ProviderName) -> Self {
        name.0
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The table as a file spells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTable {
    provider: BTreeMap<String, WrittenProvider>,
}

/// One entry as a file spells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProvider {
    #[serde(default)]
    domains: Vec<String>,
    pace_per_second: Option<f64>,
    messages_per_day: Option<u64>,
    burst: Option<u32>,
    #[serde(default = "ten_connections")]
    connections: u32,
    #[serde(default = "hundred_messages")]
    messages_per_connection: u32,
}

/// The number of connections where a table names none.
fn ten_connections() -> u32 {
    10
}

/// The number of messages a connection carries where a table names none.
fn hundred_messages() -> u32 {
    100
}

impl WrittenProvider {
    fn limits(&self, provider: &str) -> Result<ProviderLimits, ProviderFault> {
        let bad = |key| ProviderFault::NotPositive { provider: provider.into(), key };
        let burst = self.burst.unwrap_or(self.connections);
        let pace = self.pace_per_second;
        for (key, is_bad) in [
            ("pace_per_second", pace.is_some_and(|pace| !(pace > 0.0 && pace.is_finite()))),
            ("connections", self.connections == 0),
            ("messages_per_day", self.messages_per_day == Some(0)),
            ("burst", burst == 0),
            ("messages_per_connection", self.messages_per_connection == 0),
        ] {
            if is_bad {
                return Err(bad(key));
            }
        }
        Ok(ProviderLimits {
            pace_per_second: pace,
            messages_per_day: self.messages_per_day,
            burst,
            connections: self.connections,
            messages_per_connection: self.messages_per_connection,
        })
    }
}

impl TryFrom<WrittenTable> for ProviderTable {
    type Error = ProviderFault;

    fn try_from(written: WrittenTable) -> Result<Self, Self::Error> {
        let other = ProviderName(OTHER.into());
        let plain = ProviderLimits {
            pace_per_second: None,
            messages_per_day: None,
            burst: ten_connections(),
            connections: ten_connections(),
            messages_per_connection: hundred_messages(),
        };
        let mut limits = HashMap::from([(other.clone(), plain)]);
        let mut by_domain: HashMap<String, ProviderName> = HashMap::new();
        for (text, entry) in written.provider {
            let name = ProviderName::try_from(text)?;
            if name == other && !entry.domains.is_empty() {
                return Err(ProviderFault::OtherHasDomains);
            }
            limits.insert(name.clone(), entry.limits(name.as_str())?);
            for domain in entry.domains {
                if !is_plain_domain(&domain) {
                    return Err(ProviderFault::Domain { provider: name.into(), domain });
                }
                if let Some(first) = by_domain.insert(domain.clone(), name.clone()) {
                    let (first, second) = (first.into(), name.into());
                    return Err(ProviderFault::TwoProviders { domain, first, second });
                }
            }
        }
        Ok(Self { limits, by_domain, other })
    }
}

impl ProviderTable {
    /// The provider that serves `domain` (an A-label, in any case, with or without a final dot);
    /// `other` where the table lists none.
    pub fn lookup(&self, domain: &str) -> &ProviderName {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let folded = if domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(domain.to_ascii_lowercase())
        } else {
            Cow::Borrowed(domain)
        };
        self.by_domain.get(folded.as_ref()).unwrap_or(&self.other)
    }

    /// The limits of a provider; those of `other` where the name is not in the table.
    pub fn limits(&self, name: &ProviderName) -> ProviderLimits {
        self.limits.get(name).copied().unwrap_or_else(|| self.limits[&self.other])
    }

    /// Every provider of the table, `other` among them, in no order.
    pub fn names(&self) -> impl Iterator<Item = &ProviderName> {
        self.limits.keys()
    }

    /// The provider of every domain not listed.
    pub fn other(&self) -> &ProviderName {
        &self.other
    }
}

/// Whether the text is a domain in the one form look-ups use.
fn is_plain_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> ProviderTable {
        toml::from_str(include_str!("../../config/providers.toml")).unwrap()
    }

    #[test]
    fn the_shipped_table_knows_the_consumer_domains() {
        let table = shipped();
        for (domain, provider) in [
            ("gmail.com", "gmail"),
            ("GoogleMail.com", "gmail"),
            ("hotmail.co.uk", "outlook"),
            ("aol.com", "yahoo"),
            ("me.com.", "apple"),
            ("web.de", "gmx"),
            ("wanadoo.fr", "orange"),
            ("comcast.net", "comcast"),
            ("gmail.com.example", "other"),
            ("", "other"),
        ] {
            assert_eq!(table.lookup(domain).as_str(), provider, "{domain}");
        }
        let gmail = table.limits(table.lookup("gmail.com"));
        assert_eq!((gmail.connections, gmail.messages_per_connection), (5, 50));
        let unknown = ProviderName::try_from("nobody".to_owned()).unwrap();
        assert_eq!(table.limits(&unknown), table.limits(table.other()));
    }

    #[test]
    fn every_fault_names_its_key() {
        for (text, word) in [
            ("[provider.a]\nconections = 2", "conections"),
            ("[providers.a]\nburst = 2", "providers"),
            ("[provider.a]\nburst = 0", "provider.a.burst"),
            ("[provider.a]\nmessages_per_day = 0", "provider.a.messages_per_day"),
            ("[provider.a]\nconnections = 0", "provider.a.connections"),
            ("[provider.a]\npace_per_second = 0.0", "provider.a.pace_per_second"),
            ("[provider.a]\npace_per_second = nan", "provider.a.pace_per_second"),
            ("[provider.a]\ndomains = [\"A.example\"]", "provider.a.domains"),
            ("[provider.A]\ndomains = []", "`A`"),
            ("[provider.other]\ndomains = [\"a.example\"]", "provider.other.domains"),
            (
                "[provider.a]\ndomains = [\"x.example\"]\n[provider.b]\ndomains = [\"x.example\"]",
                "provider.a and provider.b",
            ),
        ] {
            let fault = toml::from_str::<ProviderTable>(text).unwrap_err().to_string();
            assert!(fault.contains(word), "{text}: {fault}");
        }
    }

    #[test]
    fn a_burst_left_out_is_the_number_of_connections() {
        let table: ProviderTable =
            toml::from_str("[provider.a]\nconnections = 3\npace_per_second = 0.5").unwrap();
        let limits = table.limits(&ProviderName::try_from("a".to_owned()).unwrap());
        assert_eq!((limits.burst, limits.pace_per_second), (3, Some(0.5)));
    }
}
