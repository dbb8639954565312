//! Every kind of person: what the seal makes of their address, who shares one, who is told where, and that
//! the sums hold at each step.

mod groups;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::report::Status;

use crate::harness::link::{PAGE, link_file};
use crate::harness::tampering::query;
use crate::harness::{CAMPAIGN, House, INCIDENT, Plan, campaign_file, write};

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
