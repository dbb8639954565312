//! Where an LDAP server is, read out of its URL.

use url::{Host, Url};

use crate::domain::database::DatabaseTls;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Whether it speaks TLS from the first octet on.
    pub is_tls: bool,
    /// Its host name or IP address, an IPv6 one without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Place {
    /// Reads a URL; what is said of a wrong one never repeats it, since it may hold a password.
    pub(super) fn parse(url: &str, tls: DatabaseTls) -> Result<Self, &'static str> {
        let unreadable =
            "cannot be read; hint: \"ldaps://ldap.brand.example\", or \"ldap://\" with a host";
        let (scheme, rest) = url.split_once("://").ok_or(unreadable)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "ldap" => false,
            "ldaps" => true,
            _ => return Err(unreadable),
        };
        if rest.contains('@') {
            return Err(
                "holds a user or a password; hint: take them out, for files are signed and kept in \
                 git; name the entry by `bind_dn` and a file with its password by `password_file`",
            );
        }
        // a known scheme, so that hosts are read by the rules of the web's URLs
        let parsed = Url::parse(&format!("https://{rest}")).map_err(|_| unreadable)?;
        if parsed.query().is_some() || parsed.fragment().is_some() || parsed.path() != "/" {
            return Err(
                "holds more than a host and a port; hint: `base`, `scope` and `filter` are keys",
            );
        }
        if is_tls && tls == DatabaseTls::None {
            return Err("asks for TLS and `tls` forbids it; hint: leave `tls` out");
        }
        let host = match parsed.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(unreadable),
        };
        // the URL's own default port is no directory's
        let written = rest.trim_end_matches('/').ends_with(":443");
        let port = parsed.port().unwrap_or(match (written, is_tls) {
            (true, _) => 443,
            (false, true) => 636,
            (false, false) => 389,
        });
        Ok(Self { is_tls, host, port })
    }

    /// `host:port`, for messages.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// As a client takes it.
    pub(super) fn url(&self) -> String {
        let scheme = if self.is_tls { "ldaps" } else { "ldap" };
        let host = &self.host;
        if host.contains(':') {
            format!("{scheme}://[{host}]:{}", self.port)
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_port() {
        for (url, told) in [
            ("ldap://ldap.brand.example", "ldap://ldap.brand.example:389"),
            ("LDAPS://127.0.0.1/", "ldaps://127.0.0.1:636"),
            ("ldap://[::1]:3890", "ldap://[::1]:3890"),
            ("ldaps://a.example:443", "ldaps://a.example:443"),
        ] {
            assert_eq!(Place::parse(url, DatabaseTls::Auto).unwrap().url(), told, "{url}");
        }
        for url in [
            "ldap:a",
            "ldapi://%2Frun",
            "http://a.example",
            "ldap://",
            "ldap://cn=x:hunter2@a.example",
            "ldap://a.example/dc=x",
            "ldap://a.example?uid",
        ] {
            let said = Place::parse(url, DatabaseTls::Auto).unwrap_err();
            assert!(said.contains("hint: ") && !said.contains("hunter2"), "{url}: {said}");
        }
        assert!(Place::parse("ldaps://a.example", DatabaseTls::None).is_err());
    }
}
