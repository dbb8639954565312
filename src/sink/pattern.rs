//! Address patterns of rules. Knows octets only.

use std::fmt;

/// An address pattern; may be a whole address, so Debug hides it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern(Box<str>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the whole of `address` fits.
    pub(super) fn matches(&self, address: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), address.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to go on when a guess of the last `*`'s length fails.
        let mut retry = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    retry = Some((p, t));
                }
                Some(wanted) if wanted.eq_ignore_ascii_case(&text[t]) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((after_star, from)) = retry else {
                        return false;
                    };
                    p = after_star;
                    t = from + 1;
                    retry = Some((after_star, t));
                }
            }
        }
        pattern[p..].iter().all(|octet| *octet == b'*')
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address pattern")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_address_only() {
        for (pattern, address, fits) in [
            ("*@example.org", "bob@example.org", true),
            ("*@example.org", "bob@example.org.evil.test", false),
            ("*@example.org", "bob@sub.example.org", false),
            ("bob@*", "BOB@example.net", true),
            ("bob@*", "rob@example.net", false),
            ("*a*b@*.test", "xaab@mx.test", true),
            ("*", "", true),
            ("a@b.test", "a@b.test", true),
            ("a@b.test", "a@b.tes", false),
            ("**@b.test*", "a@b.test", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(address), fits, "{pattern} on {address}");
        }
    }
}
