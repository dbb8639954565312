//! Every fault of a notice's templates that can be told in one run.
//!
//! [`Templates::compile`] stops at the first. What is no handlebars is told of every file; where all
//! are, all that the lint finds in every language, each once however many variants or parts show it.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RenderError;
use super::lint::PARTIALS;
use super::parsed::{is_part, parse};
use super::templates::{NoticeSpec, Templates};

/// What is wrong with the notice's files, in the languages wanted; as [`Templates::compile`] takes them.
/// `with_links`, how they show a personal link too, as mode `link` needs it.
pub fn faults(
    spec: NoticeSpec<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    with_links: bool,
) -> Vec<RenderError> {
    let own = format!("mail/{}/", spec.notice);
    let is_stray = |name: &str| name.strip_prefix(&own).is_some_and(|rest| !is_part(rest));
    let is_read = |name: &str| name.starts_with(&own) || name.starts_with(PARTIALS);
    let (strays, read): (Vec<_>, Vec<_>) =
        files.iter().filter(|(name, _)| is_read(name)).partition(|(name, _)| is_stray(name));
    let mut faults: Vec<RenderError> = strays
        .into_iter()
        .map(|(name, _)| RenderError::StrayFile { template: name.clone() })
        .collect();
    let syntax: Vec<RenderError> =
        read.iter().filter_map(|(name, bytes)| parse(name, bytes).err()).collect();
    if !syntax.is_empty() {
        faults.extend(syntax);
        return faults;
    }
    let read = read.into_iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
    match Templates::checked(spec, &read) {
        Ok(templates) if with_links => faults.extend(templates.link_faults()),
        Ok(_) => {}
        Err(found) => faults.extend(found),
    }
    // a partial is walked by each part that uses it
    let mut told = BTreeSet::new();
    faults.retain(|fault| told.insert(fault.to_string()));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let fields = BTreeMap::new();
        let spec = NoticeSpec { notice: "n", languages: None, fields: &fields };
        faults(spec, files, false).iter().map(ToString::to_string).collect()
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
    fn every_fault_of_every_language_is_told_once() {
        let part = |locale: &str, part: &str, text: &str| {
            (format!("mail/n/{locale}/{part}"), text.as_bytes().to_vec())
        };
        let files = BTreeMap::from([
            part("en", "subject.txt.hbs", "Hello {{nam}} {{brand.nam}}"),
            part("en", "body.txt.hbs", "{{> mail/partials/foot}}"),
            part("en", "body.html.hbs", "{{> mail/partials/foot}}"),
            part("en", "notes.hbs", "x"),
            part("fr", "subject.txt.hbs", "Bonjour"),
            part("fr", "body.txt.hbs", "{{#if reset.site}}\n{{shout brand.name}}\n{{/if}}{{> no}}"),
            ("mail/partials/foot.hbs".to_owned(), b"{{#if person.old}}x{{/if}}".to_vec()),
        ]);
        let told = told(&files);
        let places = [
            "mail/n/en/notes.hbs is no part",
            "mail/n/en/subject.txt.hbs:1:7: unknown field",
            "mail/n/en/subject.txt.hbs:1:15: unknown field",
            "mail/partials/foot.hbs:1:1: unknown field",
            "mail/n/fr/body.txt.hbs:2:1: unknown helper",
            "mail/n/fr/body.txt.hbs:3:8: no partial",
            "mail/n/fr/body.html.hbs is missing",
        ];
        assert_eq!(told.len(), places.len(), "{told:#?}");
        for (told, place) in told.iter().zip(places) {
            assert!(told.starts_with(place), "{told} is not {place}");
        }
    }

    #[test]
    fn how_a_link_must_stand_is_told_of_every_part() {
        let text = b"{{#if reset.link}}Here: {{person.link}}{{/if}}x".to_vec();
        let files = BTreeMap::from([
            ("mail/n/en/subject.txt.hbs".to_owned(), b"Notice".to_vec()),
            ("mail/n/en/body.txt.hbs".to_owned(), text.clone()),
            ("mail/n/en/body.html.hbs".to_owned(), b"<p>x</p>".to_vec()),
            ("mail/n/fr/subject.txt.hbs".to_owned(), b"Avis".to_vec()),
            ("mail/n/fr/body.txt.hbs".to_owned(), text),
            ("mail/n/fr/body.html.hbs".to_owned(), b"<p>x</p>".to_vec()),
        ]);
        let fields = BTreeMap::new();
        let spec = NoticeSpec { notice: "n", languages: None, fields: &fields };
        assert!(faults(spec, &files, false).is_empty());
        let mut told: Vec<_> = faults(spec, &files, true).iter().map(ToString::to_string).collect();
        told.sort();
        let parts = ["en/body.html", "en/body.txt", "fr/body.html", "fr/body.txt"];
        assert_eq!(told.len(), parts.len(), "{told:#?}");
        for (told, part) in told.iter().zip(parts) {
            assert!(told.starts_with(&format!("mail/n/{part}.hbs must show")), "{told}");
        }
    }
}
