//! What a person has to do before the next wave: the canary's go, gates, the staff campaign.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use forthwith::domain::clock::ManualClock;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::tracks::Patience;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::{Launch, PROVIDERS, approve, arrivals, ended, file, rows, run, states, told, until};
use crate::crash::write_settings;
use crate::harness::{CAMPAIGN, binary, person, write};

const OPERATOR: &str = "[canary]\ngo = \"operator\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_stops_for_a_go_with_its_figures_and_nobody_loses_time_there() {
    let clock = Arc::new(ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap()));
    let house = Launch {
        tail: OPERATOR,
        faults: vec![
            "rcpt:550:to=1@a.example:text=5.1.1 No such user",
            "rcpt:450:to=2@a.example:times=2:text=4.2.1 Mailbox busy",
        ],
        clock: Arc::<ManualClock>::clone(&clock),
        ..Launch::default()
    }
    .ready()
    .await;
    let early = house.engine.canary(CAMPAIGN).await.unwrap_err().to_string();
    assert!(early.contains("approved") && early.contains("hint:"), "{early}");

    let report = house.run().await.unwrap();
    assert!(report.is_at_gate && !report.is_finished);
    let said = report.notes.join("\n");
    assert!(said.contains("18 told, 1 bounced, 1 deferred, 0 complaints"), "{said}");
    assert!(
        said.contains(&format!("`forthwith campaign go {CAMPAIGN} --operator NAME`")),
        "{said}"
    );
    assert_eq!(house.status().await.notice, "at-gate");
    assert_eq!(arrivals(&house), [("a.example".to_owned(), 18)]);

    // Ten times the retry window at the gate; then the busy mailbox is tried again, and again at the gate.
    clock.advance(SignedDuration::from_hours(10));
    let again = house.run().await.unwrap();
    assert!(again.is_at_gate, "{again:?}");
    assert_eq!((again.totals.deferred, again.totals.fallback), (1, 1), "{again:?}");
    clock.advance(SignedDuration::from_mins(10));
    assert!(house.run().await.unwrap().notes.join(" ").contains("19 told, 1 bounced, 0 deferred"));

    let signer = house.engine.signer(person("ann")).await.unwrap();
    let seen = house.engine.canary(CAMPAIGN).await.unwrap();
    let other = forthwith::store::waves::CanaryFigures { bounced: 0, ..seen };
    let changed = house.engine.go(CAMPAIGN, other, &signer).await.unwrap_err().to_string();
    assert!(changed.contains("changed meanwhile"), "{changed}");
    house.engine.go(CAMPAIGN, seen, &signer).await.unwrap();
    let twice = house.engine.go(CAMPAIGN, seen, &signer).await.unwrap_err().to_string();
    assert!(twice.contains("has its go"), "{twice}");
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    assert_eq!((told(&house, "b.example"), told(&house, "c.example")), (20, 20));
    assert!(house.ledger_lines().await.iter().any(|line| line.contains(r#""kind":"canary-go""#)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_goes_on_by_itself_and_a_stop_ends_it() {
    let house = Launch { tail: OPERATOR, ..Launch::default() }.ready().await;
    let at_gate = async || house.status().await.notice == "at-gate";
    let (first, stop) = run(&house, Patience::Waits);
    until("it waits at the gate", at_gate).await;
    stop.cancel();
    assert!(!ended(first).await.is_finished);
    let (second, _stop) = run(&house, Patience::Waits);
    until("it waits again", async || house.status().await.worker.is_some()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(at_gate().await && told(&house, "b.example") == 0);
    let signer = house.engine.signer(person("bob")).await.unwrap();
    let seen = house.engine.canary(CAMPAIGN).await.unwrap();
    house.engine.go(CAMPAIGN, seen, &signer).await.unwrap();
    assert!(ended(second).await.is_finished);
    assert_eq!(house.taken().len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_go_or_evidence_that_no_operator_signed_is_refused() {
    let tail = format!("{OPERATOR}[[gate]]\nname = \"dns\"\ntext = \"DNS is checked\"\n");
    let house = Launch { tail: &tail, ..Launch::default() }.ready().await;
    let signer = house.engine.signer(person("ann")).await.unwrap();
    house.engine.pass_gate(CAMPAIGN, "dns", "looked it up", &signer).await.unwrap();
    house.run().await.unwrap();
    house
        .tamper(
            "INSERT INTO canary_go VALUES ((SELECT id FROM campaign), 20, 0, 0, 0, 1, zeroblob(64), 0)",
        )
        .await;
    let refused = house.run_refused().await;
    assert!(
        refused.contains("does not fit its signature") && refused.contains("hint:"),
        "{refused}"
    );
    house.tamper("DELETE FROM canary_go").await;
    house.tamper("UPDATE wave SET opened_at = NULL").await;
    house.tamper("UPDATE gate_evidence SET operator_id = 2").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("gate `dns`") && refused.contains("hint:"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_opens_by_signed_evidence_for_its_very_words() {
    let gate = "[[gate]]\nname = \"regulator-told\"\ntext = \"the regulator is told\"\n\
                [[gate]]\nname = \"dns\"\ntext = \"DNS is checked\"\nwave = \"europe\"\n";
    let tail = format!("[[wave]]\nname = \"europe\"\ncohorts = [\"eu\"]\n{gate}");
    let house = Launch { tail: &tail, ..Launch::default() }.ready().await;
    let report = house.run().await.unwrap();
    assert!(report.is_at_gate);
    let note = &report.notes[0];
    assert!(note.contains("wave `canary` waits at gate `regulator-told`"), "{note}");
    assert!(note.contains(&format!("`forthwith gate pass {CAMPAIGN} regulator-told")), "{note}");
    // Nothing was sent, so another plan may still be signed.
    assert_eq!(house.status().await.notice, "approved");

    let signer = house.engine.signer(person("ann")).await.unwrap();
    let pass = async |gate: &str, words: &str| {
        house.engine.pass_gate(CAMPAIGN, gate, words, &signer).await.map_err(|e| e.to_string())
    };
    for (gate, words, told) in [
        ("regulator-told", "  ", "`--evidence`"),
        ("mayor-told", "he knows", "no gate `mayor-told`"),
    ] {
        let refused = pass(gate, words).await.unwrap_err();
        assert!(refused.contains(told) && refused.contains("hint:"), "{refused}");
    }
    let evidence = "case ABC-2012-7 of Monday, by telephone";
    pass("regulator-told", evidence).await.unwrap();
    assert!(pass("regulator-told", "again").await.unwrap_err().contains("evidence already"));
    let gates = house.engine.gates(CAMPAIGN).await.unwrap();
    assert_eq!(gates[0].evidence.as_deref(), Some(evidence));
    assert_eq!((gates[0].by.as_deref(), gates[1].passed), (Some("ann"), false));
    let lines = house.ledger_lines().await.join("\n");
    assert!(lines.contains(r#""gate":"regulator-told""#) && !lines.contains("ABC"), "{lines}");
    let database = std::fs::read(house.database()).unwrap();
    assert!(!database.windows(12).any(|part| part == b"ABC-2012-7 o"), "evidence in clear");

    // Evidence for other words opens nothing.
    let text = file("", &tail.replace("the regulator is told", "both regulators are told"));
    write(&house.engine.workspace.campaign_file(CAMPAIGN).0, &text);
    house.approve(Track::Notice).await;
    assert!(house.run().await.unwrap().notes[0].contains("both regulators"));
    assert!(house.taken().is_empty());
    pass("regulator-told", evidence).await.unwrap();
    let report = house.run().await.unwrap();
    assert!(report.is_at_gate && report.notes[0].contains("gate `dns`"), "{report:?}");
    assert_eq!(arrivals(&house), [("a.example".to_owned(), 20)]);
    assert_eq!(house.status().await.notice, "at-gate");
    pass("dns", "dig says so").await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_hear_of_it_after_the_staff() {
    let house =
        Launch { tail: "[staff]\ncampaign = \"staff\"\n", ..Launch::default() }.sealed().await;
    let engine = &house.engine;
    let plan = async || engine.plan(CAMPAIGN, Track::Notice, true).await.map_err(|e| e.to_string());
    let missing = plan().await.unwrap_err();
    assert!(missing.contains("`staff`, which does not exist") && missing.contains("hint:"));

    let staff_file = file("", "").replace("affected.csv", "staff.csv");
    let with_site = staff_file.replace("mode = \"none\"\n", "");
    write(&engine.workspace.campaign_file("staff").0, &with_site);
    assert!(plan().await.unwrap_err().contains("speaks of new passwords"));
    write(&engine.workspace.campaign_file("staff").0, &staff_file);
    write(&house.path("staff.csv"), &rows(&[("own.example", 5)]));
    house.approve(Track::Notice).await;
    let report = house.run().await.unwrap();
    assert!(report.is_at_gate && report.notes[0].contains("`forthwith campaign run staff`"));
    let signer = engine.signer(person("ann")).await.unwrap();
    let refused = engine.pass_gate(CAMPAIGN, "staff", "they know", &signer).await.unwrap_err();
    assert!(refused.to_string().contains("opens by itself"), "{refused}");

    engine.seal("staff", &Silent).await.unwrap();
    approve(&house, "staff").await;
    engine.run("staff", &Silent, &CancellationToken::new()).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(arrivals(&house)[0], ("own.example".to_owned(), 5));
    assert_eq!(house.taken().len(), 65);

    let itself = file("", "[staff]\ncampaign = \"staff\"\n").replace("affected.csv", "staff.csv");
    write(&engine.workspace.campaign_file("staff").0, &itself);
    let refused = engine.plan("staff", Track::Notice, true).await.unwrap_err().to_string();
    assert!(refused.contains("waits for itself"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsed_staff_campaign_opens_no_live_gate() {
    let house =
        Launch { tail: "[staff]\ncampaign = \"staff\"\n", ..Launch::default() }.sealed().await;
    let engine = &house.engine;
    let staff_file = file("", "").replace("affected.csv", "staff.csv");
    let path = engine.workspace.campaign_file("staff").0;
    let plan = async || engine.plan(CAMPAIGN, Track::Notice, true).await.map_err(|e| e.to_string());
    write(&path, &staff_file.replace("\"rehearsal\"", "\"live\""));
    let refused = plan().await.unwrap_err();
    assert!(refused.contains("`thaw` is rehearsal, and the staff campaign `staff`"), "{refused}");
    assert!(refused.contains("is live") && refused.contains("hint:"), "{refused}");

    write(&path, &staff_file);
    write(&house.path("staff.csv"), &rows(&[("own.example", 5)]));
    house.approve(Track::Notice).await;
    engine.seal("staff", &Silent).await.unwrap();
    approve(&house, "staff").await;
    // what was approved speaks of no passwords, whatever the file says by now, or whether it is there
    write(&path, &staff_file.replace("mode = \"none\"\n", ""));
    plan().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    plan().await.unwrap();
    engine.run("staff", &Silent, &CancellationToken::new()).await.unwrap();
    house.tamper("UPDATE campaign SET environment = 'live' WHERE name = 'staff'").await;
    let report = house.run().await.unwrap();
    assert!(report.is_at_gate && report.totals.told == 0, "{report:?}");
    house.tamper("UPDATE campaign SET environment = 'rehearsal' WHERE name = 'staff'").await;
    assert!(house.run().await.unwrap().is_finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staff_campaign_without_its_file_must_have_been_approved() {
    let house =
        Launch { tail: "[staff]\ncampaign = \"staff\"\n", ..Launch::default() }.sealed().await;
    let path = house.engine.workspace.campaign_file("staff").0;
    let speaks = file("", "").replace("affected.csv", "staff.csv").replace("mode = \"none\"\n", "");
    write(&path, &speaks);
    write(&house.path("staff.csv"), &rows(&[("own.example", 5)]));
    house.engine.seal("staff", &Silent).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let refused = house.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap_err().to_string();
    assert!(refused.contains("there is no `campaigns/staff.toml`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_a_gate_or_between_waves_repeats_nobody_and_goes_on() {
    let house = Launch { tail: OPERATOR, ..Launch::default() }.ready().await;
    write_settings(&house);
    write(&house.path("providers.toml"), PROVIDERS);
    let spawn = || {
        binary()
            .arg("--workspace")
            .arg(house.dir.path())
            .args(["campaign", "run", CAMPAIGN, "--wait"])
            .env("XDG_STATE_HOME", house.path("xdg-state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(house.path("run.log")).unwrap())
            .spawn()
            .unwrap()
    };
    let log = || std::fs::read_to_string(house.path("run.log")).unwrap();
    let mut first = spawn();
    until("it waits at the gate", async || house.status().await.notice == "at-gate").await;
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(log().contains("the canary is through: 20 told"), "{}", log());
    // Killed after the canary ended and before the track said so.
    house.tamper("UPDATE campaign SET notice_state = 'running', paused_at = NULL").await;
    let report = house.run().await.unwrap();
    assert!(report.is_at_gate && house.status().await.notice == "at-gate");
    let signer = house.engine.signer(person("ann")).await.unwrap();
    let seen = house.engine.canary(CAMPAIGN).await.unwrap();
    house.engine.go(CAMPAIGN, seen, &signer).await.unwrap();
    let mut second = spawn();
    let ended = tokio::task::spawn_blocking(move || second.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "{}", log());
    assert_eq!(house.taken().len(), 60, "nobody twice, nobody left");
    assert!(states(&house).await.iter().all(|(_, state)| *state == "finished"));
}
