//! Waves that hold people whom no mail of theirs reaches: named in another's notice, or told otherwise.

use std::fmt::Write as _;

use forthwith::domain::amendment::{Change, Channel};
use forthwith::domain::track::Track;
use forthwith::engine::tracks::Patience;

use super::{Launch, ended, file, run};
use crate::harness::{CAMPAIGN, House, INCIDENT, Plan, person, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wave_whose_people_are_named_in_a_later_ones_notice_holds_up_nobody() {
    let tail = "[[cohort]]\nname = \"eu\"\nregions = [\"DE\"]\n\
                [[wave]]\nname = \"first\"\ncohorts = [\"eu\"]\n[[wave]]\nname = \"rest\"\n\
                [[gate]]\nname = \"dns\"\ntext = \"DNS is checked\"\nwave = \"rest\"\n";
    let campaign =
        file("", tail).replace("name = \"name\" }", "name = \"name\", region = \"region\" }");
    let house = House::furnished(Plan { customers: 1, campaign, ..Plan::default() }).await;
    let mut rows = "customer_id,name,email,region\n".to_owned();
    for n in 0..7 {
        let region = if n == 0 { "US" } else { "DE" };
        writeln!(rows, "{n},Ada,all@a.example,{region}").unwrap();
    }
    for n in 7..10 {
        writeln!(rows, "{n},Ada,{n}@a.example,US").unwrap();
    }
    write(&house.path("affected.csv"), &rows);
    let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
    write(&house.engine.workspace.incident_file("cold-night").0, &incident);
    house.seal().await;
    house.approve(Track::Notice).await;
    let waves = house.status().await.waves;
    assert_eq!((waves[0].people, waves[1].people), (6, 4), "{waves:?}");

    let report = ended(run(&house, Patience::Ends).0).await;
    assert!(report.is_at_gate, "the gate alone stands before the second wave: {report:?}");
    assert_eq!(house.status().await.waves[1].waits_for, ["evidence for dns"]);
    let signer = house.engine.signer(person("ann")).await.unwrap();
    house.engine.pass_gate(CAMPAIGN, "dns", "looked it up", &signer).await.unwrap();
    let report = ended(run(&house, Patience::Ends).0).await;
    assert!(report.is_finished && report.totals.told == 10, "{report:?}");
    assert_eq!(house.taken().len(), 4, "one notice for seven");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wave_whose_people_are_told_by_another_channel_holds_up_nobody() {
    let house = Launch {
        people: &[("a.example", 3), ("b.example", 5)],
        cohorts: &[("a", "canary")],
        ..Launch::default()
    }
    .ready()
    .await;
    for n in 1..=3 {
        house.amended(&format!("{n}-a.example"), Change::ChangeChannel(Channel::Post)).await;
    }
    let report = ended(run(&house, Patience::Ends).0).await;
    assert!(report.is_finished && report.totals.told == 5, "{report:?}");
}
