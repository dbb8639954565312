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
}

impl Capabilities {
    /// Reads the lines of an EHLO reply; the first names the server and is passed over.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut offered = Self::default();
        for line in lines.into_iter().skip(1) {
            let mut words = line.split_whitespace();
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
        assert_eq!(Capabilities::from_lines(["DSN"]), Capabilities::default());
        assert_eq!(Capabilities::from_lines(["x", "SIZE"]).size, Some(0));
    }
}
