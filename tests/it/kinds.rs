//! Every kind and every class of credential: several values an account, deletions, exemptions, the dry
//! run, and giving up.

use forthwith::domain::credential::CredentialKind;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;

use crate::harness::tampering::{execute, hours, query, standing_clock};
use crate::harness::{ANN, CAMPAIGN, House, Plan, campaign_file, person};

/// One table holds every secret but passwords: an account may have many of a kind.
const SECRETS: &str = "
    CREATE TABLE secret (id INTEGER PRIMARY KEY, customer_id TEXT, kind TEXT, value TEXT, made_at TEXT);
    INSERT INTO secret (customer_id, kind, value, made_at)
        SELECT c.id, k.kind, k.before || lower(hex(randomblob(16))), '2011-01-01T00:00:00Z'
        FROM customer AS c, (
            SELECT 'refresh-token' AS kind, 'rt_' AS before UNION ALL SELECT 'api-key', 'pk ' UNION ALL
            SELECT 'totp-seed', '' UNION ALL SELECT 'recovery-code', '' UNION ALL
            SELECT 'security-answer', '') AS k;
    INSERT INTO secret (customer_id, kind, value, made_at)
        SELECT customer_id, kind, lower(hex(randomblob(16))), made_at FROM secret
        WHERE kind IN ('api-key', 'recovery-code', 'refresh-token') AND customer_id < 'C0000041';";

/// The statements of one kind on that table; `write` replaces or takes away.
fn statements(kind: &str, write: &str) -> String {
    format!(
        "[directory.sql.{kind}]\nscheme = \"last-segment\"\n\
         read = \"\"\"SELECT c.id AS account, s.value AS current, s.made_at AS changed_at \
         FROM json_each(:rows) AS r JOIN customer AS c ON c.id = r.value ->> 'account' \
         LEFT JOIN secret AS s ON s.customer_id = c.id AND s.kind = '{kind}'\"\"\"\n\
         expire = \"\"\"{write}\"\"\"\n\n"
    )
}

fn replaced(kind: &str) -> String {
    statements(
        kind,
        &format!(
            "UPDATE secret SET value = r.value ->> 'replacement' FROM json_each(:rows) AS r \
             WHERE secret.kind = '{kind}' AND secret.customer_id = r.value ->> 'account' \
             AND secret.value = r.value ->> 'current'"
        ),
    )
}

fn deleted(kind: &str) -> String {
    statements(
        kind,
        &format!(
            "DELETE FROM secret WHERE kind = '{kind}' AND (customer_id, value) IN \
             (SELECT r.value ->> 'account', r.value ->> 'current' FROM json_each(:rows) AS r)"
        ),
    )
}

async fn house_with(kinds: &[&str], tables: &str, policy: &str, first: &str) -> House {
    let campaign = campaign_file("")
        .replace("name = \"shop\"\n", &format!("name = \"shop\"\n{policy}\n"))
        .replace("[directory.sql.sessions]", &format!("{tables}[directory.sql.sessions]"));
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    execute(&house.shop, SECRETS).await;
    if !first.is_empty() {
        execute(&house.shop, first).await;
    }
    let quoted: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
    let exposed = format!("credentials = [{}]", quoted.join(", "));
    house.edit("incidents/cold-night/incident.toml", "credentials = [\"password\"]", &exposed);
    house.seal().await;
    house.approve(Track::Containment).await;
    house
}

