//! What is particular to Keycloak: tokens, names, what may be refused, sessions that a log-out leaves standing.

use std::sync::Arc;

use forthwith::directory::keycloak::KeycloakDirectory;
use forthwith::directory::{Controls, Directory as _, DirectoryError, Replacement, RestFault};
use forthwith::domain::clock::SystemClock;
use forthwith::domain::credential::CredentialKind;
use forthwith::secret::password::PasswordForm;
use forthwith::secret::replacement::{SecretValue, UnknownScheme, forge_as};

use super::stages::hashed;
use super::{PASSWORDS, change, held, read};
use crate::harness::keycloak::{Keycloak, Mood, SECRET};

async fn open(keycloak: &Keycloak, more: &str) -> Result<KeycloakDirectory, DirectoryError> {
    let settings = keycloak.settings(more);
    KeycloakDirectory::open(&settings, keycloak.folder.path(), Arc::new(SystemClock)).await
}

fn names(many: usize) -> Vec<String> {
    (0..many).map(|number| format!("p{number}")).collect()
}

/// Ten people with the password `word`.
async fn ten() -> (Keycloak, KeycloakDirectory, Vec<Replacement>) {
    let keycloak = Keycloak::start().await;
    for name in names(10) {
        keycloak.put(&name, Some("word"), 1);
    }
    let directory = open(&keycloak, "").await.unwrap();
    let names = names(10);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = read(&directory, &names).await;
    let rows = found.iter().map(|now| change(&directory, now, 1)).collect();
    (keycloak, directory, rows)
}

