//! The page of whoever waits in line, and the choice of whoever has several accounts.

use serde_json::json;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::{NEW, Scene};
use crate::harness::link::PAGE;
use crate::harness::snapshot;

/// Two accounts at one mailbox, whose owner typed the code.
async fn at_the_choice() -> Scene {
    let mut scene = Scene::prepared("site", |_, users| {
        let address = users[0].address.clone();
        users[1].address = address;
    })
    .await;
    scene.browser.open(true);
    scene.browser.goto(PAGE);
    let address = scene.site.users[0].address.clone();
    scene.browser.fill("Email address", &address);
    scene.browser.click("button", "Send code");
    scene.served.post().await;
    let code = scene.house.code_to(&address).unwrap();
    scene.browser.fill("Code with 12 digits", &code);
    scene.browser.click("button", "Continue");
    scene
}

/// What axe-core finds on this page in each language; the page is English afterwards.
fn in_each_language(scene: &mut Scene, page: &str) -> Vec<String> {
    let pages = scene.served.portal.pages().clone();
    let mut found = Vec::new();
    for language in pages.languages().map(|(tag, _)| tag).chain(["en"]) {
        scene.browser.goto(&format!("{PAGE}{page}?lang={language}"));
        let violations = scene.browser.violations();
        found.extend(violations.into_iter().map(|what| format!("{language} {page}: {what}")));
        scene.browser.picture(&format!("page-{language}{}", page.replace('/', "-several-")));
    }
    found
}

/// Sends a new password for the first account.
fn choose_first(scene: &mut Scene, language: &str) {
    scene.browser.goto(&format!("{PAGE}/password?lang={language}"));
    let script = format!(
        "document.getElementById('account-0').click();\
         document.getElementById('password').value = '{NEW}';\
         document.querySelector('form[method=post]').submit()"
    );
    scene.browser.act("eval", json!({ "script": script }));
}

/// As [`in_each_language`], on the page of whoever waits: a directory that is locked is waited for so long and
/// no longer, which a busy machine may need for a look in five languages, so whoever fell out of the line
/// lines up again.
async fn in_line_in_each_language(scene: &mut Scene) -> Vec<String> {
    let pages = scene.served.portal.pages().clone();
    let mut found = Vec::new();
    for language in pages.languages().map(|(tag, _)| tag).chain(["en"]) {
        let mut seen = None;
        for _ in 0..5 {
            scene.browser.goto(&format!("{PAGE}/wait?lang={language}"));
            let violations = scene.browser.violations();
            scene.browser.picture(&format!("page-{language}-several-wait"));
            let script = "document.querySelector('form[action$=\"/wait\"]') !== null";
            if scene.browser.act("eval", json!({ "script": script }))["value"] == json!(true) {
                seen = Some(violations);
                break;
            }
            choose_first(scene, language);
            tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        }
        let violations = seen.expect("a page that says to wait");
        found.extend(violations.into_iter().map(|what| format!("{language} /wait: {what}")));
    }
    found
}

/// Waits until the page says so: a form is answered after the time it has patience for.
async fn shows(scene: &mut Scene, text: &str) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let said = scene.browser.text();
        if said.contains(text) {
            return;
        }
        assert!(std::time::Instant::now() < until, "no `{text}` in: {said}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_or_chooses_finds_a_page_without_fault_in_every_language() {
    let mut scene = at_the_choice().await;
    let mut told = Vec::new();
    let mut found = in_each_language(&mut scene, "/password");
    told.push(("portal/several.txt".to_owned(), scene.browser.tree() + "\n"));
    scene.browser.fill("New password", NEW);
    scene.browser.click("button", "Save new password");
    let violations = scene.browser.violations();
    found.extend(violations.into_iter().map(|what| format!("none chosen: {what}")));
    told.push(("portal/several-refused.txt".to_owned(), scene.browser.tree() + "\n"));

    // whoever holds the company's database makes a line
    let options = SqliteConnectOptions::new().filename(&scene.file);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    scene.browser.act("eval", json!({"script": "document.getElementById('account-0').click()"}));
    scene.browser.fill("New password", NEW);
    scene.browser.click("button", "Save new password");
    shows(&mut scene, "Your place is kept").await;
    told.push(("portal/wait.txt".to_owned(), scene.browser.tree() + "\n"));
    assert!(scene.browser.text().contains("Place in line: 1"), "{}", scene.browser.text());
    found.extend(in_line_in_each_language(&mut scene).await);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    for _ in 0..5 {
        while scene.browser.text().contains("Your place is kept") {
            scene.browser.click("button", "Check now");
        }
        if scene.browser.text().contains("Your new password is saved") {
            break;
        }
        // the company's database was waited for in vain meanwhile
        choose_first(&mut scene, "en");
    }
    let said = scene.browser.text();
    assert!(said.contains("Your new password is saved"), "{said}");
    assert!(said.contains("Another account"), "{said}");
    let logins = [0, 1].map(|at| scene.site.users[at].login.clone());
    let mut opened = 0;
    for login in &logins {
        opened += u32::from(scene.site.logs_in(login, NEW).await);
    }
    assert_eq!(opened, 1, "the one that was chosen");
    assert!(found.is_empty(), "{}", found.join("\n"));
    snapshot::all(told);
}
