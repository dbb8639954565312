//! What is particular to Kratos: identities by the hundred, pages, patches that test, what may be refused.

use forthwith::directory::kratos::KratosDirectory;
use forthwith::directory::{Controls, Directory as _, DirectoryError, Replacement, RestFault};
use forthwith::domain::credential::CredentialKind;
use forthwith::secret::password::PasswordForm;
use forthwith::secret::replacement::{SecretValue, UnknownScheme, forge_as};

use super::stages::hashed;
use super::{PASSWORDS, change, held, read};
use crate::harness::kratos::{Kratos, Mood, TOKEN};

fn open(kratos: &Kratos, more: &str) -> Result<KratosDirectory, DirectoryError> {
    KratosDirectory::open(&kratos.settings(more), kratos.folder.path())
}

fn by_id(kratos: &Kratos, more: &str) -> KratosDirectory {
    let table = kratos.table_of_ids(kratos.port());
    let settings = toml::from_str(&format!("{table}{more}")).unwrap();
    KratosDirectory::open(&settings, kratos.folder.path()).unwrap()
}

fn names(many: usize) -> Vec<String> {
    (0..many).map(|number| format!("p{number}@mail.example")).collect()
}

/// Ten people with the password `word`.
async fn ten() -> (Kratos, KratosDirectory, Vec<Replacement>) {
    let kratos = Kratos::start().await;
    let hash = hashed(PasswordForm::Argon2id, "word");
    for name in names(10) {
        kratos.put(&name, Some(hash.clone()), 1);
    }
    let directory = open(&kratos, "").unwrap();
    let names = names(10);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = read(&directory, &names).await;
    let rows = found.iter().map(|now| change(&directory, now, 1)).collect();
    (kratos, directory, rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identities_are_read_by_the_hundred_whatever_order_they_come_in() {
    let kratos = Kratos::start().await;
    let hash = hashed(PasswordForm::Bcrypt, "word");
    let ids: Vec<String> =
        names(130).iter().map(|name| kratos.put(name, Some(hash.clone()), 0)).collect();
    let directory = by_id(&kratos, "batch = 200");
    let mut asked = ids.clone();
    asked.extend(["p1@mail.example", "", "..", "*"].map(str::to_owned));
    let found = directory.read(PASSWORDS, &asked).await.unwrap();
    let accounts: Vec<&String> = found.iter().map(|now| &now.account).collect();
    assert_eq!(accounts, ids.iter().collect::<Vec<_>>(), "in the order asked, and nobody else");
    assert_eq!(kratos.inside().count("GET /admin/identities?"), 2, "in two requests");
    assert!(kratos.inside().strays.is_empty());
    let rows: Vec<Replacement> = found.iter().map(|now| change(&directory, now, 2)).collect();
    let done = directory.replace(PASSWORDS, &rows[..5], &Controls::none()).await.unwrap();
    assert_eq!(done, 5);
    assert!(!kratos.logs_in("p0@mail.example", "word").await);
    assert!(kratos.logs_in("p9@mail.example", "word").await);
    // Ids as Kratos writes them, or two accounts would be one identity.
    let upper = [ids[7].to_uppercase()];
    assert!(directory.read(PASSWORDS, &upper).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_server_that_lists_without_credentials_is_asked_for_each() {
    let (kratos, directory, rows) = ten().await;
    kratos.inside().is_old = true;
    let id = kratos.with("p1@mail.example", |one| one.id.clone());
    let directory_by_id = by_id(&kratos, "");
    let found = read(&directory_by_id, &[&id]).await;
    assert_eq!(found[0].value.as_ref(), Some(&rows[1].current), "nobody is taken for bare");
    // by what it goes by it can be found only with its credentials
    assert_eq!(read(&directory, &["p1@mail.example"]).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_counted_through_all_pages_and_end_together() {
    let (kratos, directory, rows) = ten().await;
    let mut alive = Vec::new();
    for _ in 0..6 {
        alive.push(kratos.session_of("p1@mail.example", "word").await.unwrap());
    }
    kratos.with("p1@mail.example", |one| one.sessions[3].active = false);
    let alone = ["p1@mail.example".to_owned()];
    let found = directory.confirm(PASSWORDS, &alone).await.unwrap();
    assert_eq!(found[0].sessions, 6, "seven, of which one is over");
    assert!(kratos.is_alive(&alive[0]).await);
    directory.replace(PASSWORDS, &rows[1..2], &Controls::none()).await.unwrap();
    for token in &alive {
        assert!(!kratos.is_alive(token).await);
    }
    assert_eq!(directory.confirm(PASSWORDS, &alone).await.unwrap()[0].sessions, 0);
    // Nobody has any: that is no error.
    let ended = directory.end_sessions(CredentialKind::Session, &alone, &Controls::none()).await;
    assert_eq!(ended.unwrap(), 0);
    let all = names(10);
    let ended = directory.end_sessions(PASSWORDS, &all, &Controls::none()).await.unwrap();
    assert_eq!((ended, kratos.sessions()), (9, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_patience_gets_it_and_what_was_lost_is_settled_by_reading() {
    let (kratos, directory, rows) = ten().await;
    kratos.inside().mood = Mood::Busy(2);
    assert_eq!(directory.replace(PASSWORDS, &rows[..4], &Controls::none()).await.unwrap(), 4);
    kratos.inside().mood = Mood::LosesAnswers(6);
    let done = directory.replace(PASSWORDS, &rows[4..8], &Controls::none()).await.unwrap();
    assert!(done <= 4, "what was done by a try without an answer may not be counted");
    for row in &rows[4..8] {
        assert_eq!(held(&directory, &row.account).await.as_ref(), Some(&row.replacement));
        assert!(!kratos.logs_in(&row.account, "word").await);
    }
    kratos.inside().mood = Mood::Busy(1_000);
    let error = directory.replace(PASSWORDS, &rows[8..9], &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Rest(RestFault::Busy { status: 429, .. })), "{error}");
    assert!(error.is_transient() && error.told().contains("per_second"), "{}", error.told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_tried_again_and_whoever_is_refused_is_counted() {
    let (kratos, directory, rows) = ten().await;
    kratos.inside().mood = Mood::Conflicts(2);
    assert_eq!(directory.replace(PASSWORDS, &rows[..1], &Controls::none()).await.unwrap(), 1);
    kratos.inside().mood = Mood::Conflicts(1_000);
    let error = directory.replace(PASSWORDS, &rows[1..2], &Controls::none()).await.unwrap_err();
    assert!(error.to_string().contains("refuses 1 (status 409)") && error.is_of_rows(), "{error}");
    kratos.inside().mood = Mood::Well;
    kratos.with("p3@mail.example", |one| one.is_outdated = true);
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    assert!(error.is_of_rows() && !error.is_alarming(), "{error}");
    assert!(error.to_string().contains("of 10 accounts") && error.told().contains("400"));
    assert!(kratos.logs_in("p3@mail.example", "word").await);
    assert!(!kratos.logs_in("p4@mail.example", "word").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_vanishes_or_logs_in_elsewhere_is_nobodys_fault() {
    let (kratos, directory, rows) = ten().await;
    kratos.inside().mood = Mood::Deletes("p2@mail.example");
    assert_eq!(directory.replace(PASSWORDS, &rows[..4], &Controls::none()).await.unwrap(), 3);
    kratos.inside().mood = Mood::Well;
    kratos.put("sso@mail.example", None, 2);
    let like = Replacement { account: "sso@mail.example".into(), ..rows[5].clone() };
    assert_eq!(directory.replace(PASSWORDS, &[like], &Controls::none()).await.unwrap(), 0);
    assert_eq!(held(&directory, "sso@mail.example").await, None);
    assert!(kratos.with("sso@mail.example", |one| one.password.is_none()));
    // A password that is still to come from an older store by a webhook is there, and out of reach.
    let hook = |one: &mut crate::harness::kratos::Identity| {
        one.password =
            Some(crate::harness::kratos::Password { hash: String::new(), uses_hook: true });
    };
    kratos.with("p6@mail.example", hook);
    let value = held(&directory, "p6@mail.example").await.unwrap();
    let forged = forge_as(directory.scheme(PASSWORDS), value.expose(), &mut |_| {});
    assert_eq!(forged, Err(UnknownScheme::Elsewhere));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_is_of_either_form() {
    let (kratos, _, rows) = ten().await;
    for form in ["argon2id", "bcrypt"] {
        let directory = open(&kratos, &format!("form = \"{form}\"")).unwrap();
        let current = held(&directory, "p1@mail.example").await.unwrap();
        let word = format!("what p1 chose by {form}");
        let new = SecretValue::new(hashed(directory.password_form(), &word));
        let row = Replacement { account: rows[1].account.clone(), current, replacement: new };
        assert_eq!(directory.set(PASSWORDS, &[row], &Controls::none()).await.unwrap(), 1);
        assert!(kratos.logs_in("p1@mail.example", &word).await);
    }
    assert!(!kratos.logs_in("p1@mail.example", "word").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_and_a_control_account_show_what_may_go_wrong() {
    let (kratos, directory, rows) = ten().await;
    let controls =
        Controls::new(names(10)[9..].to_vec(), read(&directory, &["p9@mail.example"]).await);
    kratos.inside().mood = Mood::Reaches("p9@mail.example");
    let error = directory.replace(PASSWORDS, &rows[..2], &controls).await.unwrap_err();
    assert!(matches!(error, DirectoryError::ControlChanged { .. }), "{error}");
    let forge = |current: &str| Ok(super::forged(&directory, current, 4));
    kratos.inside().mood = Mood::TestsNothing;
    let few = names(6)[4..].to_vec();
    let error = directory.check(PASSWORDS, &few, &forge, &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::NotCompareAndSet { .. }), "{error}");
    assert!(kratos.logs_in("p4@mail.example", "word").await, "which harms nobody");
    kratos.inside().mood = Mood::Well;
    let both = ["p4@mail.example".to_owned(), " P4@mail.example".to_owned()];
    let error = directory.read(PASSWORDS, &both).await.unwrap_err();
    assert!(
        matches!(error, DirectoryError::Rest(RestFault::Ambiguous { place: 2, .. })),
        "{error}"
    );

    assert_eq!(directory.rehearsal_marker().await.unwrap(), None);
    kratos.mark(None);
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some(""));
    kratos.inside().identities.clear();
    kratos.mark(Some("0193"));
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some("0193"));
    std::fs::write(kratos.folder.path().join("token"), "another token").unwrap();
    let said = directory.rehearsal_marker().await.unwrap_err().told();
    assert!(said.contains("401") && !said.contains("another token"), "{said}");
    std::fs::write(kratos.folder.path().join("token"), TOKEN).unwrap();
    assert!(directory.rehearsal_marker().await.is_ok(), "it is read anew");
}
