//! Reads every file an operator wrote and lists all that is wrong with them, without touching the
//! database, a directory or a relay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;

use super::{Config, ConfigError, FILE, PROVIDERS_FILE, Variables, replies};
use crate::domain::incident::{Incident, IncidentError};
use crate::domain::loopback::is_loopback_host;
use crate::domain::problem::{Problem, ProblemList, nearest};
use crate::domain::toml_file::Problems;
use crate::domain::track::Environment;
use crate::engine::Workspace;
use crate::engine::campaign_file::CampaignFile;
use crate::engine::locale::closest;
use crate::engine::plan::{no_incident, template_files};
use crate::render::{NoticeSpec, RenderError};
use crate::secret::keyring::Keyring;

/// What a look at the files came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files that were read, relative to the workspace.
    pub read: Vec<String>,
    /// What is wrong, in the order of files and lines.
    pub problems: ProblemList,
}

/// One look at all files of a workspace.
struct Look<'a> {
    workspace: &'a Workspace,
    shipped: &'a [(&'a str, &'a str)],
    now: Timestamp,
    relay_host: Option<String>,
    incidents: BTreeMap<String, Option<Incident>>,
    /// Notices whose files were looked at, each with the merge fields they were looked at for.
    templates: BTreeSet<String>,
    findings: Findings,
}

/// Reads the configuration, the keys, every incident, every campaign and their templates. `shipped`
/// are the templates that come with the program.
pub fn check(
    workspace: &Workspace,
    variables: &Variables,
    shipped: &[(&str, &str)],
    now: Timestamp,
) -> Findings {
    let mut look = Look {
        workspace,
        shipped,
        now,
        relay_host: None,
        incidents: BTreeMap::new(),
        templates: BTreeSet::new(),
        findings: Findings::default(),
    };
    look.settings(variables);
    look.keys();
    for slug in incidents(workspace) {
        look.incident(slug);
    }
    for name in campaigns(workspace) {
        look.campaign(&name);
    }
    let Findings { read, problems } = look.findings;
    Findings { read, problems: problems.sorted() }
}

