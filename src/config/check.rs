//! Reads every file an operator wrote and lists all that is wrong with them, without touching the
//! database, a directory or a relay.

mod campaign;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;

use super::{Config, ConfigError, FILE, PROVIDERS_FILE, Variables, replies};
use crate::domain::incident::{Incident, IncidentError};
use crate::domain::problem::{Problem, ProblemList};
use crate::domain::toml_file::Problems;
use crate::engine::Workspace;
use crate::secret::keyring::Keyring;

/// What a look at the files came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files that were read, relative to the workspace.
    pub read: Vec<String>,
    /// What is wrong, in the order of files and lines.
    pub problems: ProblemList,
    /// What may be meant so, and is worth a second look; in the same order.
    pub remarks: ProblemList,
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
    let Findings { read, problems, remarks } = look.findings;
    Findings { read, problems: problems.sorted(), remarks: remarks.sorted() }
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
