//! The `[audience]` table of a campaign file: one origin, and what is taken from or kept of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{CsvSettings, NdjsonSettings, SourceSettings, SqlSettings};
use crate::domain::class_selector::ClassSelector;
use crate::domain::expectation::Expectation;
use crate::domain::field::FieldType;

/// Whom a campaign is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Tables")]
pub struct AudienceSettings {
    /// Where the rows come from.
    pub origin: AudienceOrigin,
    /// People of earlier campaigns who are left out.
    pub minus: Vec<PeopleOf>,
    /// People of earlier campaigns outside of whom nobody is kept.
    pub intersect: Vec<PeopleOf>,
    /// What it should come to by somebody else's count.
    pub expect: Expectation,
}

/// Where the rows come from; exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AudienceOrigin {
    /// A file or a query.
    Source(Box<SourceSettings>),
    /// `[audience.campaign]`: the sealed people of an earlier campaign of this workspace.
    Campaign(PeopleOf),
}

/// Some of the sealed people of an earlier campaign, by where their notices stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "PeopleTable")]
pub struct PeopleOf {
    /// The campaign.
    pub campaign: String,
    /// The classes meant, at least one.
    pub classes: Vec<ClassSelector>,
}

impl PeopleOf {
    /// `told, in-doubt`.
    pub fn classes_in_words(&self) -> String {
        let classes: Vec<String> = self.classes.iter().map(ToString::to_string).collect();
        classes.join(", ")
    }
}

impl std::fmt::Display for PeopleOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.campaign, self.classes_in_words())
    }
}

impl AudienceSettings {
    /// What kind of source it is and which one, as the seal keeps it.
    pub fn provenance(&self) -> (&'static str, String) {
        match &self.origin {
            AudienceOrigin::Source(source) => source.provenance(),
            AudienceOrigin::Campaign(people) => ("campaign", people.to_string()),
        }
    }

    /// What decides which rows are read and as what, as canonical JSON: all of the table but `expect`.
    /// Equal words make the same people of the same bytes.
    pub fn reading(&self) -> String {
        let Self { origin, minus, intersect, expect: _ } = self;
        json!({ "origin": origin, "minus": minus, "intersect": intersect }).to_string()
    }

    /// The merge fields it brings, with their types; an earlier campaign's people bring none.
    pub fn fields(&self) -> &BTreeMap<String, FieldType> {
        static NONE: BTreeMap<String, FieldType> = BTreeMap::new();
        match &self.origin {
            AudienceOrigin::Source(source) => source.fields(),
            AudienceOrigin::Campaign(_) => &NONE,
        }
    }

    /// Every campaign whose people it takes (`from`), keeps (`intersect`) or leaves out (`minus`), with
    /// the word for which.
    pub fn campaigns(&self) -> impl Iterator<Item = (&'static str, &PeopleOf)> {
        let origin = match &self.origin {
            AudienceOrigin::Campaign(people) => Some(people),
            AudienceOrigin::Source(_) => None,
        };
        let kept = self.intersect.iter().map(|people| ("intersect", people));
        let left_out = self.minus.iter().map(|people| ("minus", people));
        origin.map(|people| ("from", people)).into_iter().chain(kept).chain(left_out)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    csv: Option<CsvSettings>,
    ndjson: Option<NdjsonSettings>,
    /// `[audience.sqlite]` in files of before there were servers.
    #[serde(alias = "sqlite")]
    sql: Option<SqlSettings>,
    campaign: Option<PeopleOf>,
    #[serde(default)]
    minus: Vec<PeopleOf>,
    #[serde(default)]
    intersect: Vec<PeopleOf>,
    #[serde(default)]
    expect: Expectation,
}

impl TryFrom<Tables> for AudienceSettings {
    type Error = String;

    fn try_from(tables: Tables) -> Result<Self, String> {
        let sources = [
            tables.csv.map(SourceSettings::Csv),
            tables.ndjson.map(SourceSettings::Ndjson),
            tables.sql.map(SourceSettings::Sql),
        ];
        let mut origins: Vec<AudienceOrigin> =
            sources.into_iter().flatten().map(Box::new).map(AudienceOrigin::Source).collect();
        origins.extend(tables.campaign.map(AudienceOrigin::Campaign));
        match (origins.pop(), origins.len()) {
            (Some(origin), 0) => Ok(Self {
                origin,
                minus: tables.minus,
                intersect: tables.intersect,
                expect: tables.expect,
            }),
            (_, more) => Err(format!(
                "[audience] has {}; hint: exactly one of {ORIGINS}",
                if more == 0 { "no source".into() } else { format!("{} sources", more + 1) }
            )),
        }
    }
}

/// The tables of which an audience has one.
const ORIGINS: &str = "[audience.csv], [audience.ndjson], [audience.sql] and [audience.campaign]";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleTable {
    #[serde(alias = "name")]
    campaign: String,
    classes: Vec<ClassSelector>,
}

impl TryFrom<PeopleTable> for PeopleOf {
    type Error = String;

