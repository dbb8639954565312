//! A language that is written from right to left, made of a file of texts alone: the pages turn around, and
//! codes, numbers and addresses do not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{NEW, Scene};
use crate::harness::link::PAGE;
use crate::harness::{House, write};

/// The letters that stand for `a` to `z`.
const LETTERS: [char; 26] = [
    'ا', 'ب', 'ت', 'ث', 'ج', 'ح', 'خ', 'د', 'ذ', 'ر', 'ز', 'س', 'ش', 'ص', 'ض', 'ط', 'ظ', 'ع', 'غ',
    'ف', 'ق', 'ك', 'ل', 'م', 'ن', 'ه',
];

/// The English texts in other letters; what stands in braces stays.
fn texts() -> BTreeMap<String, String> {
    let english = include_str!("../../../templates/portal/texts/en.toml");
    let mut texts: BTreeMap<String, String> = toml::from_str(english).unwrap();
    for text in texts.values_mut() {
        let mut is_name = false;
        let turned = text.chars().map(|character| {
            is_name = (is_name || character == '{') && character != '}';
            let place = u32::from(character.to_ascii_lowercase()).wrapping_sub(u32::from('a'));
            match LETTERS.get(place as usize) {
                Some(letter) if !is_name => *letter,
                _ => character,
            }
        });
        *text = turned.collect();
    }
    texts.insert("language".to_owned(), "العربية".to_owned());
    texts.insert("direction".to_owned(), "rtl".to_owned());
    texts
}

fn add_language(house: &House) {
    let text = toml::to_string(&texts()).unwrap();
    write(&house.path("templates/portal/texts/ar.toml"), &text);
}

/// How far from the left the first and the last characters of a text stand that is somewhere on the page.
fn ends(scene: &mut Scene, text: &str) -> (f64, f64) {
    let script = format!(
        "(() => {{
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {{
                const at = walker.currentNode.data.indexOf({text:?});
                if (at < 0) continue;
                const of = (place) => {{
                    const range = document.createRange();
                    range.setStart(walker.currentNode, place);
                    range.setEnd(walker.currentNode, place + 1);
                    return range.getBoundingClientRect().left;
                }};
                return [of(at), of(at + {} - 1)];
            }}
            return null;
        }})()",
        text.len()
    );
    let found = scene.browser.act("eval", json!({ "script": script }));
    let place = |at: usize| found["value"][at].as_f64().unwrap_or_else(|| panic!("{text} {found}"));
    (place(0), place(1))
}

fn directions(scene: &mut Scene, names: &[&str]) -> Vec<Value> {
    let of = |name: &str| format!("getComputedStyle(document.getElementById('{name}')).direction");
    let all: Vec<String> = names.iter().map(|name| of(name)).collect();
    let script = format!("[document.documentElement.dir, {}]", all.join(", "));
    let found = scene.browser.act("eval", json!({ "script": script }));
    found["value"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_language_from_right_to_left_turns_the_pages_and_no_code_or_address() {
    let mut scene = Scene::prepared("link", |house, _| add_language(house)).await;
    let pages = scene.served.portal.pages().clone();
    let text = |key: &str| pages.text("ar", key, &[]);
    let mut found = Vec::new();
    scene.browser.open(true);
    let mut look = |scene: &mut Scene, what: &str| {
        let violations = scene.browser.violations();
        found.extend(violations.into_iter().map(|found| format!("{what}: {found}")));
        scene.browser.picture(&format!("page-ar-{what}"));
    };
    for page in super::access::OPEN {
        scene.browser.goto(&format!("{PAGE}{page}?lang=ar"));
        look(&mut scene, page.trim_start_matches('/'));
    }
    scene.browser.goto(&format!("{PAGE}?lang=ar"));
    assert_eq!(directions(&mut scene, &["address"]), ["rtl", "ltr"]);
    for whole in ["+44 20 7946 0000", "help@northwind.example", "www.northwind.example"] {
        let (first, last) = ends(&mut scene, whole);
        assert!(first < last, "{whole} runs from right to left: {first} {last}");
    }
    let user = scene.site.user("u1").clone();
    scene.browser.fill(&text("address_label"), &user.address);
    scene.browser.click("button", &text("start_button"));
    scene.served.post().await;
    assert_eq!(directions(&mut scene, &["code"]), ["rtl", "ltr"]);
    let (first, last) = ends(&mut scene, "1234-5678-9012");
    assert!(first < last, "the groups of a code stand in their order");
    let code = scene.house.code_to(&user.address).unwrap();
    scene.browser.fill(&text("code_label"), &code);
    look(&mut scene, "typed-code");
    scene.browser.click("button", &text("code_button"));
    scene.browser.fill(&text("password_label"), "short");
    scene.browser.click("button", &text("password_button"));
    look(&mut scene, "refused");
    scene.browser.fill(&text("password_label"), NEW);
    scene.browser.click("button", &text("password_button"));
    look(&mut scene, "done");
    assert!(scene.browser.text().contains(&text("done_title")), "{}", scene.browser.text());
    assert!(scene.site.logs_in("u1", NEW).await);
    assert!(found.is_empty(), "{}", found.join("\n"));
}
