//! The examples of `docs/integrate.md`, run as they stand.

use std::process::{Command, Output};

use forthwith::secret::webhook::{WebhookKey, signature};

use super::secured;
use crate::harness::secret_file;

const DOCUMENT: &str = include_str!("../../../docs/integrate.md");
const KEY: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// The shell example that begins with this comment.
fn example(comment: &str) -> String {
    let begins = format!("```sh\n# {comment}\n");
    let (_, rest) = DOCUMENT.split_once(&begins).expect("the document has that example");
    rest.split_once("\n```").expect("it ends").0.to_owned()
}

fn run(folder: &std::path::Path, script: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("bash");
    command.args(["-e", "-u", "-c", script]).current_dir(folder);
    command.envs(variables.iter().copied()).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_question_by_hand_is_answered_and_its_answer_believed() {
    let house = secured().await;
    let key = secret_file(&house.path("status.key"), &format!("{KEY}\n"));
    let other = secret_file(&house.path("other.key"), &KEY.replace('9', "8"));
    let (ours, theirs) = (key.display().to_string(), other.display().to_string());
    let served = house.portal_set(|settings| settings.status_key = Some(key)).await;
    let portal = served.portal.page().to_string();
    let ask = async |key: &str, account: &str| {
        let (folder, portal) = (house.dir.path().to_owned(), portal.clone());
        let (key, account) = (key.to_owned(), account.to_owned());
        let asked = move || {
            let variables =
                [("PORTAL", portal.as_str()), ("KEY_FILE", &key), ("ACCOUNT", &account)];
            run(&folder, &example("ask"), &variables)
        };
        tokio::task::spawn_blocking(asked).await.unwrap()
    };
    for (account, state) in [("C0000010", "expired"), ("it's nobody", "unaffected")] {
        let done = ask(&ours, account).await;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{said} {}", String::from_utf8_lossy(&done.stderr));
        let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answer["state"], state, "{account}");
    }
    let refused = ask(&theirs, "C0000010").await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("404"), "{said}");
}

#[test]
fn the_check_of_an_event_by_hand_tells_ours_from_another() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = secret_file(&folder.path().join("event.key"), &format!("{KEY}\n"));
    let key = WebhookKey::read(&key_file, "test").unwrap();
    let body = r#"{"event":"reset","id":"5c1d","account":"C0000010"}"#;
    let signed = signature("1795764476", &key.sign(&["1795764476"], body.as_bytes()));
    let variables = [("SIGNED", signed.as_str()), ("KEY_FILE", key_file.to_str().unwrap())];
    for (kept, is_ours) in [(body.to_owned(), true), (body.replace('0', "1"), false)] {
        std::fs::write(folder.path().join("event"), kept).unwrap();
        let done = run(folder.path(), &example("check an event"), &variables);
        assert_eq!(done.status.success(), is_ours);
        assert_eq!(String::from_utf8_lossy(&done.stdout).contains("it is theirs"), is_ours);
    }
}

/// What the document tells of states and waits is what the program has.
#[test]
fn every_state_is_in_the_document() {
    for class in forthwith::domain::credential::CredentialClass::ALL {
        assert!(DOCUMENT.contains(&format!("`{class}`")), "{class}");
    }
    assert!(DOCUMENT.contains("`unaffected`"));
}