    fn try_from(table: PeopleTable) -> Result<Self, String> {
        if table.classes.is_empty() {
            return Err(format!(
                "`classes` of campaign `{}` is empty; hint: `classes = [\"told\"]`",
                table.campaign
            ));
        }
        Ok(Self { campaign: table.campaign, classes: table.classes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "csv = { path = \"p\", columns = { account = \"id\" } }\n";

    fn parse(text: &str) -> Result<AudienceSettings, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn an_audience_has_one_origin_and_may_take_from_earlier_campaigns() {
        let text = format!(
            "{CSV}minus = [{{ campaign = \"first\", classes = [\"told\", \"in-doubt\"] }}]\n\
             intersect = [{{ campaign = \"all\", classes = [\"fallback/bounced\"] }}]\n\
             expect = {{ rows = 10 }}"
        );
        let audience = parse(&text).unwrap();
        assert_eq!(audience.provenance(), ("csv", "p".into()));
        let named: Vec<String> =
            audience.campaigns().map(|(step, part)| format!("{step} {part}")).collect();
        assert_eq!(named, ["intersect all (fallback/bounced)", "minus first (told, in-doubt)"]);
        assert_eq!(audience.expect.rows, Some(10));
        let campaign = parse("campaign = { name = \"first\", classes = [\"told\"] }").unwrap();
        assert_eq!(campaign.provenance(), ("campaign", "first (told)".into()));
        // the approved form of a file is JSON
        let json = serde_json::to_string(&toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<AudienceSettings>(&json).unwrap(), audience);
    }

    #[test]
    fn whatever_decides_what_is_read_is_in_the_words_of_the_reading_and_a_sum_is_not() {
        let reading = |text: &str| parse(text).unwrap().reading();
        let with = |more: &str| format!("csv = {{ path = \"p\", {more} }}\n");
        let columns = "columns = { account = \"id\" }";
        let plain = reading(CSV);
        assert_eq!(plain, reading(&format!("{CSV}expect = {{ rows = 10 }}")));
        assert_eq!(plain, reading(&with(&format!("encoding = \"utf-8\", {columns}"))));
        let others = [
            with("columns = { account = \"no\" }"),
            with("columns = { account = \"id\", address = \"mail\" }"),
            with("columns = { account = \"id\", fields = { a = \"text\" } }"),
            with("columns = { account = \"id\", fields = { a = \"date\" } }"),
            with(&format!("delimiter = \";\", {columns}")),
            with(&format!("encoding = \"windows-1252\", {columns}")),
            CSV.replace("\"p\"", "\"q\""),
            CSV.replace("csv", "ndjson"),
            format!("{CSV}minus = [{{ campaign = \"a\", classes = [\"told\"] }}]"),
            format!("{CSV}intersect = [{{ campaign = \"a\", classes = [\"told\"] }}]"),
            "campaign = { name = \"a\", classes = [\"told\"] }".into(),
            "campaign = { name = \"a\", classes = [\"told/accepted\"] }".into(),
        ];
        let mut seen: Vec<String> = others.iter().map(|text| reading(text)).collect();
        seen.push(plain);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), others.len() + 1, "{seen:#?}");
    }

    #[test]
    fn no_origin_two_origins_and_no_classes_are_refused_with_a_hint() {
        let two = format!("{CSV}campaign = {{ name = \"x\", classes = [\"told\"] }}");
        for (text, message) in [
            ("", "[audience] has no source; hint: exactly one of [audience.csv]"),
            (&*two, "[audience] has 2 sources; hint: exactly one of [audience.csv]"),
            ("campaign = { name = \"x\", classes = [] }", "hint: `classes = [\"told\"]`"),
            ("campaign = { name = \"x\" }", "missing field `classes`"),
            ("campaign = { name = \"x\", classes = [\"tld\"] }", "`tld` is no class; hint: one of"),
            ("xlsx = { path = \"p\" }", "unknown field `xlsx`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