const TOKENS: &str = "POST /realms/brand/protocol/openid-connect/token";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_lapses_in_the_middle_of_a_batch_is_asked_for_anew() {
    let (keycloak, _, rows) = ten().await;
    keycloak.inside().token_uses = 20;
    let directory = open(&keycloak, "").await.unwrap();
    let before = keycloak.inside().count(TOKENS);
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 10);
    let asked = keycloak.inside().count(TOKENS) - before;
    assert!((2..20).contains(&asked), "once for each that lapsed, not by each request: {asked}");
    assert!(!keycloak.logs_in("p9", "word").await);
    // A server that takes no token at all is not asked for ever.
    keycloak.inside().token_uses = 0;
    keycloak.inside().end_tokens();
    let error = directory.read(PASSWORDS, &names(1)).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Rest(RestFault::Forbidden { status: 401, .. })));
    assert!(error.told().contains("secret"), "{}", error.told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_told_without_it() {
    let keycloak = Keycloak::start().await;
    std::fs::write(keycloak.folder.path().join("secret"), "another secret").unwrap();
    let error = open(&keycloak, "").await.unwrap_err();
    let said = format!("{} {error:?}", error.told());
    assert!(said.contains("asking for a token") && said.contains("401"), "{said}");
    assert!(!said.contains("another secret") && !said.contains("127.0.0.1"), "{said}");
    std::fs::write(keycloak.folder.path().join("secret"), SECRET).unwrap();
    open(&keycloak, "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_patience_gets_it_and_what_was_lost_is_asked_again() {
    let (keycloak, directory, rows) = ten().await;
    keycloak.inside().mood = Mood::Busy(2);
    assert_eq!(directory.replace(PASSWORDS, &rows[..4], &Controls::none()).await.unwrap(), 4);
    keycloak.inside().mood = Mood::LosesAnswers(5);
    assert_eq!(directory.replace(PASSWORDS, &rows[4..8], &Controls::none()).await.unwrap(), 4);
    keycloak.inside().mood = Mood::Busy(1_000);
    let error = directory.replace(PASSWORDS, &rows[8..9], &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Rest(RestFault::Busy { status: 429, tries: 4, .. })));
    assert!(error.is_transient() && error.told().contains("per_second"), "{}", error.told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_is_counted_and_the_others_are_done() {
    let (keycloak, directory, rows) = ten().await;
    keycloak.with("p3", |user| user.is_incomplete = true);
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    assert!(error.is_of_rows() && !error.is_alarming(), "{error}");
    assert!(error.to_string().contains("refuses 1 (status 400)"), "{error}");
    assert!(error.told().contains("profile"), "{}", error.told());
    assert!(keycloak.logs_in("p3", "word").await && !keycloak.logs_in("p4", "word").await);
    assert_eq!(directory.replace(PASSWORDS, &rows[..3], &Controls::none()).await.unwrap(), 0);
    keycloak.with("p3", |user| user.is_incomplete = false);
    keycloak.inside().mood = Mood::Conflicts("p3");
    let error = directory.replace(PASSWORDS, &rows[3..4], &Controls::none()).await.unwrap_err();
    assert!(error.to_string().contains("(status 409)") && error.is_of_rows(), "{error}");
    keycloak.inside().mood = Mood::Well;
    assert_eq!(directory.replace(PASSWORDS, &rows[3..4], &Controls::none()).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_vanishes_in_between_is_nobodys_fault() {
    let (keycloak, directory, rows) = ten().await;
    keycloak.inside().mood = Mood::Deletes("p2");
    assert_eq!(directory.replace(PASSWORDS, &rows[..4], &Controls::none()).await.unwrap(), 3);
    let left = read(&directory, &["p1", "p2", "p3"]).await;
    assert_eq!(left.len(), 2, "it is not there any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_logs_in_elsewhere_has_no_password_and_gets_none() {
    let (keycloak, directory, rows) = ten().await;
    // By another identity provider: no password is stored at all.
    keycloak.put("sso", None, 2);
    let alone = ["sso".to_owned()];
    assert_eq!(held(&directory, "sso").await, None);
    let like = Replacement { account: "sso".into(), ..rows[0].clone() };
    assert_eq!(directory.replace(PASSWORDS, &[like], &Controls::none()).await.unwrap(), 0);
    assert_eq!(held(&directory, "sso").await, None);
    let ended = directory.end_sessions(PASSWORDS, &alone, &Controls::none()).await.unwrap();
    assert_eq!((ended, keycloak.with("sso", |user| user.sessions.len())), (0, 0), "once");
    assert!(
        !keycloak.with("sso", |user| user.credentials.iter().any(|one| one.kind == "password"))
    );
    // Out of LDAP: the password is there, and is neither none nor one of ours to replace.
    keycloak.put("far", None, 0);
    keycloak.with("far", |user| user.federation_link = Some("ldap".into()));
    let value = held(&directory, "far").await.unwrap();
    let forged = forge_as(directory.scheme(PASSWORDS), value.expose(), &mut |_| {});
    assert_eq!(forged, Err(UnknownScheme::Elsewhere));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_ends_what_applications_keep_too() {
    let (keycloak, directory, rows) = ten().await;
    let online = keycloak.session_of("p1", "word", "openid").await.unwrap();
    let offline = keycloak.session_of("p1", "word", "openid offline_access").await.unwrap();
    assert!(keycloak.is_alive(&online).await && keycloak.is_alive(&offline).await);
    let found = directory.confirm(PASSWORDS, &["p1".to_owned()]).await.unwrap();
    assert_eq!(found[0].sessions, 3, "one of before, and two");
    directory.replace(PASSWORDS, &rows[1..2], &Controls::none()).await.unwrap();
    assert!(!keycloak.is_alive(&online).await && !keycloak.is_alive(&offline).await);
    let found = directory.confirm(PASSWORDS, &["p1".to_owned()]).await.unwrap();
    assert_eq!(found[0].sessions, 0);
    let both = ["p1".to_owned(), "p2".to_owned(), "nobody".to_owned()];
    let counted = directory.read(CredentialKind::Session, &both).await.unwrap();
    let counted: Vec<u64> = counted.iter().map(|now| now.sessions).collect();
    assert_eq!(counted, [0, 1, 0], "everybody asked for is answered");
    let ended = directory.end_sessions(CredentialKind::Session, &both, &Controls::none()).await;
    assert_eq!(ended.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_hashed_anew_at_a_log_in_is_still_the_same() {
    let (keycloak, _, rows) = ten().await;
    keycloak.inside().rehashes = true;
    for form in ["keycloak-argon2", "keycloak-pbkdf2"] {
        let directory = open(&keycloak, &format!("form = \"{form}\"")).await.unwrap();
        let current = held(&directory, "p1").await.unwrap();
        let new = SecretValue::new(hashed(directory.password_form(), "what p1 chose"));
        let chosen = directory.chosen(new);
        let row =
            Replacement { account: "p1".into(), current, replacement: chosen.written.clone() };
        assert_eq!(directory.set(PASSWORDS, &[row], &Controls::none()).await.unwrap(), 1);
        let before = keycloak.with("p1", |user| user.credentials[0].clone());
        assert!(keycloak.logs_in("p1", "what p1 chose").await, "{form}");
        assert!(!keycloak.logs_in("p1", "word").await);
        assert_ne!(keycloak.with("p1", |user| user.credentials[0].clone()), before);
        assert_eq!(held(&directory, "p1").await.unwrap(), chosen.shown);
        assert!(!chosen.shown.expose().contains("secretData"));
    }
    // Dated by us at the choice, and by Keycloak's own time of before at a kill.
    let directory = open(&keycloak, "").await.unwrap();
    directory.replace(PASSWORDS, &rows[2..3], &Controls::none()).await.unwrap();
    let found = read(&directory, &["p1", "p2"]).await;
    let year = |at: usize| found[at].changed_at.unwrap().to_string()[..4].to_owned();
    assert!(year(0).as_str() >= "2026" && year(1) == "2011", "{} {}", year(0), year(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_chose_a_password_is_not_asked_for_another() {
    let (keycloak, directory, rows) = ten().await;
    let actions = ["UPDATE_PASSWORD", "CONFIGURE_TOTP"].map(str::to_owned).to_vec();
    keycloak.with("p1", |user| user.required_actions = actions);
    directory.replace(PASSWORDS, &rows[1..2], &Controls::none()).await.unwrap();
    assert_eq!(keycloak.with("p1", |user| user.required_actions.len()), 2, "a kill leaves them");
    let new = directory.chosen(SecretValue::new(hashed(PasswordForm::KeycloakArgon2, "chosen")));
    let current = rows[1].replacement.clone();
    let row = Replacement { account: "p1".into(), current, replacement: new.written };
    directory.set(PASSWORDS, &[row], &Controls::none()).await.unwrap();
    assert_eq!(keycloak.with("p1", |user| user.required_actions.clone()), ["CONFIGURE_TOTP"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_found_by_the_whole_of_a_name_alone() {
    let (keycloak, directory, rows) = ten().await;
    keycloak.put("p1.other", Some("word"), 1);
    keycloak.put("a b+c/d%?&", Some("word"), 1);
    assert_eq!(
        read(&directory, &["P1", "p", "a b+c/d%?&", "service-account-forthwith"]).await.len(),
        3
    );
    assert_eq!(directory.logs_in_as().as_deref(), Some("service-account-forthwith"));
    let both = ["p1".to_owned(), "P1".to_owned()];
    let error = directory.read(PASSWORDS, &both).await.unwrap_err();
    assert!(
        matches!(error, DirectoryError::Rest(RestFault::Ambiguous { place: 2, .. })),
        "{error}"
    );
    let by_id = open(&keycloak, "account = \"id\"").await.unwrap();
    let id = keycloak.with("p1", |user| user.id.clone());
    let row = change(&by_id, &read(&by_id, &[&id]).await[0], 3);
    assert_eq!(row.current, rows[1].current);
    assert_eq!(by_id.replace(PASSWORDS, &[row], &Controls::none()).await.unwrap(), 1);
    assert!(read(&by_id, &["p1", "", "..", "."]).await.is_empty());
    let error = by_id.read(CredentialKind::ApiKey, &[id]).await.unwrap_err();
    assert!(error.told().contains("api-key"), "{}", error.told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_and_a_control_account_show_what_may_go_wrong() {
    let (keycloak, directory, rows) = ten().await;
    let controls = Controls::new(names(10)[9..].to_vec(), read(&directory, &["p9"]).await);
    keycloak.inside().mood = Mood::Reaches("p9");
    let error = directory.replace(PASSWORDS, &rows[..2], &controls).await.unwrap_err();
    assert!(matches!(error, DirectoryError::ControlChanged { .. }), "{error}");
    keycloak.inside().mood = Mood::Well;
    keycloak.with("p5", |user| user.is_out_of_reach = true);
    let forge = |current: &str| Ok(super::forged(&directory, current, 4));
    let few = names(6)[4..].to_vec();
    let error = directory.check(PASSWORDS, &few, &forge, &Controls::none()).await.unwrap_err();
    assert!(error.to_string().contains("status 403"), "{error}");
    let report = directory.check(PASSWORDS, &few[..1], &forge, &Controls::none()).await.unwrap();
    assert_eq!((report.was_tried, report.read, report.sessions), (false, 1, 1), "{report:?}");

    assert_eq!(directory.rehearsal_marker().await.unwrap(), None);
    keycloak.inside().marker = Some("0193".into());
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some("0193"));
    keycloak.inside().may_see_realm = false;
    let said = directory.rehearsal_marker().await.unwrap_err().told();
    assert!(said.contains("403") && said.contains("rights"), "{said}");
}
