//! What was approved: a sorted list of names, each with the SHA-256 of its bytes.

use std::collections::BTreeMap;
use std::fmt;

/// Names and the hex SHA-256 of their bytes, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<String, String>);

/// How one entry differs between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Only in the newer one.
    Added(String),
    /// Only in the older one.
    Removed(String),
    /// In both, with other bytes.
    Changed(String),
}

impl Difference {
    /// The entry that differs.
    pub fn name(&self) -> &str {
        match self {
            Self::Added(name) | Self::Removed(name) | Self::Changed(name) => name,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(name) => write!(f, "`{name}` was added"),
            Self::Removed(name) => write!(f, "`{name}` is gone"),
            Self::Changed(name) => write!(f, "`{name}` changed"),
        }
    }
}

impl Snapshot {
    /// What `newer` has otherwise than this one, by name.
    pub fn differences(&self, newer: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for (name, digest) in &self.0 {
            match newer.0.get(name) {
                None => found.push(Difference::Removed(name.clone())),
                Some(other) if other != digest => found.push(Difference::Changed(name.clone())),
                Some(_) => {}
            }
        }
        let added = newer.0.keys().filter(|name| !self.0.contains_key(*name));
        found.extend(added.map(|name| Difference::Added(name.clone())));
        found
    }
}

/// The differences as one sentence part.
pub fn describe(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(entries: &[(&str, &str)]) -> Snapshot {
        Snapshot(entries.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect())
    }

    #[test]
    fn each_kind_of_difference_is_named() {
        let old = snapshot(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let new = snapshot(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(describe(&old.differences(&new)), "`b` changed, `c` is gone, `d` was added");
        assert!(old.differences(&old).is_empty());
    }
}
