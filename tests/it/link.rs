//! Mode `link`: whose notice carries a link, what is kept of its token, and how long it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use forthwith::domain::clock::{Clock as _, ManualClock, SystemClock};
use forthwith::domain::credential::{CredentialClass, CredentialKind};
use forthwith::domain::delivery::{AttemptKey, DeliveryClass};
use forthwith::domain::track::Track;
use forthwith::engine::notice::{Facing, NoticeWriter};
use forthwith::engine::resolve::{Resolved, Verdict};
use forthwith::secret::token::PlainToken;
use forthwith::store::deliveries::{Claimant, Flush, NewIntent};
use forthwith::store::reports::DeliveryFilter;
use forthwith::store::tokens::{NewToken, StoredToken};
use jiff::{SignedDuration, Timestamp};
use mail_parser::MessageParser;

use crate::crash::{log_of, spawn_run, write_settings};
use crate::harness::link::{
    Log, PAGE, Row, found_in, furnished, is_digest_of, link_file, link_of, none_holds, number_of,
    papers, ready, rows, token_in,
};
use crate::harness::snapshot::Told;
use crate::harness::tampering::{hours, query, standing_clock};
use crate::harness::{CAMPAIGN, House, Plan, person};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// An intent's number, generation, n and Date.
type Intent = (i64, i64, i64, i64);

