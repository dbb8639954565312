//! Every reply text of the research (providers' own, and what the common servers say), read as a
//! worker reads it: nobody with a policy 5yz is written off, everybody with a true 5.1.1 is.

mod texts;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use forthwith::domain::delivery::{
    AttemptKey, AttemptResult, DeliveryClass, FallbackReason, Outcome,
};
use forthwith::domain::pace::{PaceOverrides, PaceSetting, PaceTable};
use forthwith::domain::provider::ProviderTable;
use forthwith::domain::reply::{Blame, Phase, ReplyClass, ReplyRules, SmtpReply};
use forthwith::domain::track::Track;
use forthwith::engine::notify::outcome::{Attempt, Rules, of_transaction};
use forthwith::engine::notify::pace::{Pace, Slot};
use forthwith::engine::people::People;
use forthwith::mail::transaction::Transaction;
use forthwith::store::deliveries::{DeliveryState, Move};
use forthwith::store::reports::DeliveryFilter;
use jiff::{SignedDuration, Timestamp};

use texts::{REPLIES, Told};

use crate::harness::{CAMPAIGN, House, Plan, binary, campaign_file};

/// The reply as the dialogue hands it on.
fn reply(told: &Told) -> SmtpReply {
    SmtpReply::parse(told.reply).unwrap()
}

/// What a worker makes of one reply.
struct Read {
    outcome: Outcome,
    class: ReplyClass,
    action: String,
    after: Move,
}

/// Reads it and moves a queued person by it, as connection and recorder do.
fn read(told: &Told, people: &People, rules: &Rules) -> Read {
    let (phase, now) = (Phase::parse(told.phase).unwrap(), Timestamp::UNIX_EPOCH);
    let end = Transaction::Refused { phase, reply: reply(told) };
    let outcome = of_transaction(people, &rules.replies, told.provider, 1, &end, now);
    let attempt = Attempt {
        key: AttemptKey { number: 1, generation: 1, n: 1 },
        from: DeliveryClass::Queued,
        state: DeliveryState::default(),
        dated_at: now,
        person: String::new(),
        epoch: 1,
        stood_still: SignedDuration::ZERO,
    };
    let ended = rules.end(people, &attempt, outcome.clone(), 0.0);
    Read {
        class: outcome.class.unwrap(),
        action: rules.action(&outcome).to_string(),
        after: ended.change.unwrap(),
        outcome,
    }
}

