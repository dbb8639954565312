//! A whole campaign over a directory that is no database: refused without its marker, checked, contained,
//! read back, told.

use std::fmt::Write as _;

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::secret::password::PasswordForm;
use forthwith::store::credentials::Pick;
use tokio_util::sync::CancellationToken;

use super::stages::hashed;
use crate::harness::endpoint::Endpoint;
use crate::harness::keycloak::Keycloak;
use crate::harness::kratos::Kratos;
use crate::harness::slapd::{Holding, SUFFIX, Slapd};
use crate::harness::tampering::query;
use crate::harness::{CAMPAIGN, House, Plan, campaign_file, write};

/// A house of 40 customers whose directory is `table`.
async fn house() -> (House, Vec<(String, bool)>) {
    let house = House::furnished(Plan { customers: 40, ..Plan::default() }).await;
    let found: Vec<(String, Option<String>)> =
        query(&house.shop, "SELECT id, password_hash FROM customer").await;
    (house, found.into_iter().map(|(id, hash)| (id, hash.is_some())).collect())
}

fn set_directory(house: &House, table: &str) {
    let file = campaign_file("");
    let (head, rest) = file.split_once("[directory.sql]").unwrap();
    let tail = rest.split_once("[notice]").unwrap().1;
    let path = house.engine.workspace.campaign_file(CAMPAIGN).0;
    write(&path, &format!("{head}{table}\n[notice]{tail}"));
}

