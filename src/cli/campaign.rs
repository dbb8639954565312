//! `forthwith campaign`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::approval::{ApproveArgs, approve, describe};
use super::ask::Signing;
use super::context::Context;
use super::ending::{CancelArgs, CloseArgs, cancel, close};
use super::listing::{Listing, facts};
use super::output::{count, harmless};
use super::recover::{RecoverArgs, recover};
use super::secure::{LaunchArgs, launch_if_live, stopping};
use super::status::{credential_lines, delivery_sum, forecast_lines, print_status, watch};
use super::words::short_name;
use super::{AsJson, Bars, CliError};
use crate::config::check::campaigns;
use crate::domain::track::Track;
use crate::engine::Engine;
use crate::engine::tracks::{Patience, RunReport};
use crate::lifecycle::{check_open_files, until_stopped};

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
    /// Secure and notify, as far as approved, until sending is finished or a gate is closed
    Run {
        /// The campaign
        campaign: String,
        /// Wait at a closed gate instead of ending there
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        launch: LaunchArgs,
    },
    /// Let the others follow a canary that is through, after a look at how it went
    Go(GoArgs),
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
    /// Go on after a backup was restored: put back what journals tell, hold in doubt what nobody knows
    Recover(RecoverArgs),
    /// List the campaigns
    List(AsJson),
}

#[derive(Debug, Args)]
pub(super) struct GoArgs {
    /// The campaign
    campaign: String,
    #[command(flatten)]
    signing: Signing,
    /// Sign without asking
    #[arg(long)]
    yes: bool,
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
        Verb::Run { campaign, wait, launch } => {
            let patience = if wait { Patience::Waits } else { Patience::Ends };
            run_campaign(&campaign, patience, &launch, engine, context).await
        }
        Verb::Go(args) => go(&args, engine, context).await,
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
        Verb::Recover(args) => recover(&args, engine, context).await,
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
    let bars = Bars::new(context.printer);
    let plan = engine.plan_with(name, TRACK, check, Some(&bars)).await?;
    drop(bars);
    let environment = engine.campaign(name).await?.environment;
    context.printer.data(&describe(name, &plan, environment))?;
    let samples = engine.preview(name).await?;
    for sample in samples.iter().take(1 + more) {
        context.printer.data(&format!(
            "\n--- recipient {}\nSubject: {}\n\n{}",
            sample.case,
            harmless(&sample.rendered.subject),
            sample.rendered.text.lines().map(harmless).collect::<Vec<_>>().join("\n")
        ))?;
    }
    let left = samples.len().saturating_sub(1 + more);
    if left > 0 {
        context.printer.say(&format!("{left} more with `--samples {}`", samples.len() - 1));
    }
    context.printer.data(&format!("\n{}", forecast_lines(&engine.forecast(name).await?)))?;
    if !check {
        context.printer.say(&format!(
            "Next: two operators run `forthwith campaign approve {name} --operator NAME`"
        ));
    }
    Ok(())
}

async fn run_campaign(
    name: &str,
    patience: Patience,
    launch: &LaunchArgs,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    check_open_files(engine.relay.connections.into()).map_err(CliError::refused)?;
    let both = [Track::Containment, Track::Notice];
    launch_if_live(engine, name, &both, launch, context).await?;
    let bars = Bars::new(context.printer);
    let work = async |soft| engine.run_with(name, patience, &bars, &soft).await;
    let report = until_stopped(stopping(context), work).await.map_err(CliError::Runtime)??;
    drop(bars);
    context.printer.data(&run_lines(&report))?;
    for note in &report.notes {
        context.printer.say(note);
    }
    let next = report.next_due.map(|due| format!("; next due {due}")).unwrap_or_default();
    context.printer.say(&if report.is_finished {
        "Sending is finished.".to_owned()
    } else if report.is_at_gate {
        format!("The notice waits at a gate; then `forthwith campaign run {name}` goes on.")
    } else {
        format!("Sending is not finished{next}; `forthwith campaign run {name}` goes on.")
    });
    Ok(())
}

/// Shows how the canary went, asks, and signs. `--yes` answers the question, never the signature.
async fn go(args: &GoArgs, engine: &Engine, context: &Context<'_>) -> Result<(), CliError> {
    let name = &args.campaign;
    let seen = engine.canary(name).await?;
    context.printer.data(&facts(&[
        ("Told", count(seen.told)),
        ("Bounced", count(seen.bounced)),
        ("Deferred", count(seen.deferred)),
        ("Complaints", count(seen.complaints)),
    ]))?;
    let others = engine.standing(name).await?.deliveries.machine_open();
    let question = format!("Let the others follow, {} people?", count(others));
    context.confirm(&question, args.yes)?;
    let signer = context.signer(engine, &args.signing.wanted()).await?;
    engine.go(name, seen, &signer).await?;
    context.printer.say(&format!(
        "The canary of `{name}` has its go; a run that waits goes on, and `forthwith campaign run \
         {name}` does where none is there."
    ));
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

    /// The text without one table and those under it.
    fn without(text: &str, table: &str) -> String {
        let mut is_in = false;
        let mut kept = String::new();
        for line in text.lines() {
            if line.starts_with('[') {
                let name = line.trim_start_matches('[').split(']').next().unwrap();
                is_in = name == table || name.starts_with(&format!("{table}."));
            }
            if !is_in {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept
    }

    #[test]
    fn the_example_is_a_campaign_as_it_stands_and_with_every_key_taken_in() {
        let file = "campaigns/x.toml";
        let plain = CampaignFile::parse(&SCAFFOLD.replace("SLUG", "spring"), file).unwrap();
        assert_eq!(plain.incident, "spring");
        assert!(plain.directory.is_some());
        // Two sources at once are refused, so each is tried alone.
        let sources = ["csv", "ndjson", "sql", "campaign"].map(|name| format!("audience.{name}"));
        for own in &sources {
            let others = sources.iter().filter(|other| *other != own);
            let text = others.fold(commented_in(SCAFFOLD), |text, other| without(&text, other));
            assert!(text.contains(&format!("\n[{own}]")), "{own}");
            // the example's server is one of the living
            let live = text.replace("environment = \"rehearsal\"", "environment = \"live\"");
            CampaignFile::parse(&live, file).unwrap();
            let rehearsed = CampaignFile::parse(&text, file);
            assert_eq!(rehearsed.is_err(), own == "audience.sql", "{own}");
        }
    }
}
