//! What a server offers, from its EHLO reply.

/// The extensions the dialogue uses or respects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an extension a server has or lacks")]
pub struct Capabilities {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870): the largest message in octets, 0 where the server names no limit.
    pub size: Option<u64>,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// 8BITMIME (RFC 6152); known for reports only, messages are 7-bit.
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// AUTH (RFC 4954).
    pub auth: AuthOffered,
}

/// The mechanisms of AUTH that we know, as the server offers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuthOffered {
    /// PLAIN.
    pub plain: bool,
    /// LOGIN.
    pub login: bool,
    /// XOAUTH2.
    pub xoauth2: bool,
}

impl AuthOffered {
    fn add(&mut self, mechanism: &str) {
        match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => self.plain = true,
            "LOGIN" => self.login = true,
            "XOAUTH2" => self.xoauth2 = true,
            _ => {}
        }
    }
}

impl Capabilities {
    /// Reads the lines of an EHLO reply; the first names the server and is passed over.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut offered = Self::default();
        for line in lines.into_iter().skip(1) {
            // Old servers write `AUTH=LOGIN`.
            let mut words = line.split(|c: char| c.is_whitespace() || c == '=');
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => offered.pipelining = true,
                "SIZE" => {
                    offered.size =
                        Some(words.next().and_then(|text| text.parse().ok()).unwrap_or(0));
                }
                "DSN" => offered.dsn = true,
                "SMTPUTF8" => offered.smtputf8 = true,
                "8BITMIME" => offered.eight_bit_mime = true,
                "ENHANCEDSTATUSCODES" => offered.enhanced = true,
                "STARTTLS" => offered.starttls = true,
                "AUTH" => words.for_each(|mechanism| offered.auth.add(mechanism)),
                _ => {}
            }
        }
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case_and_the_greeting_line_is_none() {
        let lines = ["PIPELINING.example", "pipelining", "SIZE 10240000", "DSN", "AUTH PLAIN", ""];
        let offered = Capabilities::from_lines(lines);
        assert!(offered.pipelining && offered.dsn);
        assert_eq!(offered.size, Some(10_240_000));
        assert!(!offered.smtputf8 && !offered.eight_bit_mime && !offered.enhanced);
        assert!(offered.auth.plain && !offered.auth.login && !offered.starttls);
        assert_eq!(Capabilities::from_lines(["DSN"]), Capabilities::default());
        assert_eq!(Capabilities::from_lines(["x", "SIZE"]).size, Some(0));
        let old = Capabilities::from_lines(["x", "starttls", "auth=login plain", "AUTH xoauth2"]);
        assert_eq!(old.auth, AuthOffered { plain: true, login: true, xoauth2: true });
        assert!(old.starttls);
    }
}
