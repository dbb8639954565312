//! Mailboxes of roles: read by whoever holds the role, not by one person.

use std::collections::HashSet;
use std::sync::LazyLock;

/// One local part a line, in lower case; `#` begins a remark.
const ROLES: &str = include_str!("../../../config/roles.txt");

static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = ROLES.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
});

/// Whether a local part names a role. What follows a `+` is a tag of the same mailbox (RFC 5233).
pub(super) fn is_role(local: &str) -> bool {
    let local = local.split('+').next().unwrap_or(local);
    // The longest name in the list has far fewer letters; nothing is allocated for most people.
    local.len() <= 32 && KNOWN.contains(local.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_in_any_case_with_a_tag_and_in_five_languages() {
        for role in [
            "info",
            "Postmaster",
            "ABUSE",
            "info+shop",
            "kontakt",
            "buchhaltung",
            "compta",
            "accueil",
            "ventas",
            "contacto",
            "vendas",
            "financeiro",
            "no-reply",
        ] {
            assert!(is_role(role), "{role}");
        }
        for person in ["ada", "informatics", "ada.info", "maria", "", "sales.ada", "+info"] {
            assert!(!is_role(person), "{person}");
        }
    }

    #[test]
    fn the_list_is_lower_case_sorted_within_its_parts_and_without_repeats() {
        let names: Vec<&str> =
            ROLES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(names.len(), KNOWN.len(), "a name stands twice");
        assert!(names.iter().all(|name| *name == name.to_lowercase() && *name == name.trim()));
        assert!(names.iter().all(|name| name.len() <= 32));
    }
}
