//! What is particular to LDAP, on Debian's `OpenLDAP` with its password policy.

use std::time::{Duration, Instant};

use forthwith::directory::ldap::{LdapDirectory, LdapDirectorySettings, LdapFault};
use forthwith::directory::{Controls, Directory, DirectoryError, Replacement};
use forthwith::domain::credential::CredentialKind;
use forthwith::secret::password::PasswordForm;
use forthwith::secret::replacement::SecretValue;
use forthwith::sink::{CertificateKind, Certificates};

use super::stages::hashed;
use super::{PASSWORDS, change, held, read};
use crate::harness::slapd::{Holding, PASSWORD, SUFFIX, Slapd};
use crate::harness::wire::{Condition, Wire};

fn people(list: &[(&str, &'static str, &str)]) -> Vec<(String, &'static str, String)> {
    list.iter().map(|(uid, scheme, word)| ((*uid).into(), *scheme, (*word).into())).collect()
}

fn holding(list: &[(&str, &'static str, &str)]) -> Holding {
    Holding { people: people(list), ..Holding::default() }
}

async fn open(slapd: &Slapd, more: &str) -> Result<LdapDirectory, DirectoryError> {
    LdapDirectory::open(&slapd.settings(more), slapd.folder.path()).await
}

fn told(result: Result<LdapDirectory, DirectoryError>) -> String {
    let error = result.unwrap_err();
    let said = format!("{} {error:?}", error.told());
    assert!(!said.contains(PASSWORD) && said.contains("hint: "), "{said}");
    error.told()
}

/// An entry with these stored passwords.
fn entry(uid: &str, stored: &[&str]) -> String {
    let values: Vec<String> =
        stored.iter().map(|value| format!("userPassword: {value}\n")).collect();
    let values = values.concat();
    format!(
        "dn: uid={uid},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: N\nsn: N\n{values}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_password_does_not_outlive_the_first() {
    let entries = entry("ann", &["one of two", "the other"]);
    let slapd = Slapd::start(&Holding { entries, ..Holding::default() });
    assert!(slapd.logs_in("ann", "one of two") && slapd.logs_in("ann", "the other"));
    let directory = open(&slapd, "").await.unwrap();
    let found = read(&directory, &["ann"]).await;
    assert_eq!(found.len(), 2, "both are told");
    let rows: Vec<Replacement> = found.iter().map(|now| change(&directory, now, 1)).collect();
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 1);
    assert!(!slapd.logs_in("ann", "one of two") && !slapd.logs_in("ann", "the other"));
    assert_eq!(slapd.values("ann", "userPassword").len(), 1);

    // Whoever knows of one alone takes the other along.
    slapd.modify(&format!(
        "dn: uid=ann,ou=people,{SUFFIX}\nchangetype: modify\nadd: userPassword\nuserPassword: third\n"
    ));
    let current = rows[0].replacement.clone();
    let replacement = super::forged(&directory, "another", 2);
    let row = Replacement { account: "ann".into(), current, replacement };
    assert_eq!(directory.replace(PASSWORDS, &[row], &Controls::none()).await.unwrap(), 1);
    assert!(!slapd.logs_in("ann", "third"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scheme_of_the_server_is_replaced_and_every_form_lets_in() {
    let bcrypt = hashed(PasswordForm::LdapCrypt, "word 2");
    let mut entries = entry("bob", &[&bcrypt]) + &entry("cleo", &["{MD5}X03MO1qnZdYdgyfeuILPmQ=="]);
    // In Latin-1, in base64 as LDIF has it.
    entries += &entry("dora", &[": cORzc3dvcnQ="]).replace("userPassword: :", "userPassword::");
    let slapd = Slapd::start(&Holding { entries, ..holding(&[("ann", "{SSHA}", "word 1")]) });
    assert!(slapd.logs_in("ann", "word 1") && slapd.logs_in("bob", "word 2"));
    assert!(slapd.logs_in("cleo", "password"));
    let directory = open(&slapd, "").await.unwrap();
    let found = read(&directory, &["ann", "bob", "cleo", "dora"]).await;
    let rows: Vec<Replacement> = found.iter().map(|now| change(&directory, now, 2)).collect();
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 4);
    for (uid, old) in [("ann", "word 1"), ("bob", "word 2"), ("cleo", "password")] {
        assert!(!slapd.logs_in(uid, old), "{uid}");
    }
    let stored = slapd.values("dora", "userPassword");
    assert!(stored[0].starts_with("{SSHA}"), "what was in clear is a hash: {}", stored[0]);
    assert!(slapd.values("bob", "userPassword")[0].starts_with("{CRYPT}$2y$12$"));

    for (row, form) in rows.iter().zip([PasswordForm::LdapArgon2, PasswordForm::LdapCrypt]) {
        let replacement = SecretValue::new(hashed(form, "a new word"));
        let set = Replacement {
            account: row.account.clone(),
            current: row.replacement.clone(),
            replacement,
        };
        assert_eq!(directory.set(PASSWORDS, &[set], &Controls::none()).await.unwrap(), 1);
        assert!(slapd.logs_in(&row.account, "a new word"), "{form:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_takes_no_hashes_is_told_before_and_while_writing() {
    let list = [("ann", "{SSHA}", "word 1"), ("bob", "{SSHA}", "word 2")];
    let slapd = Slapd::start(&Holding { mode: "strict", ..holding(&list) });
    let directory = open(&slapd, "").await.unwrap();
    let forge = |current: &str| Ok(super::forged(&directory, current, 3));
    let accounts = ["ann".to_owned()];
    let error = directory.check(PASSWORDS, &accounts, &forge, &Controls::none()).await.unwrap_err();
    assert!(error.told().contains("pwdCheckQuality"), "{}", error.told());
    let found = read(&directory, &["ann", "bob"]).await;
    let rows: Vec<Replacement> = found.iter().map(|now| change(&directory, now, 3)).collect();
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    let is_denied =
        matches!(error, DirectoryError::Ldap(LdapFault::Denied { asked: 2, refused: 2, code: 19 }));
    assert!(is_denied && error.is_of_rows(), "{error}");
    assert!(slapd.logs_in("ann", "word 1"), "nothing was changed");

    let slapd = Slapd::start(&Holding { mode: "strict manager", ..holding(&list) });
    let directory = open(&slapd, "").await.unwrap();
    let found = read(&directory, &["ann"]).await;
    let row = change(&directory, &found[0], 3);
    let rows = [row];
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 1);
    assert!(!slapd.logs_in("ann", "word 1"), "who manages passwords may");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_after_wrong_passwords_is_gone_with_the_password() {
    let slapd = Slapd::start(&holding(&[("ann", "{SSHA}", "word 1")]));
    for _ in 0..6 {
        assert!(!slapd.logs_in("ann", "a thief's guess"));
    }
    assert!(!slapd.logs_in("ann", "word 1"), "the policy locks");
    let directory = open(&slapd, "").await.unwrap();
    let before = read(&directory, &["ann"]).await;
    assert!(before[0].changed_at.is_none());
    let new = SecretValue::new(hashed(PasswordForm::LdapArgon2, "a new word"));
    let set = Replacement {
        account: "ann".into(),
        current: before[0].value.clone().unwrap(),
        replacement: new,
    };
    assert_eq!(directory.set(PASSWORDS, &[set], &Controls::none()).await.unwrap(), 1);
    assert!(slapd.logs_in("ann", "a new word"));
    let changed = read(&directory, &["ann"]).await[0].changed_at;
    assert!(changed.is_some(), "the server says when it changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_may_not_be_read_is_not_taken_for_none() {
    let slapd = Slapd::start(&holding(&[("ann", "{SSHA}", PASSWORD), ("bob", "{SSHA}", "word 2")]));
    let mut settings: LdapDirectorySettings = slapd.settings("");
    settings.bind_dn = format!("uid=ann,ou=people,{SUFFIX}");
    let directory = LdapDirectory::open(&settings, slapd.folder.path()).await.unwrap();
    assert_eq!(directory.logs_in_as().as_deref(), Some("ann"), "it must not be expired");
    let error = directory.read(PASSWORDS, &["bob".to_owned()]).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Ldap(LdapFault::Hidden)), "{error}");
    assert!(error.told().contains("hint: give it `read` access"), "{}", error.told());
    let service = open(&slapd, "").await.unwrap();
    assert_eq!(service.logs_in_as(), None, "it has no uid");
    let error = service.read(CredentialKind::ApiKey, &["bob".to_owned()]).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Ldap(LdapFault::Kind(_))), "{error}");
    // As LDAP compares: the account comes back as it was asked for.
    let found = service.read(PASSWORDS, &["BOB".to_owned()]).await.unwrap();
    assert_eq!(found[0].account, "BOB");
    let both = service.read(PASSWORDS, &["BOB".to_owned(), "bob".to_owned()]).await.unwrap_err();
    assert!(both.told().contains("LDAP takes `Ann` for `ann`"), "{both}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_is_an_entry_below_the_base() {
    let id = "0193-the-workspace";
    let slapd = Slapd::start(&Holding { marker: Some(id.into()), ..Holding::default() });
    let directory = open(&slapd, "").await.unwrap();
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some(id));
    let below = slapd.settings("").base;
    let mut settings = slapd.settings("");
    settings.base = format!("ou=people,{below}");
    let other = LdapDirectory::open(&settings, slapd.folder.path()).await.unwrap();
    assert_eq!(other.rehearsal_marker().await.unwrap(), None);
    slapd.modify(&format!(
        "dn: cn=forthwith-rehearsal,{SUFFIX}\nchangetype: modify\ndelete: description\n"
    ));
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some(""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_let_in_and_over_what_is_told() {
    let made = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    let tls = Some((made.chain_pem.clone(), made.key_pem.clone()));
    for mode in ["", "ldaps"] {
        let list = people(&[("ann", "{SSHA}", "word 1")]);
        let slapd =
            Slapd::start(&Holding { people: list, mode, tls: tls.clone(), ..Holding::default() });
        open(&slapd, "").await.unwrap();
        let authorities = slapd.folder.path().join("authorities.pem");
        std::fs::write(&authorities, &made.authority_pem).unwrap();
        let known = format!("tls = \"required\"\nauthorities = \"{}\"", authorities.display());
        let directory = open(&slapd, &known).await.unwrap();
        assert_eq!(read(&directory, &["ann"]).await.len(), 1);
        let said = told(open(&slapd, "tls = \"required\"").await);
        assert!(said.contains("no secured connection"), "{said}");
        if mode.is_empty() {
            let said = told(open(&slapd, "tls = \"none\"").await);
            assert!(said.contains("a secured connection is demanded"), "{said}");
        }
        std::fs::write(slapd.folder.path().join("password"), "wrong-horse-18").unwrap();
        let said = told(open(&slapd, "").await);
        assert!(said.contains("wrong name or password") && !said.contains("wrong-horse"), "{said}");
    }
    let slapd = Slapd::start(&Holding::default());
    let said = told(open(&slapd, "tls = \"required\"").await);
    assert!(said.contains("it offers no STARTTLS"), "{said}");
    let mut settings = slapd.settings("");
    settings.url = "ldap://127.0.0.1:1".into();
    let said = told(LdapDirectory::open(&settings, slapd.folder.path()).await);
    assert!(said.contains("cannot be reached"), "{said}");
    settings.url = "ldap://ann:hunter2@127.0.0.1".into();
    let said = told(LdapDirectory::open(&settings, slapd.folder.path()).await);
    assert!(
        said.contains("directory.ldap.url holds a user") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_the_middle_of_a_batch_is_told_and_the_rest_goes_on() {
    let names: Vec<String> = (0..60).map(|number| format!("p{number}")).collect();
    let list = names.iter().map(|uid| (uid.clone(), "-", "word".to_owned())).collect();
    let slapd = Slapd::start(&Holding { people: list, ..Holding::default() });
    let wire = Wire::to(slapd.port(), Duration::from_millis(1)).await;
    let settings = toml::from_str(&slapd.table(wire.port())).unwrap();
    let directory = LdapDirectory::open(&settings, slapd.folder.path()).await.unwrap();
    let found = directory.read(PASSWORDS, &names).await.unwrap();
    let rows: Vec<Replacement> = found.iter().map(|now| change(&directory, now, 4)).collect();
    wire.is(Condition::CutAfter(8_000));
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Ldap(LdapFault::Lost { .. })), "{error}");
    assert!(error.told().contains("known again as ours"), "{}", error.told());
    wire.is(Condition::Whole);
    let after = directory.confirm(PASSWORDS, &names).await.unwrap();
    let is_ours = |row: &&Replacement| {
        after
            .iter()
            .any(|now| now.account == row.account && now.value.as_ref() == Some(&row.replacement))
    };
    let done = rows.iter().filter(is_ours).count();
    assert!((1..60).contains(&done), "{done} of 60 were done when the wire was cut");
    let left = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap();
    assert_eq!(left, 60 - done as u64, "what was done is not done again");
    assert!(!slapd.logs_in("p0", "word") && !slapd.logs_in("p59", "word"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_go_side_by_side() {
    let names: Vec<String> = (0..200).map(|number| format!("p{number}")).collect();
    let list = names.iter().map(|uid| (uid.clone(), "-", "word".to_owned())).collect();
    let slapd = Slapd::start(&Holding { people: list, ..Holding::default() });
    let wire = Wire::to(slapd.port(), Duration::from_micros(2_500)).await;
    let mut took = Vec::new();
    for concurrency in [1, 8] {
        let text = format!("{}concurrency = {concurrency}", slapd.table(wire.port()));
        let settings = toml::from_str(&text).unwrap();
        let directory = LdapDirectory::open(&settings, slapd.folder.path()).await.unwrap();
        let found = directory.read(PASSWORDS, &names).await.unwrap();
        let rows: Vec<Replacement> =
            found.iter().map(|now| change(&directory, now, concurrency)).collect();
        let begun = Instant::now();
        assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 200);
        took.push(begun.elapsed());
        assert_eq!(
            held(&directory, "p7").await.as_ref(),
            Some(&rows.iter().find(|row| row.account == "p7").unwrap().replacement)
        );
    }
    let (alone, together) = (took[0], took[1]);
    assert!(
        together * 2 < alone,
        "at 5 ms there and back: {alone:?} one by one, {together:?} by eight"
    );
}
