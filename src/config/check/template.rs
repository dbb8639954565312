//! A notice's templates: whether they are there, in which languages, and all that the lint finds in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Look, names};
use crate::domain::problem::{Problem, nearest};
use crate::domain::toml_file::Problems;
use crate::engine::campaign_file::{CampaignFile, Mode};
use crate::engine::locale::closest;
use crate::engine::plan::template_files;
use crate::render::{NoticeSpec, RenderError};

impl Look<'_> {
    pub(super) fn check_template(&mut self, campaign: &CampaignFile, problems: &mut Problems<'_>) {
        let notice = &campaign.notice;
        if !problems.is_sound("notice.template") {
            return;
        }
        let files = match template_files(self.workspace, self.shipped, &notice.template) {
            Ok(files) => files,
            Err(error) => {
                let known = self.notices();
                let near = nearest(&notice.template, known.iter().map(String::as_str));
                let text = near.map_or_else(
                    || error.to_string(),
                    |near| {
                        let template = &notice.template;
                        format!("there is no template `{template}`; hint: did you mean `{near}`?")
                    },
                );
                return problems.at("notice.template", text);
            }
        };
        self.check_languages(campaign, &files, problems);
        let fields = campaign.audience.fields();
        let with_links = notice.mode == Mode::Link && problems.is_sound("notice.mode");
        if self.templates.insert(format!("{} {with_links} {fields:?}", notice.template)) {
            let spec = NoticeSpec { notice: &notice.template, languages: None, fields };
            for fault in crate::render::faults(spec, &files, with_links) {
                self.take_fault(&fault, &files);
            }
        }
    }

    /// Languages that the campaign needs and that the templates or the incident lack.
    fn check_languages(
        &self,
        campaign: &CampaignFile,
        files: &BTreeMap<String, Vec<u8>>,
        problems: &mut Problems<'_>,
    ) {
        let notice = &campaign.notice;
        let own = format!("mail/{}/", notice.template);
        let written: BTreeSet<String> = files
            .keys()
            .filter_map(|name| Some(name.strip_prefix(&own)?.split_once('/')?.0.to_owned()))
            .collect();
        let written: Vec<String> = written.into_iter().collect();
        let incident = self.incidents.get(&campaign.incident).and_then(Option::as_ref);
        let told: Option<Vec<&str>> = incident.map(|incident| incident.languages().collect());
        let spoken: Vec<String> = written
            .iter()
            .filter(|one| told.as_ref().is_none_or(|told| told.contains(&one.as_str())))
            .cloned()
            .collect();
        let required = notice.require_locales.iter().enumerate();
        let required = required.map(|(at, tag)| {
            (format!("notice.require_locales.{at}"), "notice.require_locales", tag)
        });
        let first = ("notice.locale".to_owned(), "notice.locale", &notice.locale);
        for (path, key, wanted) in std::iter::once(first).chain(required) {
            if closest(&written, wanted).is_none() {
                problems.at(
                    &path,
                    format!(
                        "`{key}` names `{wanted}`, and the template `{}` is not written in it; hint: \
                         it is written in {}",
                        notice.template,
                        written.join(", ")
                    ),
                );
            } else if closest(&spoken, wanted).is_none() {
                let (_, file) = self.workspace.incident_file(&campaign.incident);
                problems.at(
                    &path,
                    format!(
                        "`{key}` names `{wanted}`, and `{file}` has no texts in it; hint: add \
                         [locale.{wanted}] there"
                    ),
                );
            }
        }
    }

    /// The notices there are templates for.
    fn notices(&self) -> BTreeSet<String> {
        let first = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
        let shipped = self.shipped.iter().filter_map(|(name, _)| name.strip_prefix("mail/"));
        let own = names(&self.workspace.templates().join("mail"));
        let all = shipped.map(first).chain(own);
        all.filter(|name| name != "partials").collect()
    }

    fn take_fault(&mut self, fault: &RenderError, files: &BTreeMap<String, Vec<u8>>) {
        let list = &mut self.findings.problems;
        let hint = "a template of your own may start from the shipped one of the same name";
        let text_of = |template: &str| {
            let bytes = files.get(template).map(Vec::as_slice).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        let Some(place) = fault.place() else {
            let Some((template, landmark)) = fault.near() else {
                list.push(Problem::of("templates", &fault.to_string()).or_hint(hint));
                return;
            };
            let (name, text, what) =
                (format!("templates/{template}"), text_of(template), fault.to_string());
            let what = |named: &str| what.replacen(template, named, 1);
            let found = text.find(landmark).filter(|_| !landmark.is_empty());
            let problem = match found {
                Some(at) => Problem::at(&name, &text, at..at + landmark.len(), &what("this part")),
                None => Problem::of(&name, &what("this file")),
            };
            list.keep(&name, &text);
            return list.push(problem.or_hint(hint));
        };
        let name = format!("templates/{}", place.template);
        let what = fault.to_string().replacen(&format!("{place}: "), "", 1);
        let text = text_of(&place.template);
        let last = text.trim_end().char_indices().next_back().map_or(0, |(at, _)| at);
        let start = offset(&text, place.line, place.column).min(last);
        let length = text[start..].find("}}").map_or(1, |end| end + 2);
        let line = text[start..].find('\n').unwrap_or(text.len() - start);
        let problem = Problem::at(&name, &text, start..start + length.min(line), &what);
        list.keep(&name, &text);
        list.push(problem.or_hint(hint));
    }
}

/// Where a line and a column, both from 1, are in a text, in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &text[start.min(text.len())..];
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    start.min(text.len()) + within
}
