//! Every fault of a notice's templates that can be told in one run.
//!
//! [`Templates::compile`] stops at the first. What is no handlebars is told of every file; where all
//! are, one fault of each language is told, since a language is checked as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RenderError;
use super::lint::PARTIALS;
use super::parsed::parse;
use super::templates::{NoticeSpec, Templates};

/// What is wrong with the notice's files, in the languages wanted; as [`Templates::compile`] takes them.
pub fn faults(spec: NoticeSpec<'_>, files: &BTreeMap<String, Vec<u8>>) -> Vec<RenderError> {
    let own = format!("mail/{}/", spec.notice);
    let is_read = |name: &str| name.starts_with(&own) || name.starts_with(PARTIALS);
    let read = files.iter().filter(|(name, _)| is_read(name));
    let syntax: Vec<RenderError> =
        read.filter_map(|(name, bytes)| parse(name, bytes).err()).collect();
    if !syntax.is_empty() {
        return syntax;
    }
    let Err(first) = Templates::compile(spec, files) else { return Vec::new() };
    let of_own = files.keys().filter_map(|name| name.strip_prefix(&own));
    let locales: BTreeSet<&str> = of_own.filter_map(|rest| Some(rest.split_once('/')?.0)).collect();
    let alone = |locale: &&str| {
        let folder = format!("{own}{locale}/");
        let is_its = |name: &String| !name.starts_with(&own) || name.starts_with(&folder);
        let subset = files.iter().filter(|(name, _)| is_its(name));
        let subset = subset.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        Templates::compile(spec, &subset).err()
    };
    let found: Vec<RenderError> = locales.iter().filter_map(alone).collect();
    if found.is_empty() { vec![first] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let fields = BTreeMap::new();
        let spec = NoticeSpec { notice: "n", languages: None, fields: &fields };
        faults(spec, files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_file_that_is_no_handlebars_is_told_with_its_place() {
        let file = |name: &str, text: &str| (format!("mail/n/{name}"), text.as_bytes().to_vec());
        let files = BTreeMap::from([
            file("en/subject.txt.hbs", "Hello {{#if}"),
            file("en/body.txt.hbs", "fine"),
            file("en/body.html.hbs", "one\n{{#each list}} two"),
            file("fr/body.txt.hbs", "{{> }}"),
        ]);
        let told = told(&files);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("mail/n/en/body.html.hbs:2:"), "{told:?}");
        assert!(told[1].starts_with("mail/n/en/subject.txt.hbs:1:"), "{told:?}");
    }

    #[test]
    fn one_fault_of_each_language_is_told() {
        let part = |locale: &str, part: &str, text: &str| {
            (format!("mail/n/{locale}/{part}"), text.as_bytes().to_vec())
        };
        let files = BTreeMap::from([
            part("en", "subject.txt.hbs", "Hello {{nam}}"),
            part("en", "body.txt.hbs", "x"),
            part("en", "body.html.hbs", "x"),
            part("fr", "subject.txt.hbs", "Bonjour"),
            part("fr", "body.txt.hbs", "{{shout brand.name}}"),
            part("fr", "body.html.hbs", "x"),
        ]);
        let told = told(&files);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("en/subject.txt.hbs:1:") && told[1].contains("fr/body.txt.hbs:1:")
        );
    }
}