impl Look<'_> {
    fn settings(&mut self, variables: &Variables) {
        match Config::load(self.workspace, variables) {
            Ok(config) => self.relay_host = Some(config.relay.host),
            Err(ConfigError::Problems(found)) => self.findings.problems.take(found),
            Err(ConfigError::Defaults(what)) => {
                self.findings.problems.push(Problem::of("config/default.toml", &what));
            }
        }
        for name in [FILE, PROVIDERS_FILE, replies::FILE] {
            if self.workspace.root().join(name).exists() {
                self.findings.read.push(name.to_owned());
            }
        }
    }

    /// Key files that are there and cannot be used; a workspace without any has none yet.
    fn keys(&mut self) {
        let folder = self.workspace.keys();
        if !folder.exists() {
            return;
        }
        for (name, error) in Keyring::faults(&folder) {
            let (full, name) = (folder.join(&name).display().to_string(), format!("keys/{name}"));
            let text =
                error.to_string().replace(&format!("{full} has"), "has").replace(&full, &name);
            self.findings.problems.push(Problem::of(&name, &text));
        }
        self.findings.read.push("keys".into());
    }

    /// A file's text; what is in its way is noted.
    fn text(&mut self, path: &Path, name: &str) -> Option<String> {
        self.findings.read.push(name.to_owned());
        self.workspace.own_text(path, name).unwrap_or_else(|problems| {
            self.findings.problems.take(problems);
            None
        })
    }

    fn incident(&mut self, slug: String) {
        let (path, name) = self.workspace.incident_file(&slug);
        let incident = self.text(&path, &name).and_then(|text| {
            let (incident, mut problems) = Incident::read(&text, &name);
            if let Some(incident) = &incident {
                self.check_now(incident, &mut problems);
            }
            // its name is wrong whatever stands in it
            if let Err(error @ IncidentError::Slug { .. }) = Incident::parse(&text, &name) {
                let what = error.to_string().replacen(&format!("{name}: "), "", 1);
                self.findings.problems.push(Problem::of(&name, &what));
            }
            self.findings.problems.take(problems.into_list());
            incident
        });
        self.incidents.insert(slug, incident);
    }

    fn check_now(&self, incident: &Incident, problems: &mut Problems<'_>) {
        if incident.discovered_at().timestamp() > self.now {
            problems.at(
                "discovered_at",
                "`discovered_at` lies in the future; hint: the instant your company learnt of it",
            );
        }
    }

    fn campaign(&mut self, name: &str) {
        let (path, file) = self.workspace.campaign_file(name);
        let Some(text) = self.text(&path, &file) else { return };
        let (campaign, mut problems) = CampaignFile::read(&text, &file);
        if let Some(campaign) = &campaign {
            self.check_incident(campaign, &mut problems);
            self.check_relay(campaign, &mut problems);
            self.check_template(campaign, &mut problems);
        }
        self.findings.problems.take(problems.into_list());
    }

    fn check_incident(&self, campaign: &CampaignFile, problems: &mut Problems<'_>) {
        let slug = campaign.incident.as_str();
        match self.incidents.get(slug) {
            Some(Some(incident)) if problems.is_sound("incident") => {
                campaign.check_against(incident, problems);
            }
            // an incident that cannot be read is listed for itself
            Some(_) => {}
            None => {
                let (_, file) = self.workspace.incident_file(slug);
                let near = nearest(slug, self.incidents.keys().map(String::as_str));
                let text = near.map_or_else(
                    || no_incident(slug, &file),
                    |near| format!("there is no `{file}`; hint: did you mean `{near}`?"),
                );
                problems.at("incident", text);
            }
        }
    }

    /// A rehearsal whose relay is not this machine's would be refused when it runs.
    fn check_relay(&self, campaign: &CampaignFile, problems: &mut Problems<'_>) {
        let Some(host) = &self.relay_host else { return };
        if campaign.environment == Environment::Rehearsal && !is_loopback_host(host) {
            problems.at(
                "environment",
                format!(
                    "this is a rehearsal, and `relay.host` is `{host}`: a rehearsal sends to this \
                     machine only; hint: start `forthwith sink` and set relay.host = \"127.0.0.1\", \
                     or environment = \"live\" if these are the living"
                ),
            );
        }
    }

    fn check_template(&mut self, campaign: &CampaignFile, problems: &mut Problems<'_>) {
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
        let own = format!("mail/{}/", notice.template);
        let locales: BTreeSet<String> = files
            .keys()
            .filter_map(|name| Some(name.strip_prefix(&own)?.split_once('/')?.0.to_owned()))
            .collect();
        let known: Vec<String> = locales.into_iter().collect();
        if closest(&known, &notice.locale).is_none() {
            let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            problems.at(
                "notice.locale",
                format!(
                    "`notice.locale` is `{}`, and the template `{}` is not written in it; \
                     hint: it is written in {known}",
                    notice.locale, notice.template
                ),
            );
        }
        let fields = campaign.audience.fields();
        if self.templates.insert(format!("{} {fields:?}", notice.template)) {
            let spec = NoticeSpec { notice: &notice.template, languages: None, fields };
            for fault in crate::render::faults(spec, &files) {
                self.take_fault(&fault, &files);
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
        let Some(place) = fault.place() else {
            list.push(Problem::of("templates", &fault.to_string()).or_hint(hint));
            return;
        };
        let name = format!("templates/{}", place.template);
        let what = fault.to_string().replacen(&format!("{place}: "), "", 1);
        let bytes = files.get(&place.template).map(Vec::as_slice).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes).into_owned();
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

/// Slugs of the incidents that have a file, sorted.
pub fn incidents(workspace: &Workspace) -> Vec<String> {
    let has_file = |slug: &String| workspace.incident_file(slug).0.exists();
    names(&workspace.root().join("incidents")).into_iter().filter(has_file).collect()
}

/// Names of the campaigns that have a file, sorted.
pub fn campaigns(workspace: &Workspace) -> Vec<String> {
    let name = |file: String| file.strip_suffix(".toml").map(str::to_owned);
    names(&workspace.root().join("campaigns")).into_iter().filter_map(name).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
