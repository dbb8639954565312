//! Every kind of person: what the seal makes of their address, who shares one, who is told where, and that
//! the sums hold at each step.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use forthwith::domain::delivery::{DeliveryClass, FallbackReason, HeldReason};
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::report::Status;
use forthwith::engine::resolve::Verdict;
use forthwith::store::credentials::Pick;
use forthwith::store::deliveries::{Claimant, DeliveryState, Flush, Lane, Move, NewIntent};
use jiff::{SignedDuration, Timestamp};

use crate::harness::link::{PAGE, link_file};
use crate::harness::tampering::{execute, query};
use crate::harness::{ANN, CAMPAIGN, House, INCIDENT, Plan, campaign_file, person, write};

const HEADER: &str = "customer_id,name,email,former,changed,proved,region\n";
/// After the incident's window began.
const CHANGED: &str = "2012-01-14T12:00:00Z";

const ADDRESSES: &str = r#"
[addresses]
own_domains = [".northwind.example"]
dead_domains = ["gone.example"]
suppressed = "stop.txt"
dormant_after = "730d"
"#;

fn mapped(file: &str) -> String {
    file.replace(
        "name = \"name\" }",
        "name = \"name\", address_before = \"former\", address_changed_at = \"changed\", \
         last_verified_on = \"proved\", region = \"region\" }",
    )
}

/// A house whose audience are these rows.
async fn house_of(rows: &str, file: &str, faults: Vec<&'static str>) -> House {
    let campaign = mapped(file);
    let house = House::furnished(Plan { faults, campaign, ..Plan::default() }).await;
    let incident =
        INCIDENT.replace("support_email", &format!("reset_url = \"{PAGE}\"\nsupport_email"));
    write(&house.path("incidents/cold-night/incident.toml"), &incident);
    write(&house.path("affected.csv"), &format!("{HEADER}{rows}"));
    write(&house.path("stop.txt"), "# asked us\nStop1@post.example\nstop2@post.example\n");
    house
}

async fn ready(rows: &str, file: &str, faults: Vec<&'static str>) -> House {
    let house = house_of(rows, file, faults).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house
}

/// The status, its sums checked, and every class counted again from the rows themselves.
async fn sums(house: &House) -> Status {
    let status = house.status().await;
    assert!(status.source.balances() && status.deliveries.balances(), "{status:?}");
    let counted: Vec<(i64, String, i64)> = query(
        &house.database(),
        "SELECT r.copy_of IS NOT NULL,
                COALESCE(d.class || CASE d.reason WHEN '' THEN '' ELSE '/' || d.reason END, 'queued'),
                COUNT(*)
         FROM recipient AS r LEFT JOIN delivery AS d ON d.number = r.number
         GROUP BY 1, 2",
    )
    .await;
    let people: BTreeMap<String, u64> = counted
        .iter()
        .filter(|(copy, label, _)| *copy == 0 && label != "queued" && label != "deferred")
        .map(|(_, label, count)| (label.clone(), count.unsigned_abs()))
        .collect();
    assert_eq!(people, status.deliveries.reasons, "{status:?}");
    let copies: i64 = counted.iter().filter(|(copy, ..)| *copy == 1).map(|(.., n)| n).sum();
    assert_eq!(status.deliveries.copies.sealed, copies.unsigned_abs());
    let carried: Vec<(i64, i64)> = query(
        &house.database(),
        "SELECT (SELECT SUM(carried_queued + carried_deferred) FROM chunk),
                (SELECT COUNT(*) FROM follower AS f LEFT JOIN delivery AS d ON d.number = f.number
                 WHERE f.kind = 'carried' AND COALESCE(d.class, 'queued') IN ('queued', 'deferred'))",
    )
    .await;
    assert_eq!(carried[0].0, carried[0].1, "those who wait for a carrier are counted by chunk");
    status
}

fn reason(status: &Status, label: &str) -> u64 {
    status.deliveries.reasons.get(label).copied().unwrap_or(0)
}

/// How often an address was written to.
fn mails_to(house: &House, address: &str) -> usize {
    house.taken().iter().filter(|(_, to, _)| to.contains(address)).count()
}

