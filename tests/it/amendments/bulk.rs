//! `forthwith amendment`: whole classes and files of accounts, what they show, keep and ask.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use forthwith::domain::track::Track;

use super::{ready, sealed};
use crate::crash::write_settings;
use crate::harness::{CAMPAIGN, House, Plan, binary};

/// `forthwith amendment …` as ann, or as both where two have to sign.
fn amendment(house: &House, words: &[&str], who: &[&str]) -> Output {
    let mut command = binary();
    command
        .arg("--workspace")
        .arg(house.dir.path())
        .arg("amendment")
        .args(words)
        .env("XDG_STATE_HOME", house.path("xdg-state"))
        .stdin(Stdio::null());
    for (place, name) in who.iter().enumerate() {
        let variable = if who.len() == 1 { String::new() } else { format!("_{}", place + 1) };
        command
            .args(["--operator", name])
            .env(format!("FORTHWITH_PASSWORD{variable}"), format!("the long password of {name}"));
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_accounts_amends_who_is_there_and_keeps_the_other_lines() {
    let house = ready(Plan::default()).await;
    write_settings(&house);
    let file = house.path("gone.txt");
    let list = "C0000001\n\nC0000002\r\nC9999999\nstranger@post.example\n C0000003 \nC0000001\n";
    std::fs::write(&file, list).unwrap();
    let file = file.display().to_string();
    let words =
        ["withdraw", CAMPAIGN, "--from", &file, "--reason", "not customers of ours", "--yes"];
    let asked = amendment(&house, &words[..6], &["ann"]);
    assert_eq!(asked.status.code(), Some(1), "it asks first: {}", said(&asked));
    assert!(said(&asked).contains("They are now: 3 queued."), "{}", said(&asked));
    assert_eq!(house.status().await.deliveries.withdrawn, 0);

    let output = amendment(&house, &words, &["ann"]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "two lines named nobody: {told}");
    for words in ["line 4 names nobody", "line 5 names nobody", "3 of 3 people are withdrawn"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(told.contains("2 lines named nobody") && !told.contains("stranger@"), "{told}");
    let kept = house.path("rejects/thaw.unmatched.csv");
    let text = std::fs::read_to_string(&kept).unwrap();
    assert_eq!(text, "line,text\n4,\"C9999999\"\n5,\"stranger@post.example\"\n");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let deliveries = house.status().await.deliveries;
    assert!(deliveries.withdrawn == 3 && deliveries.balances(), "{deliveries:?}");

    let listed = amendment_list(&house);
    assert_eq!(listed.matches("\"kind\":\"withdraw\"").count(), 3, "{listed}");
    let again = amendment(&house, &words, &["ann"]);
    assert!(said(&again).contains("is withdrawn: that is final"), "{}", said(&again));
}

fn amendment_list(house: &House) -> String {
    let output = binary()
        .arg("--workspace")
        .arg(house.dir.path())
        .args(["amendment", "list", CAMPAIGN, "--json"])
        .env("XDG_STATE_HOME", house.path("xdg-state"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_class_is_settled_at_once_and_two_sign_where_two_have_to() {
    let house = sealed(Plan::default()).await;
    write_settings(&house);
    let all = ["--class", "held/conflict", "--all", "--reason", "newest row", "--yes"];
    let release = [&["release", CAMPAIGN][..], &all].concat();
    let output = amendment(&house, &release, &["ann"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("They are now: 1 held/conflict."), "{}", said(&output));
    assert!(said(&amendment(&house, &release, &["ann"])).contains("Nobody is meant."));

    let evidence = ["--evidence", "ticket 7", "--reason", "no mail", "--yes"];
    let post = [&["change-channel", CAMPAIGN, "C0000009", "--to", "post"][..], &evidence].concat();
    let alone = amendment(&house, &post, &["ann"]);
    assert!(said(&alone).contains("two operators"), "{}", said(&alone));
    let output = amendment(&house, &post, &["ann", "bob"]);
    assert!(output.status.success(), "{}", said(&output));
    let wrong = amendment(
        &house,
        &["hold", CAMPAIGN, "--class", "waived", "--all", "--reason", "x", "--yes"],
        &["ann"],
    );
    assert!(said(&wrong).contains("`waived` is no class"), "{}", said(&wrong));
    let stranger = amendment(
        &house,
        &["hold", CAMPAIGN, "secret@post.example", "--reason", "x", "--yes"],
        &["ann"],
    );
    assert_eq!(stranger.status.code(), Some(1));
    assert!(!said(&stranger).contains("secret@"), "{}", said(&stranger));
    house.approve(Track::Notice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_of_many_pages_is_amended_page_by_page_and_nobody_twice() {
    let house = House::furnished(Plan { customers: 1, ..Plan::default() }).await;
    let mut rows = "customer_id,name,email\n".to_owned();
    for n in 0..2_300 {
        writeln!(rows, "A{n},Ana,a{n}@post.example").unwrap();
    }
    std::fs::write(house.path("affected.csv"), rows).unwrap();
    house.seal().await;
    write_settings(&house);
    let all = ["hold", CAMPAIGN, "--class", "queued", "--all", "--reason", "wait", "--yes"];
    let output = amendment(&house, &all, &["ann"]);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    for words in ["They are now: 2,300 queued.", "2,300 of 2,300 people", "2,300  held/operator"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(house.status().await.deliveries.held, 2_300);
    let list = house.path("all.txt");
    let accounts: Vec<String> = (0..2_300).rev().chain(0..5).map(|n| format!("A{n}")).collect();
    std::fs::write(&list, accounts.join("\n")).unwrap();
    let list = list.display().to_string();
    let words = ["withdraw", CAMPAIGN, "--from", &list, "--reason", "not ours", "--yes"];
    let output = amendment(&house, &words, &["ann"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("2,300 of 2,300 people"), "{}", said(&output));
}
