//! Addresses in other people's words, hidden.

/// The text with everything that looks like an address replaced by `***@***`.
pub fn mask_addresses(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "<>()[],;:\"".contains(c);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let before = &rest[..at];
        let start = match before.strip_suffix('"') {
            Some(quoted) => quoted.rfind('"').unwrap_or(0),
            None => before
                .rfind(ends)
                .map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8)),
        };
        let domain = &rest[at + 1..];
        let end = match domain.strip_prefix('[').and_then(|literal| literal.find(']')) {
            Some(close) => at + close + 3,
            None => domain.find(ends).map_or(rest.len(), |i| at + 1 + i),
        };
        masked.push_str(&rest[..start]);
        masked.push_str("***@***");
        rest = &rest[end..];
    }
    masked.push_str(rest);
    masked
}