fn account(n: usize) -> String {
    format!("C{n:07}")
}

/// `count` accounts from `first` on at one address.
fn at_one(first: usize, count: usize, address: &str) -> String {
    (first..first + count).fold(String::new(), |mut text, n| {
        writeln!(text, "{},Ana Almeida,{address},,,,", account(n)).unwrap();
        text
    })
}

/// 127 people, with every reason an address can have.
fn everybody() -> String {
    let mut rows = String::new();
    let mut n = 0;
    let mut add = |count: usize, rest: &str| {
        for _ in 0..count {
            n += 1;
            writeln!(rows, "{},Ana Almeida,{}", account(n), rest.replace('#', &n.to_string()))
                .unwrap();
        }
    };
    add(5, &format!("new#@elsewhere.example,former#@post.example,{CHANGED},,"));
    add(40, "plain#@post.example,,,,");
    add(2, ",,,,");
    add(3, "n/a,,,,");
    add(1, "stop1@post.example,,,,");
    add(1, "STOP2@post.example,,,,");
    add(2, "own#@mail.northwind.example,,,,");
    add(2, "dead#@gone.example,,,,");
    add(1, "never#@somewhere.invalid,,,,");
    add(4, &format!("suspect#@post.example,,{CHANGED},,"));
    add(3, "old#@post.example,,,2009-01-01,");
    add(1, &format!("own#@northwind.example,former#@post.example,{CHANGED},,"));
    add(3, "trio@post.example,,,,");
    add(7, "group@post.example,,,,");
    add(52, "crowd@post.example,,,,");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_person_has_a_place_in_the_sums_and_is_told_where_they_should_be() {
    let house = ready(&everybody(), &campaign_file(ADDRESSES), Vec::new()).await;
    let status = sums(&house).await;
    assert_eq!((status.source.rows, status.source.sealed), (127, 127));
    for (label, count) in [
        ("fallback/address:missing", 2),
        ("fallback/address:invalid", 3),
        ("fallback/address:suppressed", 2),
        ("fallback/address:own-mailbox", 2),
        ("fallback/address:dead-domain", 3),
        ("held/shared", 52),
    ] {
        assert_eq!(reason(&status, label), count, "{label}");
    }
    assert_eq!(status.deliveries.queued, 40 + 4 + 3 + 5 + 1 + 3 + 7);
    assert_eq!(status.deliveries.copies.machine_open, 5);

    let sealed: Vec<String> =
        house.ledger_lines().await.into_iter().filter(|line| line.contains("\"sealed\"")).collect();
    for count in ["\"address:ok\":108", "\"address:suspect\":4", "\"address:dormant\":3"] {
        assert!(sealed[0].contains(count), "{count} {sealed:?}");
    }
    for count in ["\"copies\":5", "\"carried\":6", "\"canary\":0", "\"address:dead-domain\":3"] {
        assert!(sealed[0].contains(count), "{count} {sealed:?}");
    }
    let rules: Vec<(String, i64)> =
        query(&house.database(), "SELECT rules, copies FROM seal").await;
    assert!(rules[0].0.contains("\"own_domains\":[\".northwind.example\"]"), "{rules:?}");
    assert_eq!(rules[0].1, 5);

    let crowded = house.engine.worklist(CAMPAIGN).await.unwrap();
    let crowded: Vec<_> = crowded.iter().map(|one| (one.address.as_str(), one.accounts)).collect();
    assert_eq!(crowded, [("c***@p***.example", 52)]);

    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!(status.deliveries.told, 63);
    assert_eq!((reason(&status, "told/accepted"), reason(&status, "told/carrier")), (57, 6));
    assert_eq!((status.deliveries.copies.told, status.deliveries.copies.open()), (5, 0));
    assert_eq!(mails_to(&house, "group@"), 1);
    assert_eq!(mails_to(&house, "trio@"), 3);
    assert_eq!(mails_to(&house, "former"), 6);
    assert_eq!(mails_to(&house, "elsewhere.example"), 5);
    for never in ["crowd@", "northwind.example", "gone.example", "invalid", "top1@", "TOP2@"] {
        assert_eq!(mails_to(&house, never), 0, "{never}");
    }
    assert_eq!(house.taken().len(), 57 + 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspect_and_dormant_addresses_and_copies_get_no_link_and_the_earlier_address_does() {
    let house = ready(&everybody(), &link_file(ADDRESSES), Vec::new()).await;
    assert!(house.run().await.unwrap().is_finished);
    sums(&house).await;
    // Who has a password to replace and an address that is surely theirs, and nobody else.
    let people: Vec<(i64, i64, i64, i64)> = query(
        &house.database(),
        "SELECT COUNT(*) FILTER (WHERE t.number IS NOT NULL),
                COUNT(*) FILTER (WHERE r.address_reason = 'ok' AND r.copy_of IS NULL
                                   AND d.reason = 'accepted' AND c.class = 'expired'),
                COUNT(*) FILTER (WHERE t.number IS NOT NULL
                                   AND (r.address_reason <> 'ok' OR r.copy_of IS NOT NULL)),
                COUNT(*) FILTER (WHERE t.number IS NOT NULL AND r.number IN
                                   (SELECT o.copy_of FROM recipient AS o))
         FROM recipient AS r
         LEFT JOIN reset_token AS t ON t.number = r.number
         LEFT JOIN delivery AS d ON d.number = r.number
         LEFT JOIN credential AS c ON c.number = r.number",
    )
    .await;
    let (linked, entitled, wrongly, earlier) = people[0];
    assert_eq!((linked, wrongly), (entitled, 0));
    assert!(linked > 30 && earlier >= 4, "{people:?}: at the address before the change too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_takes_its_copy_along_and_a_duplicate_leaves_none() {
    let moved = format!("Ana,new@elsewhere.example,former@post.example,{CHANGED},,");
    let other = format!("Ana,newer@elsewhere.example,former@post.example,{CHANGED},,");
    let rows = format!(
        "C0000001,{moved}\nC0000001,{moved}\nC0000002,{moved}\nC0000002,{other}\n\
         C0000003,Ana,shared@post.example,,,,\nC0000003,Bea,shared@post.example,,,,\n"
    );
    let house = house_of(&rows, &campaign_file("[addresses]\ncombine_above = 1"), Vec::new()).await;
    house.seal().await;
    let status = sums(&house).await;
    let source = status.source;
    assert_eq!((source.sealed, source.duplicates, source.conflicts), (3, 1, 2));
    assert_eq!((reason(&status, "held/conflict"), status.deliveries.queued), (2, 1));
    let copies = status.deliveries.copies;
    assert_eq!((copies.sealed, copies.machine_open, copies.person_open), (2, 1, 1));
    assert_eq!(house.delivery_of("C0000002").await, ("held", "conflict".into()));
}

/// The group of seven after a run against a relay that plays these faults.
async fn group_after(file: &str, faults: Vec<&'static str>) -> (House, Status) {
    let rows = at_one(1, 7, "group@post.example") + &at_one(8, 1, "other@post.example");
    let house = ready(&rows, file, faults).await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let status = sums(&house).await;
    (house, status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_a_carriers_notice_becomes_of_all_it_names() {
    let file = campaign_file("");
    let dead = vec!["rcpt:550:to=group@*:text=5.1.1 no such user"];
    let (house, status) = group_after(&file, dead).await;
    assert_eq!((reason(&status, "fallback/bounced"), status.deliveries.told), (7, 1));
    let bounced = house.ledger_lines().await;
    let bounced = bounced.iter().filter(|line| line.contains("\"to\":\"fallback/bounced\""));
    assert_eq!(bounced.count(), 7, "a line each");

    let (house, status) = group_after(&file, vec!["rcpt:451:to=group@*:times=1"]).await;
    assert_eq!((reason(&status, "told/accepted"), reason(&status, "told/carrier")), (2, 6));
    let lines = house.ledger_lines().await;
    let deferred = lines.iter().filter(|line| line.contains("\"to\":\"deferred\"")).count();
    assert_eq!(deferred, 7);
    assert_eq!(mails_to(&house, "group@"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carriers_doubt_is_everybodys_and_ends_for_everybody_at_once() {
    let file = campaign_file("[in_doubt]\nthen = \"hold\"");
    let doubtful = vec!["drop-before-dot:to=nobody@*", "drop-after-dot:to=group@*:times=1"];
    let (house, status) = group_after(&file, doubtful).await;
    assert_eq!(reason(&status, "in-doubt/held"), 7);
    // asked for a carried account and for all of them: it is one doubt
    let numbers = house.engine.doubts(CAMPAIGN).await.unwrap();
    assert_eq!(numbers.len(), 7);
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let settled =
        house.engine.resolve(CAMPAIGN, &numbers[3..], Verdict::NotSent, "relay log", &signer).await;
    assert_eq!(settled.unwrap().moved, 7);
    assert_eq!(sums(&house).await.deliveries.queued, 7);
    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((reason(&status, "told/carrier"), mails_to(&house, "group@")), (6, 2));
}

fn claimant(now: Timestamp) -> Claimant {
    let until = now + SignedDuration::from_mins(1);
    Claimant { worker: "00000000-0000-7000-8000-000000000001".into(), incarnation: 1, now, until }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_with_a_carriers_notice_on_its_way_leaves_one_doubt_for_the_group() {
    let rows = at_one(1, 7, "group@post.example") + &at_one(8, 1, "other@post.example");
    let house = ready(&rows, &campaign_file(""), Vec::new()).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let store = &house.engine.store;
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let now = house.engine.clock.now();
    let lane: Lane = store.runnable_lanes(campaign, now).await.unwrap().remove(0).lane;
    let lease = store.claim(campaign, &lane, &claimant(now), 1).await.unwrap().remove(0);
    let loaded = store.load(campaign, &lease).await.unwrap();
    let carried: Vec<_> = loaded.iter().filter(|row| row.carrier.is_some()).collect();
    assert_eq!(carried.len(), 6);
    assert!(carried.iter().all(|row| row.carrier == Some(loaded[0].number)));
    assert_eq!((loaded[0].at_address, loaded[0].carried.len()), (7, 6));
    assert!(loaded[0].carried.iter().all(|one| one.contains_key("password")), "{:?}", loaded[0]);

    let intent = |number| NewIntent {
        key: forthwith::domain::delivery::AttemptKey { number, generation: 1, n: 1 },
        dated_at: now,
        content: [7; 32],
        from: DeliveryClass::Queued,
        epoch: lease.epoch,
        segment: 0,
        relay: "relay".into(),
        token: None,
        amendments: 0,
        carried: if number == loaded[0].number { 6 } else { 0 },
    };
    // Even who overlooks that a row is carried starts nothing for it.
    let intents = vec![intent(loaded[0].number), intent(carried[2].number)];
    let flush = Flush { intents, ..Flush::default() };
    let flushed = store.flush(campaign, &claimant(now), flush).await.unwrap();
    let refused: Vec<u64> = flushed.refused.iter().map(|key| key.number).collect();
    assert_eq!(refused, [carried[2].number]);
    assert_eq!(sums(&house).await.deliveries.in_flight, 1);

    // Its journal is gone, so nobody knows: the rescue moves all seven into doubt, the policy out of it
    // again, and since that notice was another than the one that would go out now, all are held.
    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((reason(&status, "held/content"), status.deliveries.told), (7, 1));
    let lines = house.ledger_lines().await;
    for step in ["\"to\":\"in-doubt/due\"", "\"to\":\"queued\"", "\"to\":\"held/content\""] {
        assert_eq!(lines.iter().filter(|line| line.contains(step)).count(), 7, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_is_withdrawn_or_moves_away_hands_over_to_the_next_number() {
    let rows = at_one(1, 7, "group@post.example") + &at_one(11, 7, "second@post.example");
    let house = ready(&rows, &campaign_file(""), Vec::new()).await;
    let store = &house.engine.store;
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let number = async |n| house.engine.find(CAMPAIGN, &account(n)).await.unwrap()[0];
    let step = |number: u64, from: DeliveryClass, to: DeliveryClass| Move {
        number,
        from,
        state: DeliveryState { class: to.clone(), ..DeliveryState::default() },
        to,
        line: "{}".into(),
    };
    let (queued, held) = (DeliveryClass::Queued, DeliveryClass::Held(HeldReason::Operator));
    let apply =
        async |moves: Vec<Move>| store.apply(campaign, moves, Vec::new()).await.unwrap().len();

    let first = number(1).await;
    assert_eq!(apply(vec![step(first, queued.clone(), DeliveryClass::Withdrawn)]).await, 1);
    assert_eq!(
        house.engine.story(CAMPAIGN, number(3).await).await.unwrap().carrier,
        Some(number(2).await)
    );
    sums(&house).await;
    // a carried account's own end is its own
    let by_post = DeliveryClass::Fallback(FallbackReason::Channel);
    assert_eq!(apply(vec![step(number(4).await, queued.clone(), by_post)]).await, 1);
    // holding a carried account holds its carrier, and so all of them; asked twice it is one hold
    let mut moves = Vec::new();
    for n in [3, 5] {
        moves.push(step(number(n).await, queued.clone(), held.clone()));
    }
    assert_eq!(apply(moves).await, 5);
    assert_eq!(reason(&sums(&house).await, "held/operator"), 5);
    assert_eq!(apply(vec![step(number(7).await, held, queued.clone())]).await, 5);

    // before its address is changed a carrier hands over, and a carried account goes alone
    let eleven = number(11).await;
    assert_eq!(store.hand_over(campaign, eleven).await.unwrap(), Some(number(12).await));
    assert_eq!(store.hand_over(campaign, eleven).await.unwrap(), None, "done twice");
    assert_eq!(store.hand_over(campaign, number(17).await).await.unwrap(), None);
    sums(&house).await;

    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((status.deliveries.told, status.deliveries.withdrawn), (12, 1));
    assert_eq!(reason(&status, "told/carrier"), 4 + 4);
    assert_eq!((mails_to(&house, "group@"), mails_to(&house, "second@")), (1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_credential_holds_its_whole_group_and_a_persons_copy_until_it_is_settled() {
    let rows = at_one(1, 7, "group@post.example")
        + &format!("C0000010,Ana,new@elsewhere.example,former@post.example,{CHANGED},,\n");
    let house = house_of(&rows, &campaign_file(""), Vec::new()).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let shop = house.path("shop.db");
    let before: Vec<(String, String)> = query(
        &shop,
        "SELECT id, password_hash FROM customer WHERE id IN ('C0000003', 'C0000005', 'C0000010')",
    )
    .await;
    execute(
        &shop,
        "UPDATE customer SET password_hash = 'legacy(3):0xUNKNOWN'
         WHERE id IN ('C0000003', 'C0000005', 'C0000010')",
    )
    .await;
    house.run().await.unwrap();
    let status = sums(&house).await;
    assert_eq!(reason(&status, "held/credential"), 8, "seven at one address, and one alone");
    assert_eq!(status.deliveries.copies.person_open, 1, "the copy waits with its person");
    assert!(house.taken().is_empty());

    let mend = |id: &str| {
        let hash = &before.iter().find(|(known, _)| known == id).unwrap().1;
        format!("UPDATE customer SET password_hash = '{hash}' WHERE id = '{id}'")
    };
    execute(&shop, &mend("C0000003")).await;
    house.secure(Pick::Failed, &Silent).await.unwrap();
    assert_eq!(reason(&sums(&house).await, "held/credential"), 8, "one of the group is still open");
    execute(&shop, &mend("C0000005")).await;
    execute(&shop, &mend("C0000010")).await;
    house.secure(Pick::Failed, &Silent).await.unwrap();
    assert_eq!(sums(&house).await.deliveries.queued, 8);
    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((status.deliveries.told, status.deliveries.copies.told), (8, 1));
    assert_eq!(house.taken().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copys_end_is_never_its_persons() {
    let rows = format!("C0000010,Ana,new@elsewhere.example,former@post.example,{CHANGED},,\n");
    let faults = vec!["rcpt:550:to=new@*:text=5.1.1 no such user"];
    let house = ready(&rows, &campaign_file(""), faults).await;
    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    let copies = status.deliveries.copies;
    assert_eq!((status.deliveries.told, copies.told, copies.person_open), (1, 0, 1));
    let lines = house.ledger_lines().await;
    let marked: Vec<_> = lines.iter().filter(|line| line.contains("\"copy\":true")).collect();
    assert_eq!(marked.len(), 1);
    assert!(marked[0].contains("\"to\":\"fallback/bounced\""), "{marked:?}");
    assert_eq!(status.credentials["password/expired"], 1, "no credential of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_canary_is_drawn_within_its_bounds_and_cohorts_follow_the_regions() {
    let mut rows = String::new();
    for n in 0..3_000 {
        let region = ["US-CA", "US-NY", "DE", ""][n % 4];
        writeln!(rows, "A{n},Ana,a{n}@post.example,,,,{region}").unwrap();
    }
    let more = "[canary]\nsize = 200\n[[cohort]]\nname = \"west\"\nregions = [\"US-CA\"]\n\
                [[cohort]]\nname = \"states\"\nregions = [\"US\"]";
    let house = house_of(&rows, &campaign_file(more), Vec::new()).await;
    house.seal().await;
    let cohorts: Vec<(String, i64)> =
        query(&house.database(), "SELECT cohort, SUM(size) FROM chunk GROUP BY 1 ORDER BY 1").await;
    let of: BTreeMap<_, _> = cohorts.into_iter().collect();
    let canary = of["canary"];
    assert!((120..=200).contains(&canary), "{of:?}");
    assert_eq!(of.values().sum::<i64>(), 3_000);
    for (cohort, most) in [("west", 750), ("states", 750), ("", 1_500)] {
        assert!((most - canary..=most).contains(&of[cohort]), "{cohort} {of:?}");
    }
    sums(&house).await;

    // a tenth is the most, and a rehearsal without the section has none
    let few: String = rows.lines().take(50).fold(String::new(), |text, row| text + row + "\n");
    let house = house_of(&few, &campaign_file("[canary]"), Vec::new()).await;
    house.seal().await;
    let sql = "SELECT COALESCE(SUM(size), 0) FROM chunk WHERE cohort = 'canary'";
    let drawn: Vec<(i64,)> = query(&house.database(), sql).await;
    assert!(drawn[0].0 <= 5, "{drawn:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_changed_after_a_seal_died_loads_the_people_anew() {
    let house = house_of(&everybody(), &campaign_file(ADDRESSES), Vec::new()).await;
    let engine = house.engine.clone();
    let notes = crate::harness::tampering::Notes::with(|at, _| assert!(at != "Freezing", "died"));
    let died = tokio::spawn(async move { engine.seal(CAMPAIGN, &notes).await.map(|_| ()) }).await;
    assert!(died.unwrap_err().is_panic());
    house.edit("campaigns/thaw.toml", "gone.example", "post.example");
    house.seal().await;
    let status = sums(&house).await;
    assert_eq!(status.source.sealed, 127);
    assert!(reason(&status, "fallback/address:dead-domain") > 90, "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_cannot_be_read_are_refused_with_file_and_line() {
    for (from, to, said) in [
        ("suppressed = \"stop.txt\"", "suppressed = \"none.txt\"", "none.txt"),
        (
            "own_domains = [\".northwind.example\"]",
            "own_domains = [\"a b\"]",
            "addresses.own_domains",
        ),
        (
            "dead_domains = [\"gone.example\"]",
            "dead_domains = \"dead.txt\"",
            "entry 2 is no domain",
        ),
        ("suppressed = \"stop.txt\"", "suppressed = \"bad.txt\"", "line 2"),
    ] {
        let file = campaign_file(ADDRESSES).replace(from, to);
        let house = house_of(&everybody(), &file, Vec::new()).await;
        write(&house.path("dead.txt"), "gone.example\nnot a domain\n");
        write(&house.path("bad.txt"), "a@b.example\nsecret word@b.example\n");
        let refused = house.engine.seal(CAMPAIGN, &Silent).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
        assert!(!refused.contains("secret word"), "{refused}");
    }
}
