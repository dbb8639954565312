//! Who is let in, over what, and what is said when not.

use forthwith::directory::{Directory as _, DirectoryError};
use forthwith::sink::{CertificateKind, Certificates};

use super::{PASSWORDS, accounts, directory, on_each_engine, open};
use crate::harness::database::{Database, Kind, PASSWORD};

on_each_engine! {
    a_wrong_password_is_told_with_a_hint_and_without_itself on Postgres MariaDb;
    a_certificate_is_checked_where_it_is_required on Postgres MariaDb;
    a_copy_of_another_is_refused on Postgres MariaDb;
}

async fn a_wrong_password_is_told_with_a_hint_and_without_itself(kind: Kind) {
    let database = Database::start(kind, None).await;
    let text = database.directory();
    directory(&database).await;
    std::fs::write(database.folder.path().join("password"), "wrong-horse-18").unwrap();
    let error = open(&database, &Database::settings(&text)).await.unwrap_err();
    let said = format!("{} {error:?}", error.told());
    assert!(said.contains("does not let user `app` in"), "{said}");
    assert!(error.told().contains("hint: `directory.sql.user` and"), "{said}");
    assert!(!said.contains("wrong-horse") && !said.contains(PASSWORD), "{said}");

    let port = database.port().to_string();
    let said = open(&database, &Database::settings(&text.replace(&port, "1"))).await;
    let said = said.unwrap_err().told();
    assert!(said.contains("cannot be reached") && said.contains("hint: "), "{said}");

    let inside = text.replace("//127", &format!("//app:{PASSWORD}@127"));
    let said = open(&database, &Database::settings(&inside)).await.unwrap_err().told();
    assert!(said.starts_with("directory.sql.url holds a user or a password; hint: "), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

async fn a_certificate_is_checked_where_it_is_required(kind: Kind) {
    let made = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    let database = Database::start(kind, Some(&made)).await;
    database.fill(1..=2).await;
    let authorities = database.folder.path().join("authorities.pem");
    std::fs::write(&authorities, &made.authority_pem).unwrap();
    let with = |lines: &str| {
        let text = database.directory();
        Database::settings(&text.replacen("\nuser", &format!("\n{lines}\nuser"), 1))
    };
    let known = format!("tls = \"required\"\nauthorities = \"{}\"", authorities.display());
    let directory = open(&database, &with(&known)).await.unwrap();
    assert_eq!(directory.read(PASSWORDS, &accounts(&[1, 2])).await.unwrap().len(), 2);
    open(&database, &with("tls = \"opportunistic\"")).await.unwrap();

    let said = open(&database, &with("tls = \"required\"")).await.unwrap_err().told();
    assert!(said.contains("no secured connection") && said.contains("`authorities`"), "{said}");
    let other = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    std::fs::write(&authorities, &other.authority_pem).unwrap();
    let said = open(&database, &with(&known)).await.unwrap_err().told();
    assert!(said.contains("no secured connection"), "{said}");
}

async fn a_copy_of_another_is_refused(kind: Kind) {
    let (database, text) = if kind == Kind::Postgres {
        let database = Database::raw(kind, None, "standby");
        let text = database.directory();
        let text = text.replace("\"app\"", "\"postgres\"").replace("/shop\"", "/postgres\"");
        (database, text)
    } else {
        let database = Database::start(kind, None).await;
        database.admin().await.execute("SET GLOBAL read_only = 1").await;
        let text = database.directory();
        (database, text)
    };
    let error = open(&database, &Database::settings(&text)).await.unwrap_err();
    assert!(matches!(error, DirectoryError::NotPrimary { .. }), "{error}");
    assert!(error.told().contains("hint: name the primary"), "{}", error.told());
}
