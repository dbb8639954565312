//! Reads every file an operator wrote and lists what is wrong with them, without touching the
//! database, a directory or a relay.

use std::path::Path;

use super::{Config, ConfigError, Variables};
use crate::domain::incident::Incident;
use crate::engine::Workspace;
use crate::engine::campaign_file::CampaignFile;
use crate::engine::link::Links;

/// What a look at the files came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Files that were read, relative to the workspace.
    pub read: Vec<String>,
    /// What is wrong, each with its file.
    pub problems: Vec<String>,
}

/// Reads the configuration, every incident and every campaign of a workspace.
pub fn check(workspace: &Workspace, variables: &Variables) -> Findings {
    let mut findings = Findings::default();
    match Config::load(workspace, variables) {
        Ok(_) => {}
        Err(ConfigError::Problems(found)) => {
            findings.problems.extend(found.iter().map(ToString::to_string));
        }
        Err(error) => findings.problems.push(with_source(&error)),
    }
    for name in ["forthwith.toml", "providers.toml", super::replies::FILE] {
        if workspace.root().join(name).exists() {
            findings.read.push(name.to_owned());
        }
    }
    for slug in incidents(workspace) {
        let (path, file) = workspace.incident_file(&slug);
        findings.take(&path, file, |text, file| {
            Incident::parse(text, file).map(drop).map_err(|error| error.to_string())
        });
    }
    for name in campaigns(workspace) {
        let (path, file) = workspace.campaign_file(&name);
        findings.take(&path, file, |text, file| {
            let campaign = CampaignFile::parse(text, file).map_err(|error| error.to_string())?;
            let (incident, incident_name) = workspace.incident_file(&campaign.incident);
            let Ok(facts) = std::fs::read_to_string(&incident) else {
                return Err(format!(
                    "`{file}`: there is no `{incident_name}`; hint: `forthwith incident new {}`",
                    campaign.incident
                ));
            };
            // An incident that cannot be read is listed for itself.
            let Ok(facts) = Incident::parse(&facts, &incident_name) else { return Ok(()) };
            let links = Links::of(&campaign, file, &facts, &incident_name);
            links.map(drop).map_err(|error| error.to_string())
        });
    }
    findings
}

impl Findings {
    fn take(
        &mut self,
        path: &Path,
        file: String,
        parse: impl FnOnce(&str, &str) -> Result<(), String>,
    ) {
        let parsed = std::fs::read_to_string(path)
            .map_err(|error| format!("`{file}`: {error}"))
            .and_then(|text| parse(&text, &file));
        self.problems.extend(parsed.err());
        self.read.push(file);
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

fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_and_each_fault_named_with_its_file() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(root.path());
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("forthwith.toml", "[relay]\nport = 0\n");
        write(
            "incidents/good/incident.toml",
            include_str!("../../templates/scaffold/incident.toml"),
        );
        write("incidents/bad/incident.toml", "title = 5\n");
        write(
            "campaigns/lost.toml",
            &include_str!("../../templates/scaffold/campaign.toml").replace("SLUG", "gone"),
        );
        write(
            "campaigns/linked.toml",
            &include_str!("../../templates/scaffold/campaign.toml")
                .replace("SLUG", "good")
                .replacen("mode = \"site\"", "mode = \"link\"", 1),
        );
        let variables = Variables::of::<&str, &str>([]).unwrap();
        let findings = check(&workspace, &variables);
        assert_eq!(
            findings.read,
            [
                "forthwith.toml",
                "incidents/bad/incident.toml",
                "incidents/good/incident.toml",
                "campaigns/linked.toml",
                "campaigns/lost.toml"
            ]
        );
        assert_eq!(findings.problems.len(), 4, "{:?}", findings.problems);
        assert!(findings.problems[0].contains("relay.port"));
        assert!(findings.problems[1].contains("incidents/bad/incident.toml"));
        let linked = &findings.problems[2];
        assert!(linked.contains("campaigns/linked.toml"), "{linked}");
        assert!(
            linked.contains("incidents/good/incident.toml") && linked.contains("brand.reset_url")
        );
        assert!(findings.problems[3].contains("incident new gone"));
    }
}