/// Every secret of the shop.
async fn secrets(house: &House) -> Vec<(String, String, String)> {
    query(&house.shop, "SELECT customer_id, kind, value FROM secret ORDER BY id").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_kinds_are_secured_in_one_campaign_and_every_value_of_each() {
    let kinds: Vec<&str> = CredentialKind::ALL.iter().map(|kind| kind.word()).collect();
    let tables: String =
        ["refresh-token", "api-key", "totp-seed", "security-answer"].map(replaced).concat()
            + &deleted("recovery-code");
    let house = house_with(&kinds, &tables, "", "").await;
    let before = secrets(&house).await;
    let report = house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(report.is_done, "{report:?}");
    for kind in &kinds {
        let of = |class: &str| report.totals.get(&format!("{kind}/{class}")).copied().unwrap_or(0);
        assert_eq!(of("pending") + of("failed"), 0, "{kind}: {report:?}");
        let expired = if *kind == "password" { 57 } else { 60 };
        let expired = if *kind == "session" { 61 } else { expired };
        assert_eq!(of("expired"), expired, "{kind}: {report:?}");
    }
    let after = secrets(&house).await;
    assert!(after.iter().all(|row| row.1 != "recovery-code"), "deleted for good");
    for row in after {
        assert!(!before.contains(&row), "an old value still stands: {} {}", row.0, row.1);
    }
    assert_eq!(house.secure(Pick::Pending, &Silent).await.unwrap().settled, 0);
    assert!(house.status().await.deliveries.balances());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_several_values_is_spared_failed_or_without_any_as_a_whole() {
    let first = "
        UPDATE secret SET made_at = '2012-02-01T00:00:00Z' WHERE customer_id = 'C0000001' AND id % 2 = 0;
        UPDATE secret SET made_at = '2012-02-01T00:00:00Z' WHERE customer_id = 'C0000002';
        UPDATE secret SET value = '???' WHERE id =
            (SELECT MAX(id) FROM secret WHERE customer_id = 'C0000003' AND kind = 'api-key');
        DELETE FROM secret WHERE customer_id = 'C0000004';
        DELETE FROM customer WHERE id = 'C0000005';
        INSERT INTO secret (customer_id, kind, value, made_at)
            SELECT customer_id, kind, value, made_at FROM secret
            WHERE customer_id = 'C0000006' AND kind = 'api-key'";
    let house = house_with(&["api-key"], &replaced("api-key"), "policy = \"respect\"", first).await;
    let before = secrets(&house).await;
    let report = house.secure(Pick::Pending, &Silent).await.unwrap();
    for (account, class) in [
        ("C0000002", "changed-since"),
        ("C0000003", "failed"),
        ("C0000004", "no-password"),
        ("C0000005", "not-found"),
        ("C0000006", "expired"),
        ("C0000007", "expired"),
    ] {
        assert_eq!(house.credential_of(account).await.0, class, "{account}: {report:?}");
    }
    assert_eq!(house.credential_of("C0000001").await.0, "expired", "the older one was exposed");
    let after = secrets(&house).await;
    let kept = |account: &str| {
        after
            .iter()
            .filter(|row| row.0 == account && row.1 == "api-key" && before.contains(row))
            .count()
    };
    assert_eq!(kept("C0000002"), 2, "spared");
    assert_eq!(kept("C0000003"), 1, "only the one of no known form is left");
    assert_eq!(kept("C0000006"), 0, "also where two values were the same");
    assert_eq!(house.delivery_of("C0000003").await, ("held", "credential".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_was_spared_outlives_every_re_check() {
    let first = "
        DELETE FROM secret WHERE customer_id = 'C0000001' AND kind = 'api-key' AND id <>
            (SELECT MAX(id) FROM secret WHERE customer_id = 'C0000001' AND kind = 'api-key');
        UPDATE secret SET made_at = '2012-02-01T00:00:00Z' WHERE customer_id = 'C0000001'";
    let stolen = "pk 0123456789abcdef0123456789abcdef";
    let exposes = format!(
        "INSERT INTO secret (customer_id, kind, value, made_at)
         VALUES ('C0000001', 'api-key', '{stolen}', '2011-01-01T00:00:00Z')"
    );
    let first = format!("{first}; {exposes}");
    let exposed = "SELECT value FROM secret WHERE customer_id = 'C0000001' AND kind = 'api-key'
        AND made_at < '2012-01-01'";
    let live = "SELECT value FROM secret WHERE customer_id = 'C0000001' AND kind = 'api-key'
        AND made_at > '2012-01-01'";
    for write in [replaced("api-key"), deleted("api-key")] {
        let house = house_with(&["api-key"], &write, "policy = \"respect\"", &first).await;
        let spared: Vec<(String,)> = query(&house.shop, live).await;
        assert_eq!(spared.len(), 1);
        house.secure(Pick::Pending, &Silent).await.unwrap();
        assert_eq!(house.credential_of("C0000001").await.0, "expired", "one was exposed");
        let stop = tokio_util::sync::CancellationToken::new();
        let recheck = async || house.engine.recheck(CAMPAIGN, &Silent, &stop).await.unwrap().counts;
        let counts = recheck().await;
        assert_eq!((counts.regressed, counts.fine), (0, counts.checked), "{counts:?}");
        assert_eq!(
            query::<(String,)>(&house.shop, live).await,
            spared,
            "no alarm, and still in use"
        );

        // the exposed one comes back beside it: that one is expired again, and that one alone
        let gone = "DELETE FROM secret WHERE customer_id = 'C0000001' AND made_at < '2012-01-01'";
        execute(&house.shop, &format!("{gone}; {exposes}")).await;
        let counts = recheck().await;
        assert_eq!((counts.regressed, counts.mended), (1, 1), "{counts:?}");
        assert_eq!(house.credential_of("C0000001").await.0, "expired");
        assert_eq!(query::<(String,)>(&house.shop, live).await, spared);
        let left: Vec<(String,)> = query(&house.shop, exposed).await;
        assert!(left.iter().all(|(value,)| value != stolen), "{left:?}");
        assert_eq!(recheck().await.regressed, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_resets_through_us_and_the_class_says_so() {
    let house = House::ready(Plan::default()).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let before = house.hash_of("C0000010").await;
    assert_eq!(house.reset(10, "harbour lantern fig").await.path, "/reset/done");
    assert_eq!(house.credential_of("C0000010").await.0, "reset");
    let first = house.hash_of("C0000010").await;
    assert_ne!(first, before);
    // whoever was not the one who did it does it again
    assert_eq!(house.reset(10, "violet umbrella gravel").await.path, "/reset/done");
    assert_eq!(house.credential_of("C0000010").await.0, "reset");
    assert_ne!(house.hash_of("C0000010").await, first);
    assert!(house.run().await.unwrap().is_finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exemption_is_signed_kept_and_told_and_comes_before_the_pass() {
    let house = House::ready(Plan::default()).await;
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let number = house.engine.find(CAMPAIGN, "C0000011").await.unwrap()[0];
    let kind = CredentialKind::Password;
    let exempt = async |numbers: &[u64], kind, reason| {
        house.engine.exempt(CAMPAIGN, numbers, kind, reason, &signer).await
    };
    let refused = exempt(&[number], kind, " ").await.unwrap_err().to_string();
    assert!(refused.contains("needs its reason"), "{refused}");
    let refused = exempt(&[number], CredentialKind::ApiKey, "why").await.unwrap_err().to_string();
    assert!(refused.contains("nothing to exempt") && refused.contains("password"), "{refused}");
    assert_eq!(exempt(&[number], kind, "fire brigade's own log-in").await.unwrap(), 1);
    let before = house.hash_of("C0000011").await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    assert_eq!(house.hash_of("C0000011").await, before, "left as it is");
    assert_eq!(house.credential_of("C0000011").await.0, "exempt");
    let kept: Vec<(String, String, i64)> =
        query(&house.database(), "SELECT reason, exempted_by, length(signature) FROM exemption")
            .await;
    assert_eq!(kept, [("fire brigade's own log-in".to_owned(), ANN.to_owned(), 64)]);
    let lines = house.ledger_lines().await;
    let line = lines.iter().find(|line| line.contains("\"kind\":\"exempted\"")).unwrap();
    assert!(!line.contains("fire") && !line.contains("C0000011"), "{line}");

    let other = house.engine.find(CAMPAIGN, "C0000012").await.unwrap()[0];
    let refused = exempt(&[other], kind, "too late").await.unwrap_err().to_string();
    assert!(refused.contains("is expired, so it can't be exempt"), "{refused}");
    assert!(house.run().await.unwrap().is_finished);
    let mail = house.mails().into_iter().find(|mail| mail.contains("customer11@")).unwrap();
    assert!(mail.replace("=\r\n", "").contains("it still works"), "{mail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_pass_wrote_cannot_be_exempted_any_more() {
    let house = House::ready(Plan::default()).await;
    let crash = "CREATE TRIGGER crash BEFORE INSERT ON credential
                 BEGIN SELECT RAISE(ABORT, 'the power goes'); END";
    execute(&house.database(), crash).await;
    house.secure(Pick::Pending, &Silent).await.unwrap_err();
    execute(&house.database(), "DROP TRIGGER crash").await;
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let number = house.engine.find(CAMPAIGN, "C0000001").await.unwrap()[0];
    let refused = house
        .engine
        .exempt(CAMPAIGN, &[number], CredentialKind::Password, "why", &signer)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("being written by a pass that died"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let campaign = campaign_file("")
        .replace(
            "name = \"shop\"\n",
            "name = \"shop\"\npolicy = \"respect\"\nprotected = \"exempt\"\nprotected_accounts = [\"C0000055\"]\n",
        )
        .replace("AS current FROM", "AS current, c.password_changed_at AS changed_at FROM");
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    let first =
        "UPDATE customer SET password_changed_at = '2012-03-01T00:00:00Z' WHERE id = 'C0000021';
        UPDATE customer SET password_hash = 'legacy(3):0xUNKNOWN' WHERE id = 'C0000020'";
    execute(&house.shop, first).await;
    house.seal().await;
    let shop = std::fs::read(&house.shop).unwrap();
    let rows = "SELECT (SELECT COUNT(*) FROM ledger_batch) + (SELECT COUNT(*) FROM credential) + \
                (SELECT COUNT(*) FROM credential_write) + (SELECT COUNT(*) FROM recheck)";
    let count = async || query::<(i64,)>(&house.database(), rows).await[0].0;
    let ours = count().await;
    let run = house.engine.secure_dry_run(CAMPAIGN, None, &Silent).await.unwrap();
    assert!(!run.is_approved && run.notes.is_empty(), "{run:?}");
    assert_eq!(run.accounts, 61);
    let of = |what: &str| run.counts.get(&format!("password/{what}")).copied().unwrap_or(0);
    assert_eq!(of("not-found"), 1);
    assert_eq!((of("spared"), of("unknown-scheme"), of("protected")), (1, 1, 1), "{run:?}");
    assert_eq!(of("no-password"), 3, "{run:?}");
    assert_eq!(of("would-expire"), 54, "{run:?}");
    assert_eq!(std::fs::read(&house.shop).unwrap(), shop);
    assert_eq!(count().await, ours, "nothing of ours either");
    let some = house.engine.secure_dry_run(CAMPAIGN, Some(5), &Silent).await.unwrap();
    assert!((1..=10).contains(&some.accounts), "{some:?}");

    house.approve(Track::Containment).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let run = house.engine.secure_dry_run(CAMPAIGN, None, &Silent).await.unwrap();
    assert!(run.is_approved);
    assert_eq!(run.counts.get("password/already-expired"), Some(&54), "{run:?}");
    assert_eq!(run.counts.get("password/already-exempt"), Some(&1), "{run:?}");
    assert_eq!(run.counts.get("password/unknown-scheme"), Some(&1), "{run:?}");
}

fn with_give_up() -> String {
    campaign_file("").replace("name = \"shop\"\n", "name = \"shop\"\ngive_up_after = \"72h\"\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_secured_is_held_until_given_up_and_then_told_the_truth() {
    let clock = standing_clock();
    let plan = Plan { campaign: with_give_up(), clock: clock.clone(), ..Plan::default() };
    let house = House::furnished(plan).await;
    let sql = "UPDATE customer SET password_hash = 'legacy(3):0xUNKNOWN' WHERE id = 'C0000020'";
    execute(&house.shop, sql).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house.run().await.unwrap();
    assert_eq!(house.delivery_of("C0000020").await, ("held", "credential".into()));
    hours(&clock, 71);
    house.run().await.unwrap();
    assert_eq!(house.delivery_of("C0000020").await, ("held", "credential".into()));
    hours(&clock, 1);
    let report = house.run().await.unwrap();
    assert!(report.is_finished && report.secured.unwrap().gave_up);
    assert_eq!(house.delivery_of("C0000020").await, ("told", "accepted".into()));
    assert_eq!(house.credential_of("C0000020").await.0, "failed");
    let mail = house.mails().into_iter().find(|mail| mail.contains("customer20@")).unwrap();
    let text = mail.replace("=\r\n", "");
    assert!(text.contains("We have not yet been able to make sure"), "{text}");
    assert!(!text.contains("We have already expired your password"), "{text}");
    // another try that fails holds nobody any more
    assert_eq!(house.secure(Pick::Failed, &Silent).await.unwrap().settled, 0);
    assert_eq!(house.delivery_of("C0000020").await.0, "told");
    assert!(house.status().await.deliveries.balances());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_stays_away_silences_nobody_once_given_up() {
    let clock = standing_clock();
    let plan = Plan { campaign: with_give_up(), clock: clock.clone(), ..Plan::default() };
    let house = House::ready(plan).await;
    // the first pass begins, and the directory refuses its first write
    let closed = "CREATE TRIGGER closed BEFORE UPDATE ON customer
                  BEGIN SELECT RAISE(ABORT, 'read-only'); END";
    execute(&house.shop, closed).await;
    house.run_refused().await;
    std::fs::rename(&house.shop, house.path("away.db")).unwrap();
    hours(&clock, 71);
    house.run_refused().await;
    hours(&clock, 2);
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let secured = report.secured.unwrap();
    assert!(secured.gave_up && secured.totals["password/pending"] == 60, "{secured:?}");
    // who has no password needed no write
    assert_eq!(secured.totals["password/no-password"], 1, "{secured:?}");
    let mails = house.mails();
    let not_yet = mails.iter().filter(|mail| {
        mail.replace("=\r\n", "").contains("We have not yet been able to make sure")
    });
    assert_eq!(not_yet.count(), mails.len() - 1);
}
