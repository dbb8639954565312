//! `forthwith incident`.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::listing::Listing;
use super::words::short_name;
use super::{AsJson, CliError};
use crate::config::check::incidents;
use crate::domain::incident::Incident;

/// What a new incident's file begins as.
const SCAFFOLD: &str = include_str!("../../templates/scaffold/incident.toml");

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write an incident file with every key explained, to be filled in
    New {
        /// Its short name, such as `spring-2026`
        slug: String,
    },
    /// List the incidents
    List(AsJson),
}

/// One incident as listed.
#[derive(Default, Serialize)]
struct IncidentView {
    slug: String,
    title: String,
    discovered_at: String,
    credentials: Vec<&'static str>,
    problem: String,
}

pub(super) fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::New { slug } => {
            short_name("an incident", &slug)?;
            let (path, _) = context.workspace.incident_file(&slug);
            context.workspace.write_new(&path, SCAFFOLD)?;
            context.printer.data(&path.display().to_string())?;
            context.printer.say(&format!(
                "Fill it in, then `forthwith config check` and `forthwith campaign new NAME \
                 --incident {slug}`"
            ));
            Ok(())
        }
        Verb::List(form) => {
            let rows: Vec<_> =
                incidents(&context.workspace).into_iter().map(|slug| view(slug, context)).collect();
            let columns = ["slug", "title", "discovered_at", "credentials", "problem"];
            let nothing = "no incidents; hint: `forthwith incident new SLUG`";
            Listing::print(context.printer, &columns, form.json, &rows, nothing)
        }
    }
}

fn view(slug: String, context: &Context<'_>) -> IncidentView {
    let (path, file) = context.workspace.incident_file(&slug);
    let read = context.workspace.read(&path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|text| Incident::parse(&text, &file).map_err(|error| error.to_string()));
    match parsed {
        Err(problem) => {
            let problem = problem.lines().next().unwrap_or_default().to_owned();
            IncidentView { slug, problem, ..IncidentView::default() }
        }
        Ok(incident) => IncidentView {
            slug,
            title: incident.title().to_string(),
            discovered_at: incident.discovered_at().to_string(),
            credentials: incident.exposed().credentials.iter().map(|kind| kind.word()).collect(),
            problem: String::new(),
        },
    }
}
