//! Sending: pause, stop, limits, what a hostile name can and cannot do.

use std::sync::Arc;
use std::time::Duration;

use forthwith::domain::clock::SystemClock;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::resolve::Verdict;
use forthwith::journal::WorkerLock;
use forthwith::sink::{MailStore, Settings, Sink};
use forthwith::store::reports::DeliveryFilter;
use mail_parser::MessageParser;
use tokio_util::sync::CancellationToken;

use crate::harness::running::{begun, finished};
use crate::harness::{CAMPAIGN, House, Plan, campaign_file, engine};

/// A house whose campaign sends so many a second.
pub fn paced(per_second: u32, customers: u32) -> Plan {
    let file =
        campaign_file("").replace("per_second = 2000", &format!("per_second = {per_second}"));
    Plan { customers, campaign: file, ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_means_now_and_resume_goes_on() {
    let house = House::ready(paced(40, 200)).await;
    let (run, _soft) = begun(&house, 20).await;
    house.engine.pause(CAMPAIGN, Track::Notice, "test").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after_a_second = house.taken().len();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(house.taken().len(), after_a_second, "nothing new starts while paused");
    assert!(after_a_second < 100, "it was paused in the middle");
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert_eq!((status.notice, status.deliveries.in_flight), ("paused", 0));
    assert!(status.deliveries.balances());
    house.engine.resume(CAMPAIGN, Track::Notice, "test").await.unwrap();
    assert!(finished(run).await.is_finished);
    assert_eq!(
        house.taken().len() as u64,
        house.engine.status(CAMPAIGN).await.unwrap().deliveries.told
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_leaves_nothing_in_doubt_and_the_next_run_finishes() {
    let house = House::ready(paced(100, 200)).await;
    let (run, soft) = begun(&house, 30).await;
    soft.cancel();
    let report = finished(run).await;
    assert!(!report.is_finished);
    assert_eq!((report.totals.in_doubt, report.totals.in_flight), (0, 0), "{report:?}");
    assert_eq!(report.totals.told, house.taken().len() as u64);
    assert!(house.run().await.unwrap().is_finished);
    let told = house.engine.status(CAMPAIGN).await.unwrap().deliveries.told;
    assert_eq!(house.taken().len() as u64, told, "nobody is told twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pace_holds() {
    let house = House::ready(paced(50, 120)).await;
    let began = std::time::Instant::now();
    house.run().await.unwrap();
    let told = f64::from(u32::try_from(house.taken().len()).unwrap());
    // a burst of one per connection, then 50 a second
    let least = (told - 8.0) / 50.0;
    assert!(began.elapsed().as_secs_f64() >= least * 0.98, "{told} in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_intents_are_open_than_the_window_has() {
    let mut house = House::ready(Plan { customers: 400, ..Plan::default() }).await;
    house.engine.worker.window = 5;
    let (run, _soft) = begun(&house, 1).await;
    let mut most = 0;
    while !run.is_finished() {
        let status = house.engine.status(CAMPAIGN).await.unwrap();
        most = most.max(status.deliveries.in_flight);
    }
    assert!(finished(run).await.is_finished);
    assert!((1..=5).contains(&most), "{most} at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_worker_on_the_database_is_refused_and_names_the_first() {
    let house = House::ready(Plan::default()).await;
    let _held = WorkerLock::acquire(&house.engine.workspace.worker_lock()).unwrap();
    let refused = house.run().await.unwrap_err().to_string();
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
    assert!(house.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_older_database_sends_and_expires_nothing() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let data = house.path("data");
    let backup = house.path("backup");
    // A backup as an operator makes one: the whole folder, nobody writing.
    std::fs::create_dir(&backup).unwrap();
    for file in crate::harness::files_under(&data) {
        std::fs::copy(&file, backup.join(file.file_name().unwrap())).unwrap();
    }
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house.run().await.unwrap();
    let told = house.taken().len();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&backup, &data).unwrap();
    let port = house.sink.addr().port();
    let rewound = engine(&house.engine.workspace, port, Arc::new(SystemClock), false).await;
    let refused =
        rewound.run(CAMPAIGN, &Silent, &CancellationToken::new()).await.unwrap_err().to_string();
    assert!(refused.contains("not the one this workspace saw last"), "{refused}");
    assert_eq!(house.taken().len(), told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_name_arrives_as_harmless_text() {
    let house = House::furnished(Plan::default()).await;
    let rows = "customer_id,name,email\n\
                C0000001,\"Eve\r\nBcc: thief@evil.example\",eve@mail.example\n\
                C0000002,<b>Bold</b> & Co,bold@mail.example\n\
                C0000003,François D'Été,francois@mail.example\n";
    std::fs::write(house.path("affected.csv"), rows).unwrap();
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house.run().await.unwrap();
    let mails = house.mails();
    assert_eq!(mails.len(), 3);
    for mail in &mails {
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        assert!(parsed.bcc().is_none() && !mail.contains("thief@"), "{mail}");
        let html = parsed.body_html(0).unwrap();
        assert!(!html.contains("<b>Bold"), "{html}");
    }
    let french = mails.iter().find(|mail| mail.contains("francois@mail.example")).unwrap();
    let parsed = MessageParser::default().parse(french.as_bytes()).unwrap();
    assert!(parsed.body_text(0).unwrap().contains("François D'Été"));
    assert_eq!(house.taken().len(), 3, "nobody else was mailed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_refusal_suspends_the_provider_and_blames_nobody() {
    let mut house = House::furnished(Plan {
        customers: 40,
        faults: vec!["dot:554:times=1:text=5.7.1 Message refused by policy"],
        campaign: campaign_file("suspend_for = \"1s\""),
        ..Plan::default()
    })
    .await;
    let domains = r#"["mail.example", "post.example", "inbox.example", "letters.example"]"#;
    let providers = toml::from_str(&format!("[provider.shop]\ndomains = {domains}\n"));
    house.engine.providers = Arc::new(providers.unwrap());
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    assert_eq!(report.totals.reasons.get("fallback/bounced"), None, "{report:?}");
    assert_eq!(report.totals.told, house.taken().len() as u64);
    let lines = house.engine.store.ledger_lines(0, 10_000).await.unwrap();
    let suspended = lines.iter().any(|(_, line)| line.contains(r#""kind":"lane""#));
    assert!(suspended, "the suspension stands in the ledger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_of_many_that_refuses_us_rests_alone() {
    let house = House::ready(Plan {
        // more at the domain than connections can have in the air at once, so that somebody is left
        customers: 120,
        faults: vec!["dot:554:to=*@post.example:text=5.7.1 Message refused by policy"],
        campaign: campaign_file("suspend_for = \"1h\""),
        ..Plan::default()
    })
    .await;
    let (running, soft) = (house.engine.clone(), CancellationToken::new());
    let stop = soft.clone();
    let run = tokio::spawn(async move { running.run(CAMPAIGN, &Silent, &stop).await });
    let told = async || house.engine.status(CAMPAIGN).await.unwrap().deliveries;
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        let mut before = told().await;
        loop {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let now = told().await;
            if now == before && now.told > 0 && now.in_flight == 0 {
                break;
            }
            before = now;
        }
    });
    waited.await.unwrap();
    let deliveries = told().await;
    soft.cancel();
    run.await.unwrap().unwrap();
    let refused = house.sink.counts().refused_dot;
    let taken = house.taken();
    let elsewhere = taken.iter().filter(|(_, to, _)| !to.ends_with("@post.example"));
    assert_eq!(deliveries.told, elsewhere.count() as u64, "all others are told: {deliveries:?}");
    // each of 8 connections may take one more before the first answer is recorded
    assert!((1..=16).contains(&refused), "{refused} were on their way, and no more were tried");
    assert!(deliveries.queued > 0 && deliveries.balances(), "{deliveries:?}");
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert!(status.suspended.is_empty(), "the lane of all others runs on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_takes_so_many_a_session_costs_a_connection_and_no_waiting() {
    let mut house = House::furnished(Plan {
        customers: 40,
        campaign: campaign_file("").replace("schedule = [\"1s\"]", "schedule = [\"1h\"]"),
        ..Plan::default()
    })
    .await;
    let settings = Settings {
        store: MailStore::Maildir(house.path("maildir")),
        faults: ["mail:452:share=0.2:text=4.5.3 Too many messages sent".parse().unwrap()]
            .into_iter()
            .collect(),
        seed: 5,
        ..Settings::counting("127.0.0.1:0".parse().unwrap())
    };
    let sink = Sink::start(settings).await.unwrap();
    house.engine.relay.port = sink.addr().port();
    house.engine.relay.connections = 1;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let (running, soft) = (house.engine.clone(), CancellationToken::new());
    let stop = soft.clone();
    let run = tokio::spawn(async move { running.run(CAMPAIGN, &Silent, &stop).await });
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while house.engine.status(CAMPAIGN).await.unwrap().deliveries.queued > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap();
    soft.cancel();
    run.await.unwrap().unwrap();
    let counts = sink.counts();
    assert!(counts.refused_mail > 0);
    assert!(counts.connections > 1, "a session that is used up is left");
    // Whoever met it is due within a minute, not in the hour of the schedule.
    let filter = DeliveryFilter { class: Some("deferred".into()), ..DeliveryFilter::default() };
    let deferred = house.engine.deliveries(CAMPAIGN, &filter, None, 100).await.unwrap();
    let soon = house.engine.clock.now() + jiff::SignedDuration::from_mins(2);
    for person in &deferred {
        let due: jiff::Timestamp = person.due_at.as_ref().unwrap().parse().unwrap();
        assert!(due < soon, "{due}");
    }
    assert_eq!(deferred.len() as u64, counts.refused_mail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubt_held_for_an_operator_is_closed_by_resolve() {
    let house = House::ready(Plan {
        customers: 40,
        faults: vec!["drop-after-dot:to=customer4@*", "drop-after-dot:to=customer5@*"],
        campaign: campaign_file("in_doubt = { then = \"hold\" }"),
        ..Plan::default()
    })
    .await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished);
    assert_eq!(report.totals.reasons.get("in-doubt/held"), Some(&2), "{report:?}");
    let doubts = house.engine.doubts(CAMPAIGN).await.unwrap();
    let signer = house.engine.signer(crate::harness::person("ann")).await.unwrap();
    let one = [doubts[0]];
    house.engine.resolve(CAMPAIGN, &one, Verdict::Accepted, "relay log", &signer).await.unwrap();
    let other = [doubts[1]];
    house.engine.resolve(CAMPAIGN, &other, Verdict::NotSent, "relay log", &signer).await.unwrap();
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert_eq!((status.deliveries.in_doubt, status.deliveries.queued), (0, 1));
    assert!(status.deliveries.balances());
    let refused = house.engine.resolve(CAMPAIGN, &one, Verdict::Waive, "again", &signer).await;
    assert!(refused.unwrap_err().to_string().contains("not in doubt"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_sends_to_loopback_only() {
    let house = House::ready(Plan::default()).await;
    let mut engine = house.engine.clone();
    engine.relay.host = "192.0.2.1".into();
    let refused =
        engine.run(CAMPAIGN, &Silent, &CancellationToken::new()).await.unwrap_err().to_string();
    assert!(refused.contains("relay"), "{refused}");
    let refused = engine.check_relay(forthwith::domain::track::Environment::Rehearsal).await;
    assert!(refused.unwrap_err().to_string().contains("loopback only"));
}
