//! `forthwith campaign`.

use clap::Subcommand;
use serde::Serialize;

use super::approval::{ApproveArgs, approve, describe};
use super::context::Context;
use super::ending::{CancelArgs, CloseArgs, cancel, close};
use super::listing::Listing;
use super::output::harmless;
use super::secure::{LaunchArgs, launch_if_live, stopping};
use super::status::{credential_lines, delivery_sum, print_status, watch};
use super::words::short_name;
use super::{AsJson, Bars, CliError};
use crate::config::check::campaigns;
use crate::domain::track::Track;
use crate::engine::Engine;
use crate::engine::tracks::RunReport;
use crate::lifecycle::until_stopped;

/// What a new campaign's file begins as; `SLUG` stands for its incident.
const SCAFFOLD: &str = include_str!("../../templates/scaffold/campaign.toml");

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a campaign file with every key explained, to be filled in
    New {
        /// Its name, such as `spring-customers`
        name: String,
        /// The incident it belongs to
        #[arg(long, value_name = "SLUG")]
        incident: String,
    },
    /// Render and check the notice, show what would be approved, and keep it for signing
    Plan {
        /// The campaign
        campaign: String,
        /// Only show it; nothing is kept
        #[arg(long)]
        check: bool,
        /// Show so many more rendered notices
        #[arg(long, value_name = "N", default_value_t = 0)]
        samples: usize,
    },
    /// Sign what is planned; two operators have to
    Approve(ApproveArgs),
    /// Secure and notify, as far as approved, until sending is finished
    Run {
        /// The campaign
        campaign: String,
        #[command(flatten)]
        launch: LaunchArgs,
    },
    /// Show where every source row and every person is
    Status {
        /// The campaign
        campaign: String,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show the status anew each second, until sending is finished
    Watch {
        /// The campaign
        campaign: String,
    },
    /// Start no further transaction, within a second
    Pause {
        /// The campaign
        campaign: String,
    },
    /// Let a paused notice go on
    Resume {
        /// The campaign
        campaign: String,
    },
    /// Tell nobody more, account for everybody, and draft the correction of what was told
    Cancel(CancelArgs),
    /// Look whether everything is done, and end the campaign
    Close(CloseArgs),
    /// List the campaigns
    List(AsJson),
}

const TRACK: Track = Track::Notice;

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    if let Verb::New { name, incident } = &verb {
        return new(name, incident, context);
    }
    context.with_engine(async |engine| with_engine(verb, &engine, context).await).await
}

async fn with_engine(verb: Verb, engine: &Engine, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::New { name, incident } => new(&name, &incident, context),
        Verb::Plan { campaign, check, samples } => {
            plan(&campaign, check, samples, engine, context).await
        }
        Verb::Approve(args) => approve(&args, TRACK, engine, context).await,
        Verb::Run { campaign, launch } => run_campaign(&campaign, &launch, engine, context).await,
        Verb::Cancel(args) => cancel(&args, engine, context).await,
        Verb::Close(args) => close(&args, engine, context).await,
        Verb::Status { campaign, json } => print_status(&campaign, json, engine, context).await,
        Verb::Watch { campaign } => watch(&campaign, engine, context).await,
        Verb::Pause { campaign } => {
            engine.pause(&campaign, TRACK, &Context::actor()).await?;
            context.printer.say(&format!(
                "The notice of `{campaign}` is paused: within a second nothing more starts."
            ));
            Ok(())
        }
        Verb::Resume { campaign } => {
            engine.resume(&campaign, TRACK, &Context::actor()).await?;
            context.printer.say(&format!(
                "The notice of `{campaign}` may go on: `forthwith campaign run {campaign}`, where no \
                 worker is running"
            ));
            Ok(())
        }
        Verb::List(form) => list(form, engine, context).await,
    }
}

fn new(name: &str, incident: &str, context: &Context<'_>) -> Result<(), CliError> {
    short_name("a campaign", name)?;
    short_name("an incident", incident)?;
    let (facts, file) = context.workspace.incident_file(incident);
    if !facts.exists() {
        return Err(CliError::refused(format!(
            "there is no `{file}`; hint: `forthwith incident new {incident}`"
        )));
    }
    let (path, _) = context.workspace.campaign_file(name);
    context.workspace.write_new(&path, &SCAFFOLD.replace("SLUG", incident))?;
    context.printer.data(&path.display().to_string())?;
    context.printer.say(&format!(
        "Fill it in, then `forthwith config check` and `forthwith audience seal {name}`"
    ));
    Ok(())
}

