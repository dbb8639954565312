//! Who asks: the network behind a request, by the connection and, where a trusted proxy made it, by what
//! that proxy says. Nothing is ever taken from a Host header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The address a request comes from: the connection's, or, as far as trusted proxies vouch for it, the last
/// one in `X-Forwarded-For` that is none of them.
pub fn address(peer: IpAddr, forwarded: Option<&str>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut address = unmapped(peer);
    if !is_trusted(&address) {
        return address;
    }
    for part in forwarded.unwrap_or_default().rsplit(',') {
        let part = part.trim().trim_start_matches('[').split(']').next().unwrap_or_default();
        let Ok(next) = part.parse::<IpAddr>() else { break };
        address = unmapped(next);
        if !is_trusted(&address) {
            break;
        }
    }
    address
}

/// What limits are kept by: a household or an office, not one of its machines: a /24 of IPv4, a /56 of IPv6
/// (RFC 6177 §2).
pub fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let kept = address.to_bits() & (u128::MAX << (128 - 56));
            format!("{}/56", Ipv6Addr::from_bits(kept))
        }
    }
}

fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: Option<&str>) -> String {
        let trusted = ["127.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        address(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_no_further_than_it_vouches() {
        assert_eq!(of("203.0.113.9", Some("198.51.100.1")), "203.0.113.9");
        assert_eq!(of("127.0.0.1", Some("198.51.100.1")), "198.51.100.1");
        assert_eq!(of("127.0.0.1", Some("1.2.3.4, 198.51.100.1, 10.1.0.7")), "198.51.100.1");
        assert_eq!(of("127.0.0.1", None), "127.0.0.1");
        assert_eq!(of("127.0.0.1", Some("nonsense")), "127.0.0.1");
        assert_eq!(of("127.0.0.1", Some("1.2.3.4, nonsense, 10.1.0.7")), "10.1.0.7");
        assert_eq!(of("127.0.0.1", Some("[2001:db8::1]")), "2001:db8::1");
        assert_eq!(of("::ffff:127.0.0.1", Some("::ffff:198.51.100.1")), "198.51.100.1");
    }

    #[test]
    fn limits_are_kept_by_network() {
        assert_eq!(network("198.51.100.77".parse().unwrap()), "198.51.100.0/24");
        let v6 = network("2001:db8:1:2ff:3::4".parse().unwrap());
        assert_eq!(v6, "2001:db8:1:200::/56");
    }
}
