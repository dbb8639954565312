//! `[[cohort]]`: parts of the audience, by region, that waves can put in order.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use crate::domain::toml_file::Problems;

/// The cohort drawn by lot; no `[[cohort]]` may be called so.
pub const CANARY: &str = "canary";

/// One cohort.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortSection {
    /// What waves call it.
    pub name: String,
    /// Regions as the source names them. `US` also means `US-CA` and `US/CA`, unless those are named
    /// themselves.
    pub regions: Vec<String>,
}

/// Which cohort a region belongs to.
#[derive(Debug, Clone, Default)]
pub struct Cohorts(HashMap<String, String>);

impl Cohorts {
    /// The cohorts by their regions.
    pub fn of(sections: &[CohortSection]) -> Self {
        let pairs = sections.iter().flat_map(|cohort| {
            cohort.regions.iter().map(|region| (region.trim().to_owned(), cohort.name.clone()))
        });
        Self(pairs.collect())
    }

    /// The cohort of a region: of itself, else of the part before its first `-` or `/`; empty where
    /// nothing names it.
    pub fn lookup(&self, region: Option<&str>) -> &str {
        let Some(region) = region.filter(|_| !self.0.is_empty()) else { return "" };
        let whole = region.split(['-', '/']).next().unwrap_or(region);
        self.0.get(region).or_else(|| self.0.get(whole)).map_or("", String::as_str)
    }
}

/// What contradicts itself among the cohorts.
pub(super) fn check(sections: &[CohortSection], problems: &mut Problems<'_>) {
    let (mut names, mut regions) = (BTreeSet::new(), BTreeSet::new());
    for (at, CohortSection { name, regions: own }) in sections.iter().enumerate() {
        let (name_key, regions_key) = (format!("cohort.{at}.name"), format!("cohort.{at}.regions"));
        let is_word = !name.is_empty()
            && name.len() <= 32
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_word || name == CANARY {
            problems.at(
                &name_key,
                format!(
                    "[[cohort]]: `{name}` is no name for a cohort; hint: lower-case letters, digits \
                     and hyphens, and not `canary`, which is drawn by lot"
                ),
            );
        }
        if !names.insert(name) {
            problems.at(
                &name_key,
                format!("two [[cohort]]s are called `{name}`; hint: give each its own name"),
            );
        }
        if own.is_empty() {
            problems.at(
                &regions_key,
                format!("cohort `{name}` has no regions; hint: `regions = [\"US-CA\"]`"),
            );
        }
        for (item, region) in own.iter().enumerate() {
            if !regions.insert(region.trim()) {
                problems.at(
                    &format!("{regions_key}.{item}"),
                    format!(
                        "region `{region}` stands in more than one cohort, or twice in `{name}`; \
                         hint: keep one"
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cohort(name: &str, regions: &[&str]) -> CohortSection {
        CohortSection { name: name.into(), regions: regions.iter().map(|r| (*r).into()).collect() }
    }

    fn told(sections: &[CohortSection]) -> String {
        let mut problems = Problems::unplaced("x.toml");
        check(sections, &mut problems);
        problems.into_list().to_string()
    }

    #[test]
    fn a_region_belongs_to_the_cohort_that_names_it_most_closely() {
        let sections =
            [cohort("west", &["US-CA", "US-OR"]), cohort("states", &["US", "Canada/QC"])];
        assert_eq!(told(&sections), "");
        let cohorts = Cohorts::of(&sections);
        for (region, name) in [
            (Some("US-CA"), "west"),
            (Some("US-NY"), "states"),
            (Some("US"), "states"),
            (Some("Canada/QC"), "states"),
            (Some("Canada/ON"), ""),
            (Some("USSR"), ""),
            (None, ""),
        ] {
            assert_eq!(cohorts.lookup(region), name, "{region:?}");
        }
    }

    #[test]
    fn cohorts_that_cannot_be_meant_are_refused() {
        for (sections, word) in [
            (vec![cohort("canary", &["US"])], "drawn by lot"),
            (vec![cohort("West Coast", &["US"])], "no name"),
            (vec![cohort("a", &["US"]), cohort("a", &["DE"])], "two"),
            (vec![cohort("a", &[])], "no regions"),
            (vec![cohort("a", &["US"]), cohort("b", &[" US"])], "more than one"),
        ] {
            let refused = told(&sections);
            assert!(refused.contains(word) && refused.contains("hint:"), "{refused}");
        }
    }
}