async fn contain(house: &House) {
    house.approve(Track::Containment).await;
    assert!(house.secure(Pick::Pending, &Silent).await.unwrap().is_done);
    let status = house.status().await;
    let class = |class| status.credentials.get(class).copied().unwrap_or(0);
    assert_eq!(class("password/expired"), u64::from(house.facts.with_password), "{status:?}");
    assert_eq!(class("password/no-password"), u64::from(house.facts.without_password));
    assert_eq!(class("password/failed"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_over_ldap_is_contained() {
    let (house, customers) = house().await;
    let people = customers
        .iter()
        .map(|(id, has)| (id.clone(), "-", if *has { format!("old-{id}") } else { "-".into() }));
    let slapd = Slapd::start(&Holding { people: people.collect(), ..Holding::default() });
    set_directory(&house, &format!("[directory.ldap]\n{}", slapd.table(slapd.port())));
    house.seal().await;
    let said = house.engine.check_directory(CAMPAIGN).await.unwrap_err().to_string();
    assert!(said.contains("no rehearsal marker"), "{said}");
    assert!(said.contains("hint: ") && said.contains("marker --ldap BASE"), "{said}");
    let entry = house.engine.marker_entry(SUFFIX).await.unwrap();
    slapd.modify(&entry.replacen('\n', "\nchangetype: add\n", 1));

    let report = house.engine.check_directory(CAMPAIGN).await.unwrap()[0].1;
    assert_eq!((report.asked, report.read, report.was_tried), (3, 3, false), "{report:?}");
    assert!(slapd.logs_in("C0000001", "old-C0000001"), "a check changes nothing");
    contain(&house).await;
    assert!(!slapd.logs_in("C0000001", "old-C0000001"));
    // Somebody sets the stolen password again, as a restored backup does.
    slapd.store("C0000002", "old-C0000002");
    assert!(slapd.logs_in("C0000002", "old-C0000002"));
    let stop = CancellationToken::new();
    let report = house.engine.recheck(CAMPAIGN, &Silent, &stop).await.unwrap();
    assert_eq!(report.counts.regressed, 1, "{report:?}");
    assert!(!slapd.logs_in("C0000002", "old-C0000002"), "it does not stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_over_an_endpoint_is_contained() {
    let (house, customers) = house().await;
    let endpoint = Endpoint::start().await;
    let hash = hashed(PasswordForm::Argon2id, "an old password");
    for (id, has) in &customers {
        endpoint.put(id, has.then(|| hash.clone()), 2);
    }
    let mut table = format!("[directory.http]\n{}", endpoint.table(endpoint.port()));
    writeln!(table, "rows_per_request = 5").unwrap();
    set_directory(&house, &table);
    house.seal().await;
    let said = house.engine.check_directory(CAMPAIGN).await.unwrap_err().to_string();
    assert!(said.contains("no rehearsal marker") && said.contains("\"rehearsal\""), "{said}");
    let id = house.engine.store.identity().await.unwrap().database_id.to_string();
    endpoint.inside().rehearsal = Some(id);

    let report = house.engine.check_directory(CAMPAIGN).await.unwrap()[0].1;
    assert_eq!((report.asked, report.read, report.was_tried), (3, 3, true), "{report:?}");
    assert!(endpoint.logs_in("C0000001", "an old password"), "a check changes nothing");
    contain(&house).await;
    assert!(!endpoint.logs_in("C0000001", "an old password"));
    let alive: u64 = endpoint.inside().accounts.values().map(|held| held.sessions).sum();
    assert_eq!(alive, 0, "every session ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_over_keycloak_is_contained() {
    let (house, customers) = house().await;
    let keycloak = Keycloak::start().await;
    for (id, has) in &customers {
        keycloak.put(id, has.then_some("an old password"), 1);
    }
    let table = format!("[directory.keycloak]\n{}batch = 15\n", keycloak.table(keycloak.port()));
    set_directory(&house, &table);
    house.seal().await;
    let said = house.engine.check_directory(CAMPAIGN).await.unwrap_err().to_string();
    assert!(said.contains("no rehearsal marker") && said.contains("kcadm.sh update"), "{said}");
    let id = house.engine.store.identity().await.unwrap().database_id.to_string();
    keycloak.inside().marker = Some(id);

    let report = house.engine.check_directory(CAMPAIGN).await.unwrap()[0].1;
    assert_eq!((report.asked, report.read, report.was_tried), (3, 3, false), "{report:?}");
    assert!(keycloak.logs_in("C0000001", "an old password").await, "a check changes nothing");
    keycloak.inside().token_uses = 30;
    contain(&house).await;
    assert!(!keycloak.logs_in("C0000001", "an old password").await);
    assert_eq!(keycloak.sessions(), 0, "every session ended");
    assert!(keycloak.inside().strays.is_empty());

    // One comes back, as by a restored backup; another was set anew by its owner.
    let stolen = keycloak.with("C0000003", |user| user.credentials[0].clone());
    keycloak.put("C0000002", Some("an old password"), 1);
    keycloak.chooses("C0000003", "what its owner chose");
    let stop = CancellationToken::new();
    let report = house.engine.recheck(CAMPAIGN, &Silent, &stop).await.unwrap();
    assert_eq!(report.counts.regressed, 1, "{report:?}");
    assert!(!keycloak.logs_in("C0000002", "an old password").await, "it does not stay");
    assert!(keycloak.logs_in("C0000003", "what its owner chose").await);
    assert_ne!(keycloak.with("C0000003", |user| user.credentials[0].clone()), stolen);
    let status = house.status().await;
    assert_eq!(status.credentials.get("password/reset-elsewhere"), Some(&1), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_over_kratos_is_contained() {
    let (house, customers) = house().await;
    let kratos = Kratos::start().await;
    let hash = hashed(PasswordForm::Bcrypt, "an old password");
    for (id, has) in &customers {
        kratos.put(id, has.then(|| hash.clone()), 1);
    }
    let table = format!("[directory.kratos]\n{}batch = 15\n", kratos.table(kratos.port()));
    set_directory(&house, &table);
    house.seal().await;
    let said = house.engine.check_directory(CAMPAIGN).await.unwrap_err().to_string();
    assert!(said.contains("no rehearsal marker") && said.contains("external_id"), "{said}");
    let id = house.engine.store.identity().await.unwrap().database_id.to_string();
    kratos.mark(Some(&id));

    let report = house.engine.check_directory(CAMPAIGN).await.unwrap()[0].1;
    assert_eq!((report.asked, report.read, report.was_tried), (3, 3, false), "{report:?}");
    assert!(kratos.logs_in("C0000001", "an old password").await, "a check changes nothing");
    contain(&house).await;
    assert!(!kratos.logs_in("C0000001", "an old password").await);
    assert_eq!(kratos.sessions(), 0, "every session ended");
    assert!(kratos.inside().strays.is_empty());
    kratos.with("C0000002", |one| one.password.as_mut().unwrap().hash = hash);
    let stop = CancellationToken::new();
    let report = house.engine.recheck(CAMPAIGN, &Silent, &stop).await.unwrap();
    assert_eq!(report.counts.regressed, 1, "{report:?}");
    assert!(!kratos.logs_in("C0000002", "an old password").await, "it does not stay");
}
