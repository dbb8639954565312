//! Lists of domains: the ones we host, the ones that take no mail.

use std::collections::HashSet;

/// A line that is no domain. Holds its number, not its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "entry {entry} is no domain; hint: write `example.com`, or `.example.com` to mean what lies below it too"
)]
pub struct DomainListError {
    /// Which entry, from 1.
    pub entry: usize,
}

/// Domains as A-labels. `example.com` means this domain alone; `.example.com` means it and every
/// domain below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainList {
    exact: HashSet<String>,
    below: HashSet<String>,
}

impl DomainList {
    /// Reads entries; empty ones and those that begin with `#` are passed over. Names may be written in
    /// any script and case.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, DomainListError> {
        let mut list = Self::default();
        for (at, entry) in entries.into_iter().enumerate() {
            let entry = entry.trim();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            let (domain, with_below) = match entry.strip_prefix('.') {
                Some(domain) => (domain, true),
                None => (entry, false),
            };
            let ascii = idna::domain_to_ascii(domain).ok().filter(|name| is_name(name));
            let name = ascii.ok_or(DomainListError { entry: at + 1 })?;
            if with_below { &mut list.below } else { &mut list.exact }.insert(name);
        }
        Ok(list)
    }

    /// Whether a domain, as lower-cased A-label, is meant.
    pub fn contains(&self, domain: &str) -> bool {
        if self.exact.contains(domain) {
            return true;
        }
        if self.below.is_empty() {
            return false;
        }
        let mut rest = domain;
        loop {
            if self.below.contains(rest) {
                return true;
            }
            let Some((_, above)) = rest.split_once('.') else { return false };
            rest = above;
        }
    }

    /// Every entry as it could be written, sorted.
    pub fn entries(&self) -> Vec<String> {
        let below = self.below.iter().map(|name| format!(".{name}"));
        let mut all: Vec<String> = self.exact.iter().cloned().chain(below).collect();
        all.sort_unstable();
        all
    }
}

/// A single label is allowed: a whole top-level domain may be dead.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_meant_alone_and_with_a_dot_before_it_all_below_it_too() {
        let entries = ["# ours", "", "Northwind.Example", " .bücher.example ", ".invalid"];
        let list = DomainList::parse(entries).unwrap();
        for (domain, is_meant) in [
            ("northwind.example", true),
            ("mail.northwind.example", false),
            ("xn--bcher-kva.example", true),
            ("post.xn--bcher-kva.example", true),
            ("notxn--bcher-kva.example", false),
            ("example", false),
            ("nowhere.invalid", true),
            ("invalid.example", false),
        ] {
            assert_eq!(list.contains(domain), is_meant, "{domain}");
        }
        assert_eq!(list.entries(), [".invalid", ".xn--bcher-kva.example", "northwind.example"]);
    }

    #[test]
    fn what_is_no_domain_is_named_by_its_place() {
        for bad in ["a b.example", "ada@example.com", "..", "exam_ple.com", "."] {
            let refused = DomainList::parse(["fine.example", bad]);
            assert_eq!(refused, Err(DomainListError { entry: 2 }), "{bad}");
        }
    }
}