async fn plan(
    name: &str,
    check: bool,
    more: usize,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let plan = engine.plan(name, TRACK, check).await?;
    let environment = engine.campaign(name).await?.environment;
    context.printer.data(&describe(name, &plan, environment))?;
    let samples = engine.preview(name).await?;
    for sample in samples.iter().take(1 + more) {
        let (number, class) = (sample.number, sample.class);
        let with = if plan.kinds.is_empty() { String::new() } else { format!(", {class}") };
        context.printer.data(&format!(
            "\n--- recipient {}{with}\nSubject: {}\n\n{}",
            number,
            harmless(&sample.rendered.subject),
            sample.rendered.text.lines().map(harmless).collect::<Vec<_>>().join("\n")
        ))?;
    }
    let left = samples.len().saturating_sub(1 + more);
    if left > 0 {
        context.printer.say(&format!("{left} more with `--samples {}`", samples.len() - 1));
    }
    if !check {
        context.printer.say(&format!(
            "Next: two operators run `forthwith campaign approve {name} --operator NAME`"
        ));
    }
    Ok(())
}

async fn run_campaign(
    name: &str,
    launch: &LaunchArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    launch_if_live(engine, name, launch, context).await?;
    let bars = Bars::new(context.printer);
    let work = async |soft| engine.run(name, &bars, &soft).await;
    let report = until_stopped(stopping(context), work).await.map_err(CliError::Runtime)??;
    drop(bars);
    context.printer.data(&run_lines(&report))?;
    for note in &report.notes {
        context.printer.say(note);
    }
    let next = report.next_due.map(|due| format!("; next due {due}")).unwrap_or_default();
    context.printer.say(&if report.is_finished {
        "Sending is finished.".to_owned()
    } else {
        format!("Sending is not finished{next}; `forthwith campaign run {name}` goes on.")
    });
    Ok(())
}

fn run_lines(report: &RunReport) -> String {
    let people = format!("People  {}", delivery_sum(&report.totals));
    match &report.secured {
        Some(secured) if !secured.totals.is_empty() => {
            format!("{}\n{people}", credential_lines(&secured.totals))
        }
        _ => people,
    }
}

/// One campaign as listed.
#[derive(Serialize)]
struct CampaignView {
    name: String,
    incident: String,
    environment: String,
    containment: String,
    notice: String,
    sealed: bool,
}

async fn list(form: AsJson, engine: &Engine, context: &Context<'_>) -> Result<(), CliError> {
    let known = engine.store.campaigns().await.map_err(crate::engine::EngineError::from)?;
    let mut rows: Vec<CampaignView> = known
        .iter()
        .map(|row| CampaignView {
            name: row.name.clone(),
            incident: row.incident.clone(),
            environment: row.environment.to_string(),
            containment: row.control.containment.to_string(),
            notice: row.control.notice.to_string(),
            sealed: row.seal_id.is_some(),
        })
        .collect();
    for name in campaigns(&context.workspace) {
        if known.iter().any(|row| row.name == name) {
            continue;
        }
        // A file that cannot be read is listed all the same; `config check` says what is wrong.
        let file = engine.campaign_file(&name).ok();
        let incident = file.as_ref().map(|file| file.incident.clone()).unwrap_or_default();
        let environment = file.map(|file| file.environment.to_string()).unwrap_or_default();
        let (containment, notice) = (String::new(), "not sealed".into());
        rows.push(CampaignView { name, incident, environment, containment, notice, sealed: false });
    }
    let columns = ["name", "incident", "environment", "containment", "notice"];
    let nothing = "no campaigns; hint: `forthwith campaign new NAME --incident SLUG`";
    Listing::print(context.printer, &columns, form.json, &rows, nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::campaign_file::CampaignFile;

    fn commented_in(text: &str) -> String {
        let is_key =
            |line: &str| line.starts_with('#') && line.chars().nth(1).is_some_and(|c| c != ' ');
        text.lines()
            .map(|line| if is_key(line) { &line[1..] } else { line })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_example_is_a_campaign_as_it_stands_and_with_every_key_taken_in() {
        let file = "campaigns/x.toml";
        let plain = CampaignFile::parse(&SCAFFOLD.replace("SLUG", "spring"), file).unwrap();
        assert_eq!(plain.incident, "spring");
        assert!(plain.directory.is_some());
        let (other, csv) = ("\n[audience.sqlite]", "\n[audience.csv]");
        let all = commented_in(SCAFFOLD);
        let at = all.find(other).unwrap();
        let end = all[at..].find("\n\n").map(|length| at + length).unwrap();
        // Two sources at once are refused, so each is tried alone.
        CampaignFile::parse(&format!("{}{}", &all[..at], &all[end..]), file).unwrap();
        let begin = all.find(csv).unwrap();
        CampaignFile::parse(&format!("{}{}", &all[..begin], &all[at..]), file).unwrap();
    }
}