fn linked(customers: u32, faults: &[&'static str], clock: &Arc<ManualClock>, more: &str) -> Plan {
    Plan {
        customers,
        faults: faults.to_vec(),
        clock: Arc::clone(clock) as _,
        campaign: link_file(more),
        ..Plan::default()
    }
}

async fn intents(house: &House) -> Vec<Intent> {
    let sql = "SELECT number, generation, n, dated_at FROM intent ORDER BY number, generation, n";
    query(&house.database(), sql).await
}

/// Each mail the sink keeps: to whom, its Message-ID, its bytes after the sink's own headers, its link.
struct Mail {
    to: String,
    id: String,
    bytes: String,
    link: Option<String>,
}

fn mails(house: &House) -> Vec<Mail> {
    let read = |mail: String| {
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        let bytes = mail.split_once("X-Sink-Queue-Id").unwrap().1.split_once("\r\n").unwrap().1;
        Mail {
            to: parsed.to().unwrap().first().unwrap().address().unwrap().to_owned(),
            id: parsed.message_id().unwrap().to_owned(),
            bytes: bytes.to_owned(),
            link: link_of(&parsed),
        }
    };
    house.mails().into_iter().map(read).collect()
}

fn address_of(house: &House, start: &str) -> String {
    let text = std::fs::read_to_string(house.path("affected.csv")).unwrap();
    let line = text.lines().find(|line| line.contains(&format!(",{start}@"))).unwrap();
    line.rsplit(',').next().unwrap().to_owned()
}

async fn resolve(house: &House, number: i64, verdict: Verdict) -> Resolved {
    let signer = house.engine.signer(person("ann")).await.unwrap();
    let number = [u64::try_from(number).unwrap()];
    house.engine.resolve(CAMPAIGN, &number, verdict, "relay log", &signer).await.unwrap()
}

/// One thread, so that the log of this test is the whole log of its engine.
#[tokio::test]
async fn everybody_with_a_password_to_replace_gets_one_link_and_no_paper_holds_it() {
    let (log, _listening) = Log::listen();
    let clock = standing_clock();
    let house = ready(linked(60, &[], &clock, "")).await;
    house.run().await.unwrap();

    let status = house.status().await;
    let mails = mails(&house);
    assert_eq!(mails.len() as u64, status.deliveries.told);
    let with_password = status.credentials["password/expired"];
    let (rows, intents) = (rows(&house).await, intents(&house).await);
    let mut tokens = BTreeSet::new();
    for mail in &mails {
        let number = number_of(&house, &mail.to).await;
        let row = rows.iter().find(|row| row.number == number);
        assert_eq!(row.is_some(), mail.link.is_some(), "{}", mail.to);
        let (Some(row), Some(link)) = (row, &mail.link) else { continue };
        let token = token_in(link);
        assert!(is_digest_of(&house, row, &token));
        let latest = intents.iter().rfind(|intent| intent.0 == number).unwrap();
        assert_eq!(row.expires_at, latest.3 + DAY, "24 h from the latest intent");
        assert_eq!((row.generation, row.revoked_at), (1, None));
        tokens.insert(token.expose().to_owned());
    }
    assert_eq!(tokens.len(), rows.len(), "a token each, and no row without its mail");
    assert!(tokens.len() > 40 && mails.len() - tokens.len() >= 2, "{} links", tokens.len());
    assert!(tokens.len() as u64 <= with_password);
    let salts: BTreeSet<_> = rows.iter().map(|row| &row.salt).collect();
    assert_eq!(salts.len(), rows.len(), "a salt each");

    let links = status.tokens.unwrap();
    assert_eq!((links.issued, links.live), (rows.len() as u64, rows.len() as u64));
    hours(&clock, 25);
    let links = house.status().await.tokens.unwrap();
    assert_eq!((links.live, links.expired), (0, rows.len() as u64), "a day later");

    none_holds(&papers(&house, &log).await, &tokens);
    assert_eq!(found_in(&house.mails(), &tokens), tokens, "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_keeps_the_token_and_its_life_begins_anew() {
    let clock = standing_clock();
    let plan = linked(30, &["rcpt:451:to=customer3@*:times=1"], &clock, "");
    let slow = plan.campaign.replace("schedule = [\"1s\"]", "schedule = [\"2h\"]");
    let house =
        ready(Plan { campaign: slow.replace("max_age = \"1h\"", "max_age = \"5d\""), ..plan })
            .await;
    let number = number_of(&house, &address_of(&house, "customer3")).await;
    // the run waits for the retry, which is two hours off: the clock moves once it is deferred
    let running = house.engine.clone();
    let run = tokio::spawn(async move {
        let stop = tokio_util::sync::CancellationToken::new();
        running.run(CAMPAIGN, &forthwith::engine::progress::Silent, &stop).await
    });
    let first = loop {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let totals = house.status().await.deliveries;
        if totals.deferred == 1 && totals.queued + totals.in_flight == 0 {
            break rows(&house).await.into_iter().find(|row| row.number == number).unwrap();
        }
    };
    hours(&clock, 3);
    assert!(run.await.unwrap().unwrap().is_finished);

    let second = rows(&house).await.into_iter().find(|row| row.number == number).unwrap();
    let tried: Vec<i64> =
        intents(&house).await.iter().filter(|one| one.0 == number).map(|one| one.3).collect();
    let [one, two] = tried[..] else { panic!("{tried:?}") };
    assert!(two >= one + 2 * 60 * 60 * 1_000_000);
    assert_eq!((first.expires_at, second.expires_at), (one + DAY, two + DAY));
    assert_eq!(Row { expires_at: first.expires_at, ..second.clone() }, first, "the same token");
    let told: Vec<_> =
        mails(&house).into_iter().filter(|mail| mail.to.starts_with("customer3@")).collect();
    let [mail] = told.as_slice() else { panic!("{} mails", told.len()) };
    let digest = token_in(mail.link.as_ref().unwrap()).digest(house.engine.keys.digest());
    assert_eq!(digest.as_bytes()[..], second.digest[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_automatic_re_send_repeats_the_bytes_and_the_token() {
    let clock = standing_clock();
    let faults = ["drop-after-dot:to=customer4@*:times=1"];
    let house = ready(linked(30, &faults, &clock, "in_doubt = { then = \"resend\" }")).await;
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(house.status().await.deliveries.in_doubt, 0);
    let copies: Vec<_> =
        mails(&house).into_iter().filter(|mail| mail.to.starts_with("customer4@")).collect();
    let [first, second] = copies.as_slice() else { panic!("{} mails", copies.len()) };
    assert_eq!((&first.id, &first.bytes), (&second.id, &second.bytes));
    assert!(first.link.is_some());
    assert_eq!(first.link, second.link);
    let number = number_of(&house, &first.to).await;
    let held: Vec<Row> =
        rows(&house).await.into_iter().filter(|row| row.number == number).collect();
    let [row] = held.as_slice() else { panic!("{held:?}") };
    assert_eq!((row.generation, row.revoked_at), (1, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_mode_link_holds_a_doubt_and_young_it_is_sent_again_as_it_was() {
    let clock = standing_clock();
    let house = ready(linked(30, &["drop-after-dot:to=customer4@*:times=1"], &clock, "")).await;
    assert!(house.run().await.unwrap().is_finished);
    let number = number_of(&house, &address_of(&house, "customer4")).await;
    let reasons = house.status().await.deliveries.reasons;
    assert_eq!(reasons.get("in-doubt/held"), Some(&1), "{reasons:?}");
    let before = rows(&house).await;

    let now = hours(&clock, 12);
    let settled = resolve(&house, number, Verdict::NotSent).await;
    assert_eq!(settled, Resolved { moved: 1, renewed: 0 }, "exactly half its life");
    assert!(house.run().await.unwrap().is_finished);
    let copies: Vec<_> =
        mails(&house).into_iter().filter(|mail| mail.to.starts_with("customer4@")).collect();
    let [first, second] = copies.as_slice() else { panic!("{} mails", copies.len()) };
    assert_eq!((&first.id, &first.bytes), (&second.id, &second.bytes));
    let after = rows(&house).await;
    let moved: Vec<_> = before.iter().zip(&after).filter(|(old, new)| old != new).collect();
    let [(old, new)] = moved[..] else { panic!("{moved:?}") };
    assert_eq!(new.number, number);
    assert_eq!(new.expires_at, now.as_microsecond() + DAY, "24 h from the latest intent");
    assert_eq!(Row { expires_at: old.expires_at, ..new.clone() }, *old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_doubt_becomes_a_new_notice_with_a_new_token_and_the_old_one_is_revoked() {
    let clock = standing_clock();
    let house = ready(linked(30, &["drop-after-dot:to=customer4@*:times=1"], &clock, "")).await;
    house.run().await.unwrap();
    let number = number_of(&house, &address_of(&house, "customer4")).await;
    clock.advance(SignedDuration::from_hours(12) + SignedDuration::from_secs(1));
    let revoked = clock.now();
    let settled = resolve(&house, number, Verdict::NotSent).await;
    assert_eq!(settled, Resolved { moved: 1, renewed: 1 });
    let mine =
        |rows: Vec<Row>| rows.into_iter().filter(|row| row.number == number).collect::<Vec<_>>();
    let [old] = &mine(rows(&house).await)[..] else { panic!("one token so far") };
    assert_eq!(old.revoked_at, Some(revoked.as_microsecond()), "revoked with the decision");
    let again = hours(&clock, 1);
    assert!(house.run().await.unwrap().is_finished);

    let [old, new] = &mine(rows(&house).await)[..] else { panic!("two tokens") };
    assert_eq!((old.generation, new.generation), (1, 2));
    assert_eq!(new.revoked_at, None);
    assert_eq!(new.expires_at, again.as_microsecond() + DAY);
    assert!(old.salt != new.salt && old.digest != new.digest);
    let tried: Vec<_> = intents(&house).await.into_iter().filter(|one| one.0 == number).collect();
    let keys: Vec<_> = tried.iter().map(|one| (one.1, one.2)).collect();
    assert_eq!(keys, [(1, 1), (2, 1)], "n begins anew");
    assert_eq!(tried[1].3, again.as_microsecond(), "with a Date of its own");

    let copies: Vec<_> =
        mails(&house).into_iter().filter(|mail| mail.to.starts_with("customer4@")).collect();
    let [one, two] = copies.as_slice() else { panic!("{} mails", copies.len()) };
    assert_ne!(one.id, two.id, "a new Message-ID");
    let digests: BTreeSet<_> = [one, two]
        .map(|mail| token_in(mail.link.as_ref().unwrap()).digest(house.engine.keys.digest()))
        .map(|digest| digest.as_bytes().to_vec())
        .into();
    assert_eq!(digests, BTreeSet::from([old.digest.clone(), new.digest.clone()]));

    let story = house.engine.story(CAMPAIGN, u64::try_from(number).unwrap()).await.unwrap();
    let states: Vec<_> = story.tokens.iter().map(|token| (token.generation, token.state)).collect();
    assert_eq!(states, [(1, "revoked"), (2, "live")]);
    assert_eq!((story.delivery.class, story.attempts.len()), ("told", 2));
    let state: Vec<(i64, i64)> = query(
        &house.database(),
        &format!("SELECT generation, doubts FROM delivery WHERE number = {number}"),
    )
    .await;
    assert_eq!(state, [(2, 0)], "no doubt of this generation");
    let links = house.status().await.tokens.unwrap();
    assert_eq!((links.revoked, links.live), (1, links.issued - 1));
}

/// The policy's own re-send obeys the same rule, when the worker comes late to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_send_that_comes_late_is_a_new_notice_by_itself() {
    let clock = standing_clock();
    let policy = "in_doubt = { reconcile_for = \"1h\", then = \"resend\" }";
    let house = ready(linked(30, &["drop-after-dot:to=customer4@*:times=1"], &clock, policy)).await;
    let running = house.engine.clone();
    let run = tokio::spawn(async move {
        let stop = tokio_util::sync::CancellationToken::new();
        running.run(CAMPAIGN, &forthwith::engine::progress::Silent, &stop).await
    });
    while house.status().await.deliveries.machine_open() != 1 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    hours(&clock, 13);
    assert!(run.await.unwrap().unwrap().is_finished);
    let number = number_of(&house, &address_of(&house, "customer4")).await;
    let mine: Vec<Row> =
        rows(&house).await.into_iter().filter(|row| row.number == number).collect();
    let [old, new] = mine.as_slice() else { panic!("{mine:?}") };
    assert!(old.revoked_at.is_some() && new.revoked_at.is_none());
    let story = house.engine.story(CAMPAIGN, u64::try_from(number).unwrap()).await.unwrap();
    assert_eq!(story.attempts[0].resolutions[0].result, "re-sent");
    assert!(story.attempts[0].resolutions[0].reason.contains("a new notice"));
    let ids: BTreeSet<_> = mails(&house)
        .into_iter()
        .filter(|mail| mail.to.starts_with("customer4@"))
        .map(|mail| mail.id)
        .collect();
    assert_eq!(ids.len(), 2);
}

/// The fence holds for tokens as it does for intents, and an expiry moves forwards only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_intent_neither_issues_nor_prolongs_a_token() {
    let clock = standing_clock();
    let house = ready(linked(30, &[], &clock, "")).await;
    let (store, now) = (&house.engine.store, clock.now());
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let incarnation = store.identity().await.unwrap().incarnation;
    let later = |hours| now + SignedDuration::from_hours(hours);
    let claimant = Claimant { worker: "w".into(), incarnation, now, until: later(1) };
    assert!(store.open_wave(campaign, 1, now, Vec::new()).await.unwrap());
    let lane = &store.runnable_lanes(campaign, now).await.unwrap()[0].lane;
    let lease = &store.claim(campaign, lane, &claimant, 1).await.unwrap()[0];
    let loaded = &store.load(campaign, lease).await.unwrap()[0];
    assert!(loaded.token.is_none());
    let stored = StoredToken { salt: [7; 32], digest: [8; 32] };
    let intent = |generation, n, epoch, expires_at| NewIntent {
        key: AttemptKey { number: loaded.number, generation, n },
        dated_at: now,
        content: [9; 32],
        from: DeliveryClass::Queued,
        epoch,
        segment: 0,
        relay: "relay".into(),
        token: Some(NewToken { stored, expires_at }),
        amendments: 0,
        carried: 0,
    };
    let flush = async |intent: NewIntent| {
        let flush = Flush { intents: vec![intent], ..Flush::default() };
        let flushed = store.flush(campaign, &claimant, flush).await.unwrap();
        let expiry = rows(&house).await.first().map(|row| row.expires_at);
        (flushed.refused.is_empty(), expiry)
    };
    let at = |hours| Some(later(hours).as_microsecond());
    let epoch = lease.epoch;
    assert_eq!(flush(intent(1, 1, epoch + 1, later(24))).await, (false, None), "another's lease");
    assert_eq!(flush(intent(2, 1, epoch, later(24))).await, (false, None), "another generation");
    assert_eq!(flush(intent(1, 1, epoch, later(24))).await, (true, at(24)));
    assert_eq!(flush(intent(1, 1, epoch, later(30))).await, (false, at(24)), "used already");
    assert_eq!(flush(intent(1, 2, epoch - 1, later(30))).await, (false, at(24)));
    assert_eq!(flush(intent(1, 2, epoch, later(30))).await, (true, at(30)));
    assert_eq!(flush(intent(1, 3, epoch, later(26))).await, (true, at(30)), "never backwards");
    let found = store.load(campaign, lease).await.unwrap()[0].token;
    assert!(found == Some(stored), "the next attempt finds the salt");
    // a token that no row knows stops the whole commit
    let other = StoredToken { salt: [1; 32], ..stored };
    let token = Some(NewToken { stored: other, expires_at: later(40) });
    let flush = Flush {
        intents: vec![NewIntent { token, ..intent(1, 4, epoch, now) }],
        ..Flush::default()
    };
    let refused = store.flush(campaign, &claimant, flush).await.unwrap_err().to_string();
    assert!(refused.contains("reset token"), "{refused}");
    assert_eq!(intents(&house).await.len(), 3);
}

/// Three `kill -9`: before the commit, before the wire, after the dot, wherever they hit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_changes_nobodys_token() {
    let clock = Arc::new(SystemClock);
    let file = link_file("in_doubt = { then = \"resend\" }");
    let house = ready(Plan {
        customers: 500,
        campaign: file.replace("per_second = 2000", "per_second = 60"),
        dot_delay: std::time::Duration::from_millis(150),
        clock,
        ..Plan::default()
    })
    .await;
    write_settings(&house);
    for kill in 0..3 {
        let (mut run, before) = (spawn_run(&house), house.taken().len());
        while house.taken().len() < before + 60 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            assert!(run.try_wait().unwrap().is_none(), "kill {kill}: {}", log_of(&house));
        }
        run.kill().unwrap();
        run.wait().unwrap();
        // What the sink has in hand it finishes by itself.
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    assert!(house.run().await.unwrap().is_finished);
    let filter = DeliveryFilter { ever_in_doubt: true, ..DeliveryFilter::default() };
    let doubtful = house.engine.deliveries(CAMPAIGN, &filter, None, 1_000).await.unwrap().len();
    assert!(doubtful > 0, "no kill hit an open transaction");

    let mut links: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
    let (mut copies, mails) = (0, mails(&house));
    for mail in &mails {
        links.entry(mail.to.clone()).or_default().insert(mail.link.clone());
    }
    let rows = rows(&house).await;
    let digests: BTreeSet<_> = rows.iter().map(|row| row.digest.clone()).collect();
    assert!(rows.iter().all(|row| row.generation == 1 && row.revoked_at.is_none()));
    for (to, links) in &links {
        assert_eq!(links.len(), 1, "{to}: every copy has the same link");
        if let Some(link) = links.first().unwrap() {
            copies += 1;
            let digest = token_in(link).digest(house.engine.keys.digest());
            assert!(digests.contains(&digest.as_bytes()[..]), "{to}: a token that no row knows");
        }
    }
    assert_eq!(copies, rows.len(), "every row went out");
    assert_eq!(links.len() as u64, house.status().await.deliveries.told);
}

/// Whoever may not be the person gets the words of mode `site`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_changed_since_the_window_began_gets_no_link() {
    let clock = standing_clock();
    let plan = linked(30, &[], &clock, "");
    let columns = "address_changed_at = \"email_changed_at\", account = \"customer_id\"";
    let campaign = plan.campaign.replace("account = \"customer_id\"", columns);
    let house = furnished(Plan { campaign, ..plan }).await;
    let rows_text = "customer_id,name,email,email_changed_at\n\
                C0000001,Ada,before@mail.example,2012-01-14T09:59:59Z\n\
                C0000002,Bob,at@mail.example,2012-01-14T10:00:00Z\n\
                C0000003,Cy,after@mail.example,2012-02-01T00:00:00Z\n\
                C0000004,Di,never@mail.example,\n";
    std::fs::write(house.path("affected.csv"), rows_text).unwrap();
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house.run().await.unwrap();
    let linked: BTreeMap<String, bool> =
        mails(&house).into_iter().map(|mail| (mail.to, mail.link.is_some())).collect();
    let expected = [
        ("after@mail.example", false),
        ("at@mail.example", false),
        ("before@mail.example", true),
        ("never@mail.example", true),
    ];
    assert_eq!(linked, expected.map(|(to, has)| (to.to_owned(), has)).into());
    assert_eq!(rows(&house).await.len(), 2);
    for mail in house.mails() {
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        let text = parsed.body_text(0).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("type the address you know, www.northwind.example, yourself"),
            "{text}"
        );
        assert!(text.contains("Nothing in this message needs to be opened for that."), "{text}");
    }
}

/// Every sealed reason and every class, asked of the writer that makes the notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspect_and_dormant_addresses_and_accounts_without_a_password_get_no_token() {
    use forthwith::domain::address::AddressReason;

    let house = ready(linked(30, &[], &standing_clock(), "")).await;
    let (row, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let approved = house.engine.approved(&row, &people, Track::Notice).await.unwrap();
    let writer = NoticeWriter::new(&house.engine, &people, &approved.parts).unwrap();
    let number = u64::try_from(number_of(&house, &address_of(&house, "customer4")).await).unwrap();
    let body = house.engine.store.delivery(row.id, number).await.unwrap().unwrap().body.unwrap();
    let mut ada = people.open(number, &body).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let mut gets = |reason, class| {
        ada.reason = reason;
        let classes = BTreeMap::from([(CredentialKind::Password, class)]);
        let facing = Facing::alone(&ada, classes);
        let minted = writer.mint((number, 1), &ada, &facing, None, now).unwrap();
        let token = minted.as_ref().map(|minted| &minted.token);
        let notice = writer.render(number, &ada, &facing, token).unwrap();
        assert_eq!(notice.text.contains(&format!("\n{PAGE}#fw1_")), minted.is_some());
        let sample = writer.render_sample(number, &ada, &facing, None).unwrap();
        let shown = format!("\n{PAGE}#{}\n", PlainToken::sample().expose());
        assert_eq!(sample.text.contains(&shown), minted.is_some(), "previews show the same people");
        minted.is_some()
    };
    for reason in AddressReason::ALL {
        let expected = reason == AddressReason::Ok;
        assert_eq!(gets(reason, CredentialClass::Expired), expected, "{reason}");
    }
    for (class, expected) in [
        (CredentialClass::Expired, true),
        (CredentialClass::Exempt, true),
        (CredentialClass::NoPassword, false),
        (CredentialClass::NotFound, false),
        (CredentialClass::ChangedSince, false),
        (CredentialClass::ResetElsewhere, false),
    ] {
        assert_eq!(gets(AddressReason::Ok, class), expected, "{class}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_people_sign_shows_a_token_that_opens_nothing() {
    let house = ready(linked(30, &[], &standing_clock(), "")).await;
    let shown = house.engine.preview(CAMPAIGN).await.unwrap();
    let sample = format!("{PAGE}#{}", PlainToken::sample().expose());
    let with_link = shown.iter().filter(|one| one.rendered.text.contains(&sample)).count();
    let may = |one: &&forthwith::engine::samples::ShownSample| {
        use CredentialClass::{Exempt, Expired, Pending};
        one.case.readership == "own" && [Expired, Pending, Exempt].contains(&one.case.class)
    };
    let expected = shown.iter().filter(may).count();
    assert_eq!(
        with_link, expected,
        "those alone with a password to replace, and with nobody beside"
    );
    assert!(with_link > 0);
    let again = house.engine.preview(CAMPAIGN).await.unwrap();
    let texts = |shown: &[forthwith::engine::samples::ShownSample]| {
        shown.iter().map(|one| one.rendered.clone()).collect::<Vec<_>>()
    };
    assert!(texts(&shown) == texts(&again), "samples are the same every time");
    assert!(rows(&house).await.is_empty(), "and issue nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_without_a_page_or_with_a_template_that_hides_the_link_is_refused() {
    let house = House::furnished(linked(30, &[], &standing_clock(), "")).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let mut told = Told::of("link-at-plan");
    let refused = house.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap_err();
    told.error("no page for the links", refused);
    let page = format!("reset_url = \"{PAGE}\"\nsupport_email");
    house.edit("incidents/cold-night/incident.toml", "support_email", &page);
    for (file, shown) in [
        ("templates/mail/account-breach/en/body.txt.hbs", "\n{{person.link}}\n"),
        ("templates/mail/account-breach/en/body.html.hbs", " href=\"{{person.link}}\""),
    ] {
        let whole = std::fs::read_to_string(house.path(file)).unwrap();
        house.edit(file, shown, "\n");
        let refused = house.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap_err();
        told.error(&format!("{file} hides it"), refused);
        std::fs::write(house.path(file), whole).unwrap();
    }
    told.same();
    house.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_salt_altered_in_the_database_holds_the_person_and_sends_nothing() {
    let clock = standing_clock();
    let house = ready(linked(30, &["drop-after-dot:to=customer4@*:times=1"], &clock, "")).await;
    house.run().await.unwrap();
    let number = number_of(&house, &address_of(&house, "customer4")).await;
    house
        .tamper(&format!("UPDATE reset_token SET salt = randomblob(32) WHERE number = {number}"))
        .await;
    let before = house.taken().len();
    resolve(&house, number, Verdict::NotSent).await;
    house.run().await.unwrap();
    assert_eq!(house.taken().len(), before);
    let story = house.engine.story(CAMPAIGN, u64::try_from(number).unwrap()).await.unwrap();
    assert_eq!((story.delivery.class, story.delivery.reason.as_str()), ("held", "content"));
}
