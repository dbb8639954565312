//! Counts by somebody else: dry runs, comparisons, control totals.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::engine::audience::compare::AccountList;
use forthwith::engine::progress::Silent;
use forthwith::source::Encoding;
use forthwith::store::audiences::{ComparedTotals, Difference};

use crate::harness::audience::csv_audience;
use crate::harness::snapshot::Told;
use crate::harness::tampering::query;
use crate::harness::{CAMPAIGN, House, Plan, binary, campaign_file, write};

/// 100 rows: 94 accounts, of which one in conflict; one duplicate, five rejects.
fn hundred() -> String {
    let mut rows = String::from("customer_id,name,email\n");
    for place in 1..=94 {
        writeln!(rows, "C{place:07},Ana Almeida,c{place}@mail.example").unwrap();
    }
    rows.push_str("C0000001,Ana Almeida,c1@mail.example\nC0000002,Bo,other@mail.example\n");
    rows.push_str(",x,y\n,x,y\n,x,y\nC0000099\n");
    rows
}

async fn house(expect: &str) -> House {
    let campaign = campaign_file("").replace("[directory]\n", &format!("{expect}\n[directory]\n"));
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    write(&house.path("affected.csv"), &hundred());
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejects_over_the_limit_block_the_notice_and_never_containment() {
    let house =
        house("[audience.expect]\nrows = 100\naccounts = 95\nrejected_at_most = \"3.9%\"\n").await;
    let totals = house.engine.seal(CAMPAIGN, &Silent).await.unwrap().row.totals;
    assert_eq!((totals.rows, totals.sealed, totals.rejected), (100, 94, 4));
    let mut told = Told::of("rejects-over-the-limit");
    let refused = house.engine.plan(CAMPAIGN, Track::Notice, false).await.unwrap_err();
    told.error("two sums that differ, by a share of the rows", refused);
    house.approve(Track::Containment).await;
    let report = house.run().await.unwrap();
    assert!(report.secured.unwrap().is_done);
    assert_eq!(house.credential_of("C0000002").await.0, "expired");
    assert!(house.taken().is_empty());

    // an expectation is part of what two people sign
    house.edit("campaigns/thaw.toml", "accounts = 95", "accounts = 94");
    house.edit("campaigns/thaw.toml", "\"3.9%\"", "4");
    house.engine.plan(CAMPAIGN, Track::Notice, false).await.unwrap();
    house.keep_sealed_rows().await;
    house.edit("campaigns/thaw.toml", "rejected_at_most = 4", "rejected_at_most = 3");
    let refused = house.sign(Track::Notice, "ann").await.unwrap_err();
    told.error("lowered between plan and approval", refused);
    told.same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_counts_what_a_seal_would_and_keeps_only_the_rejects() {
    let house = house("[audience.expect]\nrejected_at_most = 0\n").await;
    let before: Vec<(i64,)> = query(&house.database(), "SELECT COUNT(*) FROM campaign").await;
    let found = house.engine.check_audience(CAMPAIGN, &Silent).await.unwrap();
    assert_eq!(before, query(&house.database(), "SELECT COUNT(*) FROM campaign").await);
    assert_eq!(found.rejected["no-account"], 3);
    assert_eq!(found.rejected["field-count"], 1);
    assert_eq!(found.not_queued["held/conflict"], 1);
    assert_eq!((found.addressees["self"], found.addresses["ok"]), (96, 96));
    assert_eq!(found.providers, [("other".to_owned(), 96)]);
    assert_eq!(found.differences.len(), 1);
    let kept = house.path("rejects/thaw.check.csv");
    assert_eq!(found.rejects.as_deref(), Some(kept.as_path()));
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let left: Vec<_> = std::fs::read_dir(house.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("check") || name.contains("staging"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(house.seal_of(CAMPAIGN).await.unwrap().totals, found.totals);

    let mut command = binary();
    command.args(["audience", "check", CAMPAIGN]).current_dir(house.dir.path());
    command.env("XDG_STATE_HOME", house.path("elsewhere"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}{talk}");
    for line in [
        "100 = 94 sealed + 1 duplicates + 1 conflicts + 4 rejected",
        "3 no-account, 1 field-count",
        "Not by mail yet  1 held/conflict",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let mut told = Told::of("dry-run");
    told.message("a row too many is rejected", &talk);
    told.same();
    assert!(!format!("{said}{talk}").contains("mail.example"), "{said}{talk}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_audiences_are_compared_by_account_sealed_or_not() {
    let house = house("").await;
    house.seal().await;
    let changed = hundred()
        .replace("C0000003,Ana Almeida", "C0000003,Anna Almeida")
        .replace("C0000004,", "D0000004,");
    write(&house.path("mended.csv"), &changed);
    house.write_campaign("mended", &csv_audience("").replace("affected.csv", "mended.csv"));
    let mut compared = house.engine.diff_audiences(CAMPAIGN, "mended", &Silent).await.unwrap();
    let expected = ComparedTotals { only_a: 1, only_b: 1, changed: 1, same: 92 };
    assert_eq!((compared.totals, compared.rejected), (expected, (0, 4)));
    assert!(compared.a.starts_with("campaign thaw") && compared.b.starts_with("csv "));
    for (difference, account) in [
        (Difference::OnlyA, "C0000004"),
        (Difference::OnlyB, "D0000004"),
        (Difference::Changed, "C0000003"),
    ] {
        let mut listed = Vec::new();
        let take = |page: &[String]| {
            listed.extend_from_slice(page);
            Ok::<_, EngineError>(())
        };
        compared.list(difference, take).await.unwrap();
        assert_eq!(listed, [account]);
    }
    house.edit("campaigns/mended.toml", "name = \"shop\"", "name = \"other\"");
    let refused = house.engine.diff_audiences(CAMPAIGN, "mended", &Silent).await.err().unwrap();
    let mut told = Told::of("other-directory");
    told.error("two audiences of different directories", refused);
    told.same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_list_is_reconciled_with_the_sealed_people() {
    let house = house("").await;
    let list = |path: &Path| AccountList {
        path: path.to_owned(),
        column: "account".into(),
        delimiter: None,
        encoding: Encoding::Utf8,
    };
    let there = house.path("forensics.csv");
    let mut rows = String::from("sep=;\nseen;account\n");
    for place in 3..=96 {
        writeln!(rows, "x;C{place:07}").unwrap();
    }
    rows.push_str("x;C0000003\nx;\n");
    write(&there, &rows);
    let refused = house.engine.reconcile(CAMPAIGN, list(&there), &Silent).await.unwrap_err();
    let mut told = Told::of("second-list");
    told.error("before anybody is sealed", refused);
    house.seal().await;
    let found = house.engine.reconcile(CAMPAIGN, list(&there), &Silent).await.unwrap();
    let expected = ComparedTotals { only_a: 2, only_b: 2, changed: 0, same: 92 };
    assert_eq!((found.totals, found.rejected, found.is_equal()), (expected, 1, false));
    for (file, accounts) in [
        ("rejects/thaw.only-here.csv", ["\"C0000001\"", "\"C0000002\""]),
        ("rejects/thaw.only-there.csv", ["\"C0000095\"", "\"C0000096\""]),
    ] {
        let text = std::fs::read_to_string(house.path(file)).unwrap();
        let mut lines: Vec<&str> = text.lines().skip(1).collect();
        lines.sort_unstable();
        assert_eq!(lines, accounts, "{file}");
        let mode = house.path(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let rejected = std::fs::read_to_string(house.path("rejects/thaw.reconcile.csv")).unwrap();
    assert!(rejected.contains("98,account,\"no-account: "), "{rejected}");

    let reconcile = |with: &str| {
        let mut command = binary();
        command.current_dir(house.dir.path()).env("XDG_STATE_HOME", house.path("elsewhere"));
        command.args(["audience", "reconcile", CAMPAIGN, "--with", with]);
        command.args(["--column", "account", "--expect-equal"]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, talk) = reconcile("forensics.csv");
    assert_eq!(code, Some(1), "{talk}");
    told.within(&house);
    told.message("not the same people", &talk);
    told.same();
    let same = (1..=94).fold("account\n".to_owned(), |rows, place| format!("{rows}C{place:07}\n"));
    write(&house.path("same.csv"), &same);
    let (code, talk) = reconcile("same.csv");
    assert_eq!(code, Some(0), "{talk}");
    assert!(!house.path("rejects/thaw.only-here.csv").exists(), "what differs no more is gone");
}
