//! What leads to this machine alone, judged by the text: no name is looked up, nothing is opened.
//!
//! A rehearsal may touch nothing else (promise 14), and asking a name server or a database whether it
//! is the right one would already be a touch.

use std::net::IpAddr;

use url::Url;

/// The hosts in the query of a database URL, which drivers take before the one in front.
const HOST_PARAMETERS: [&str; 2] = ["host", "hostaddr"];

/// Whether a host can be no other than this machine: `localhost` and names below it (RFC 6761
/// §6.3), or an address of the loopback network, in brackets or without.
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Where a database's URL leads besides this machine, in words for a message: `host db.example`.
/// `None` where it can lead nowhere else: an SQLite file, a socket, a loopback host. Never repeats
/// the URL, which may hold a password.
pub fn leads_elsewhere(url: &str) -> Option<String> {
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("sqlite") {
        return None;
    }
    let Ok(parsed) = Url::parse(url) else {
        return Some("a place that cannot be read from it".into());
    };
    let in_query = parsed
        .query_pairs()
        .filter(|(key, _)| HOST_PARAMETERS.contains(&key.as_ref()))
        .map(|(_, host)| host.into_owned());
    let in_front = parsed.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
    let mut hosts: Vec<String> = in_front.into_iter().chain(in_query).collect();
    if hosts.is_empty() {
        let has_socket = parsed.query_pairs().any(|(key, _)| key == "socket");
        // the driver would ask the environment for one
        return (!has_socket).then(|| "a host that it does not name".into());
    }
    hosts.retain(|host| !is_loopback_host(host) && !is_socket(host));
    hosts.first().map(|host| format!("host {host}"))
}

/// The folder of a Unix socket in place of a host, percent-encoded or not.
fn is_socket(host: &str) -> bool {
    host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_this_machine() {
        for host in [
            "localhost",
            "LocalHost.",
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "[::1]",
            "a.localhost",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "relay.example",
            "localhost.example",
            "mylocalhost",
            "10.0.0.1",
            "0.0.0.0",
            "127.1",
            "127.0.0.1.example",
            "[::2]",
            "192.168.0.1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn a_database_leads_elsewhere_by_any_host_it_names() {
        for url in [
            "sqlite:shop.db",
            "postgres://localhost/shop",
            "postgres://127.0.0.1:5433/shop",
            "postgres://%2Fvar%2Frun%2Fpostgresql/shop",
            "postgres:///shop?host=/var/run/postgresql",
            "mysql://[::1]/shop",
            "mysql:///shop?socket=/run/mysqld/mysqld.sock",
            "ldap://127.0.0.1:3890",
            "ldaps://[::1]",
            "http://localhost:8080/forthwith",
        ] {
            assert_eq!(leads_elsewhere(url), None, "{url}");
        }
        for (url, told) in [
            ("postgres://db.example/shop", "host db.example"),
            ("postgres://ann:secret@db.example/shop", "host db.example"),
            ("postgres://localhost/shop?host=db.example", "host db.example"),
            ("postgres://localhost/shop?hostaddr=10.1.2.3", "host 10.1.2.3"),
            ("mysql://10.0.0.7/shop", "host 10.0.0.7"),
            ("ldaps://ldap.example", "host ldap.example"),
            ("ldap://", "a host that it does not name"),
            ("https://accounts.example/forthwith", "host accounts.example"),
            ("postgres:///shop", "a host that it does not name"),
            ("postgres", "a place that cannot be read from it"),
        ] {
            assert_eq!(leads_elsewhere(url).as_deref(), Some(told), "{url}");
        }
    }
}
