//! What assistive technology is told, what the keyboard reaches, and what axe-core finds: every page, every
//! language, with scripts and without.

use super::{NEW, Scene};
use crate::harness::link::PAGE;
use crate::harness::snapshot;

/// The pages that anybody reaches by their address.
pub const OPEN: [&str; 8] =
    ["", "/code", "/link", "/notice", "/questions", "/verify", "/not-me", "/no-such-page"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_nothing_on_any_page_in_any_language() {
    let mut scene = Scene::set("link").await;
    let languages: Vec<String> =
        scene.served.portal.pages().languages().map(|(tag, _)| tag.to_owned()).collect();
    let mut found = Vec::new();
    for (at, language) in languages.iter().enumerate() {
        scene.browser.open(true);
        for page in OPEN {
            scene.browser.goto(&format!("{PAGE}{page}?lang={language}"));
            let violations = scene.browser.violations();
            found.extend(violations.into_iter().map(|what| format!("{language} {page}: {what}")));
            scene.browser.picture(&format!("page-{language}{}", page.replace('/', "-")));
        }
        found.extend(behind_a_code(&mut scene, &format!("u{}", at + 1), language).await);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The pages that only a visit reaches: a refused code, the password's form, its refusal, the end.
async fn behind_a_code(scene: &mut Scene, login: &str, language: &str) -> Vec<String> {
    // each language somebody else: a mailbox gets a few codes an hour
    let user = scene.site.user(login).clone();
    let texts = scene.served.portal.pages().clone();
    let text = |key: &str| texts.text(language, key, &[]);
    let mut found = Vec::new();
    scene.browser.goto(&format!("{PAGE}?lang={language}"));
    scene.browser.click("button", &text("start_button"));
    let mut look = |scene: &mut Scene, what: &str| {
        let violations = scene.browser.violations();
        found.extend(violations.into_iter().map(|found| format!("{language} {what}: {found}")));
    };
    look(scene, "no address");
    scene.browser.fill(&text("address_label"), &user.address);
    scene.browser.click("button", &text("start_button"));
    scene.served.post().await;
    scene.browser.fill(&text("code_label"), "1234");
    scene.browser.click("button", &text("code_button"));
    look(scene, "half a code");
    let code = scene.house.code_to(&user.address).unwrap();
    scene.browser.fill(&text("code_label"), &code);
    scene.browser.click("button", &text("code_button"));
    look(scene, "password");
    scene.browser.fill(&text("password_label"), "short");
    scene.browser.click("button", &text("password_button"));
    look(scene, "refused password");
    scene.browser.picture(&format!("page-{language}-refused"));
    scene.browser.fill(&text("password_label"), NEW);
    scene.browser.click("button", &text("password_button"));
    look(scene, "done");
    scene.browser.picture(&format!("page-{language}-done"));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_reads_in_its_order_as_its_snapshot() {
    let mut scene = Scene::set("link").await;
    scene.browser.open(false);
    let mut told = Vec::new();
    for page in OPEN {
        scene.browser.goto(&format!("{PAGE}{page}"));
        let name = if page.is_empty() { "start" } else { &page[1..] };
        told.push((format!("portal/{name}.txt"), scene.browser.tree() + "\n"));
    }
    scene.browser.goto(PAGE);
    scene.browser.click("button", "Send code");
    told.push(("portal/start-refused.txt".to_owned(), scene.browser.tree() + "\n"));
    snapshot::all(told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyboard_alone_is_enough_from_the_address_to_the_end() {
    let mut scene = Scene::set("site").await;
    let user = scene.site.user("u1").clone();
    scene.browser.open(true);
    for page in OPEN {
        scene.browser.goto(&format!("{PAGE}{page}"));
        let stops = scene.browser.stops();
        assert!(stops[0].contains("Skip to the main content"), "{page}: {stops:?}");
        let named = |stop: &&String| !stop.contains("\"\"");
        assert_eq!(stops.iter().filter(named).count(), stops.len(), "{page}: {stops:?}");
    }
    scene.browser.goto(PAGE);
    press_to(&mut scene, "Email address");
    type_in(&mut scene, &user.address);
    press(&mut scene, "Enter");
    scene.served.post().await;
    press_to(&mut scene, "Code with 12 digits");
    let code = scene.house.code_to(&user.address).unwrap();
    type_in(&mut scene, &code);
    press(&mut scene, "Enter");
    press_to(&mut scene, "New password");
    type_in(&mut scene, "short");
    press(&mut scene, "Enter");
    let focus = scene.browser.act("focus", serde_json::json!({}));
    assert!(focus["focus"].as_str().unwrap_or_default().contains("problem"), "{focus}");
    press_to(&mut scene, "New password");
    type_in(&mut scene, NEW);
    press(&mut scene, "Enter");
    let said = scene.browser.text();
    assert!(said.contains("Your new password is saved"), "{said}");
}

fn press(scene: &mut Scene, key: &str) {
    scene.browser.act("press", serde_json::json!({"key": key}));
}

/// Presses Tab until this field has the focus.
fn press_to(scene: &mut Scene, name: &str) {
    for _ in 0..40 {
        press(scene, "Tab");
        let focus = scene.browser.act("focus", serde_json::json!({}));
        let focus = focus["focus"].as_str().unwrap_or_default().to_owned();
        if focus.starts_with("textbox") && focus.contains(name) {
            return;
        }
    }
    panic!("{name} is not reached");
}

fn type_in(scene: &mut Scene, text: &str) {
    for character in text.chars() {
        let key = if character == ' ' { "Space".to_owned() } else { character.to_string() };
        press(scene, &key);
    }
}
