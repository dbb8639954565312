//! What people put into an address column that is more than an address.
//!
//! Each is refused, never repaired: whoever guesses which part is meant writes to the wrong person
//! some day. But each has its own reason, so that a list of refused addresses tells how to mend them.

use super::AddressError;

/// The reason, if the text is an address with something around it, or several.
pub(super) fn more_than_an_address(text: &str) -> Option<AddressError> {
    // a line break is an attack on headers, whatever else stands there
    if text.contains(['\r', '\n', '\0']) {
        return None;
    }
    let outside = outside_quotes(text);
    let ats = outside.matches('@').count();
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:")) {
        Some(AddressError::Mailto)
    } else if outside.starts_with('@') && outside.contains(':') {
        Some(AddressError::Route)
    } else if ats > 1 && outside.contains(|c: char| ",;/|".contains(c) || c.is_whitespace()) {
        Some(AddressError::Several)
    } else if outside.contains(['<', '>']) {
        Some(AddressError::Wrapped)
    } else if ats > 0 && outside.contains(['(', ')']) {
        Some(AddressError::Comment)
    } else if ats == 0 && outside.contains(['\u{FF20}', '\u{FE6B}']) {
        Some(AddressError::LookAlike)
    } else {
        None
    }
}

/// The text without what stands between double quotes, where anything may stand.
fn outside_quotes(text: &str) -> String {
    let (mut outside, mut is_quoted, mut is_escaped) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            c => outside.push(c),
        }
    }
    outside
}