/// What is wrong with the reading, if anything is.
fn judge(told: &Told, read: &Read) -> Option<String> {
    let is_dead = read.after.to == DeliveryClass::Fallback(FallbackReason::Bounced);
    let should_be_dead = told.class == "address-dead";
    let does = read.action.contains(told.does) && read.action.is_empty() == told.does.is_empty();
    let stays = should_be_dead || read.after.to == DeliveryClass::Deferred;
    let is_right = read.class.word() == told.class && is_dead == should_be_dead && does && stays;
    (!is_right).then(|| {
        format!(
            "{}: {}, {:?}, {}; wanted {}, {:?}",
            told.reply, read.class, read.action, read.after.to, told.class, told.does
        )
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the table is what the test is asked for")]
async fn nobody_with_a_policy_5yz_is_dead_and_every_true_unknown_user_is() {
    let house = House::furnished(Plan { customers: 5, ..Plan::default() }).await;
    house.seal().await;
    let (_, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let rules = Rules::of(&house.engine.campaign_file(CAMPAIGN).unwrap(), &house.engine.replies);
    let providers: ProviderTable =
        toml::from_str(include_str!("../../config/providers.toml")).unwrap();
    let mut wrong = Vec::new();
    let mut classes: BTreeMap<&str, u32> = BTreeMap::new();
    println!("{:<4} {:<8} {:<60} {:<15} action", "code", "status", "text", "class");
    for told in REPLIES {
        assert_eq!(providers.lookup(told.domain).as_str(), told.provider);
        let (reply, read) = (reply(told), read(told, &people, &rules));
        let (class, line) = (read.class, &read.after.line);
        let status = read.outcome.enhanced.clone().unwrap_or_default();
        let words: String = reply.text().chars().take(60).collect();
        println!(
            "{:<4} {status:<8} {words:<60} {:<15} {}",
            reply.code(),
            class.word(),
            read.action
        );
        *classes.entry(class.word()).or_default() += 1;
        wrong.extend(judge(told, &read));
        if read.outcome.result == AttemptResult::Policy {
            assert!(reply.code() >= 500 && class != ReplyClass::AddressDead, "{words}");
        }
        if class.blame() == Blame::Sender {
            let moved = read.after.state.first_attempt_at > Some(Timestamp::UNIX_EPOCH);
            assert!(moved, "the window stands still: {words}");
        }
        assert!(line.contains(&format!(r#""class":"{class}""#)), "{line}");
        assert!(!line.contains("company.example"), "no words in the ledger");
    }
    println!("{} replies: {classes:?}", REPLIES.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), REPLIES.len(), wrong.join("\n"));
    for class in ReplyClass::all() {
        let seen = classes.contains_key(class.word());
        assert!(seen || class == ReplyClass::Accepted, "no reply is read as {class}");
    }
}

/// Two of the shop's four domains belong to one provider, the others to lane `other`.
const PROVIDERS: &str = "[provider.shop]\ndomains = [\"mail.example\", \"post.example\"]\n\
                         messages_per_connection = 1000\n\
                         [provider.other]\nmessages_per_connection = 1000\n";

async fn house(customers: u32, more: &str, faults: Vec<&'static str>) -> House {
    let plan = Plan { customers, faults, campaign: campaign_file(more), ..Plan::default() };
    let mut house = House::furnished(plan).await;
    house.engine.providers = Arc::new(toml::from_str(PROVIDERS).unwrap());
    // One connection serves the two lanes in turn, so the order of replies is known.
    house.engine.relay.connections = 1;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house
}

async fn ledger(house: &House, kind: &str) -> Vec<String> {
    let kind = format!(r#""kind":"{kind}""#);
    let lines = house.engine.store.ledger_lines(0, 10_000).await.unwrap();
    lines.into_iter().map(|(_, line)| line).filter(|line| line.contains(&kind)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_the_relay_refuses_pauses_the_campaign_before_anybody_is_hurt() {
    let refusal = "mail:550:text=5.1.8 <n@brand.example>: Sender address rejected";
    let house = house(60, "", vec![refusal]).await;
    let told = house.run().await.unwrap_err().to_string();
    assert!(told.contains("paused itself, 0 told so far"), "{told}");
    assert!(
        told.contains("550 5.1.8 at mail") && told.contains("hint: check `notice.from`"),
        "{told}"
    );
    assert!(!told.contains("brand.example"), "the server's words stay out of it: {told}");
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert_eq!((status.notice, status.pause_cause), ("paused", Some("configuration")));
    assert_eq!((status.deliveries.in_flight, status.deliveries.told), (0, 0));
    assert_eq!(status.deliveries.reasons.get("fallback/bounced"), None);
    let waiting = status.deliveries.queued + status.deliveries.deferred;
    assert_eq!(waiting, status.deliveries.machine_open(), "{:?}", status.deliveries);
    assert!(status.deliveries.balances());
    let tracks = ledger(&house, "track").await;
    let paused = |line: &String| line.contains(r#""to":"paused""#) && line.contains("notice");
    assert!(tracks.iter().any(paused), "{tracks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_odd_server_does_not_pause_a_campaign_that_others_take() {
    let refusal =
        "rcpt:554:to=*@inbox.example:times=1:text=5.7.1 <x@y.example>: Relay access denied";
    let house = house(80, "suspend_for = \"1s\"", vec![refusal]).await;
    // The lanes take turns, so provider `shop` has taken a notice before the second refusal; had
    // nobody, three of them would be enough.
    let report = house.run().await;
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    match report {
        Ok(report) => assert!(report.is_finished, "{report:?}"),
        Err(error) => panic!("{error}: {status:?}"),
    }
    assert_eq!(status.deliveries.reasons.get("fallback/bounced"), None);
    let attempts = ledger(&house, "attempt").await;
    let refused = |line: &&String| line.contains(r#""class":"relay-auth""#);
    assert!(attempts.iter().filter(refused).count() >= 5, "they were refused, and told later");
    let lanes = ledger(&house, "lane").await;
    assert!(lanes.iter().all(|line| line.contains(r#""provider":"other""#)), "{lanes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_asks_for_less_is_slowed_and_stays_so_over_a_restart() {
    let text = "dot:421:to=*@mail.example:times=1:text=4.7.28 an unusual rate of unsolicited mail";
    let mut house = house(40, "", vec![text]).await;
    let own = "[[rule]]\nname = \"google-unusual-rate\"\nsource = \"test\"\nclass = \"rate\"\n\
               text = \"unusual rate\"\nafter = { count = 2, within = \"1h\" }\n\
               slow = { per_minute = 600, for = \"30m\" }\n";
    let shipped = include_str!("../../config/replies.toml");
    let (shipped, own) = (toml::from_str(shipped).unwrap(), toml::from_str(own).unwrap());
    house.engine.replies = Arc::new(ReplyRules::new(shipped, Some(own)).unwrap());
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    let slowed = status.slowed.first().expect("the provider is shown as slowed");
    assert_eq!((slowed.provider.as_str(), status.slowed.len()), ("shop", 1));
    assert!(slowed.per_minute <= 600.0, "{slowed:?}");
    let lanes = ledger(&house, "lane").await;
    let line = |line: &String| {
        line.contains(r#""to":"slowed""#)
            && line.contains(r#""class":"rate""#)
            && line.contains(r#""code":421"#)
    };
    assert!(lanes.iter().any(line), "{lanes:?}");

    // The next worker starts with the same brake, for this provider alone.
    let (row, _) = house.engine.people(CAMPAIGN).await.unwrap();
    let limits =
        PaceTable::of(PaceSetting::default(), &house.engine.providers, &PaceOverrides::new());
    let pace = Pace::new(&limits, 100);
    forthwith::engine::notify::brake::restore(&house.engine, row.id, &pace).await.unwrap();
    assert!(matches!(pace.provider_slot("shop", "mail.example"), Slot::Now));
    assert!(matches!(pace.provider_slot("shop", "mail.example"), Slot::In(_)));
    assert!(matches!(pace.provider_slot("other", "inbox.example"), Slot::Now));
    assert!(matches!(pace.provider_slot("other", "inbox.example"), Slot::Now));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_stops_nobody_else_and_its_story_names_the_class() {
    let full = "rcpt:552:to=customer4@*:times=1:text=5.2.2 Mailbox full";
    let house = house(40, "", vec![full]).await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    assert!(ledger(&house, "lane").await.is_empty(), "no lane was suspended");
    let mut classes = Vec::new();
    let everybody = DeliveryFilter::default();
    for person in house.engine.deliveries(CAMPAIGN, &everybody, None, 100).await.unwrap() {
        let story = house.engine.story(CAMPAIGN, person.number).await.unwrap();
        classes.extend(story.attempts.iter().filter_map(|attempt| {
            attempt.class.map(|class| (class, attempt.result, attempt.code))
        }));
    }
    assert_eq!(classes, [("mailbox-full", Some("deferred"), Some(552))]);
}

fn forthwith(folder: &std::path::Path, words: &[&str]) -> std::process::Output {
    binary().current_dir(folder).args(words).output().unwrap()
}

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn explain_says_class_blame_rule_source_and_action() {
    let folder = tempfile::tempdir().unwrap();
    let explain = |words: &[&str]| {
        let all: Vec<&str> = ["reply", "explain"].iter().chain(words).copied().collect();
        forthwith(folder.path(), &all)
    };
    let reply =
        "421-4.7.28 Our system has detected an unusual rate of\n421 4.7.28 unsolicited mail";
    let told = stdout(&explain(&["--phase", "dot", "--provider", "gmail", reply]));
    for word in [
        "421",
        "4.7.28",
        "rate: we send too much or too fast",
        "sender",
        "deferred",
        "google-unusual-rate",
        "KumoMTA",
        "after 2 within 1h: 10 a minute for 30m",
    ] {
        assert!(told.contains(word), "{word}\n{told}");
    }
    let dead = explain(&["--phase", "rcpt", "--json", "550-5.1.1 <ann@x.example> no such user"]);
    let told: serde_json::Value = serde_json::from_slice(&dead.stdout).unwrap();
    assert_eq!((&told["class"], &told["rule"]), (&"address-dead".into(), &"no-such-user".into()));
    assert_eq!((&told["blame"], &told["result"]), (&"person".into(), &"refused".into()));
    assert!(!stdout(&dead).contains("ann@"), "the reply's words are not repeated");
    let general = stdout(&explain(&["--phase", "dot", "554 no reason"]));
    assert!(general.contains("permanent") && general.contains("docs/protocol.md"), "{general}");
    assert!(general.contains("suspended for the campaign's suspend_for"), "{general}");
    for (words, hint) in [
        (vec!["--phase", "rcpt", "no such user"], "begin with its code"),
        (vec!["--phase", "rcpt", "--provider", "gmial", "550 no"], "one of apple, comcast"),
    ] {
        let refused = explain(&words);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn list_prints_the_table_in_force_own_rules_first_and_check_names_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let own = "[[rule]]\nname = \"ours\"\nsource = \"our postmaster\"\nclass = \"policy\"\n\
               text = \"[X1]\"\nsuspend_for = \"3h\"\n";
    std::fs::write(folder.path().join("replies.toml"), own).unwrap();
    let listed = stdout(&forthwith(folder.path(), &["reply", "list", "--json"]));
    let rows: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0]["name"], "ours");
    assert_eq!(rows[0]["action"], "the provider is suspended for 3h");
    assert!(rows.iter().any(|row| row["name"] == "outlook-block-list" && row["text"] != ""));
    assert!(rows.iter().all(|row| row["source"] != "" && row["class"] != ""));
    let table = stdout(&forthwith(folder.path(), &["reply", "list"]));
    assert!(table.lines().count() > rows.len() && table.contains("yahoo-tss04"), "{table}");
    let checked = forthwith(folder.path(), &["config", "check"]);
    assert!(
        checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains("1 files")
    );

    let bad = format!(
        "{own}\n[[rule]]\nname = \"b\"\nsource = \"s\"\nclass = \"policy\"\ncod = \"5yz\"\n"
    );
    std::fs::write(folder.path().join("replies.toml"), bad).unwrap();
    let checked = forthwith(folder.path(), &["config", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = stdout(&checked);
    assert!(told.contains("[replies.toml:12:1]") && told.contains("no key `cod`"), "{told}");
}
