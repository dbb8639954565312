//! Real sites that are not ours: their own log-in pages judge what a kill and a reset are worth.

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;
use tokio_util::sync::CancellationToken;

use crate::harness::database::Kind;
use crate::harness::django::home::Home;
use crate::harness::django::{Django, list};
use crate::harness::form::code_in;
use crate::harness::tampering::query;
use crate::harness::visitor::{Served, ask};
use crate::harness::wordpress::WordPress;
use crate::harness::{House, Plan, campaign_file, write};

const NEW: &str = "harbour lantern fig";

/// A campaign whose directory is this `[directory.sql]`, its people listed by account and address.
fn campaign(sql: &str) -> String {
    let file = campaign_file("");
    let head = file.split_once("[audience.csv]").unwrap().0;
    let tail = file.split_once("[notice]").unwrap().1;
    format!(
        "{head}[audience.csv]\npath = \"affected.csv\"\ncolumns = {{ account = \"login\", address = \
         \"email\" }}\n\n[directory]\nname = \"site\"\n\n[directory.sql]\n{sql}\n\n[notice]{tail}"
    )
}

async fn house(sql: &str, people: &str) -> House {
    let house = House::furnished(Plan { campaign: campaign(sql), ..Plan::default() }).await;
    write(&house.path("affected.csv"), people);
    house
}

async fn secured(house: &House) {
    house.seal().await;
    house.approve(Track::Containment).await;
    let report = house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(report.is_done, "{report:?}");
}

/// Asks for a code by this address and sets the new password with it.
async fn reset(house: &House, served: &Served, address: &str) {
    let visitor = served.visitor();
    let page = ask(&visitor, address).await;
    served.post().await;
    let code = house.code_to(address).expect("a code came");
    let form = visitor.send(&page, &[("code", &code)]).await;
    let done = visitor.send_and_wait(&form, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}

/// What holds of a Django site whatever its database.
async fn django_judges(house: House, site: &Django) {
    let users = ["u1", "u2", "u4", "u5"].map(|login| site.user(login).clone());
    for user in &users {
        assert!(site.logs_in(&user.login, &user.password).await, "{} before", user.login);
    }
    let session = site.user("u1").session.clone();
    assert!(site.is_alive(&session).await);
    let checked = {
        house.seal().await;
        house.engine.check_directory(crate::harness::CAMPAIGN).await.unwrap()
    };
    assert_eq!((checked[0].1.asked, checked[0].1.read_back), (3, 3), "{checked:?}");
    assert!(site.logs_in("u1", &users[0].password).await, "a check leaves nothing");

    house.approve(Track::Containment).await;
    assert!(house.secure(Pick::Pending, &Silent).await.unwrap().is_done);
    for user in &users {
        assert!(!site.logs_in(&user.login, &user.password).await, "{} after", user.login);
        assert_eq!(house.credential_of(&user.login).await.0, "expired");
    }
    assert!(!site.is_alive(&session).await, "the stolen session is dead");
    assert_eq!(house.credential_of("u6").await.0, "no-password");

    let served = house.portal().await;
    for user in &users[..2] {
        reset(&house, &served, &user.address).await;
        assert!(site.logs_in(&user.login, NEW).await, "{}", user.login);
        assert!(!site.logs_in(&user.login, &user.password).await, "{}", user.login);
    }
    assert!(!site.is_alive(&session).await);
    // whoever signs in through somebody else has no password, and gets none
    let page = ask(&served.visitor(), &site.user("u6").address).await;
    assert_eq!(page.path, "/reset/code");
    served.post().await;
    let told = house.mails_to(&site.user("u6").address);
    assert!(told.len() == 1 && code_in(&told[0]).is_none(), "{told:?}");
    let counts = house
        .engine
        .recheck(crate::harness::CAMPAIGN, &Silent, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(counts.counts.regressed, 0, "{counts:?}");
}

/// u1 to u3 by argon2, u4 by pbkdf2, u5 by bcrypt, u6 unusable.
const USERS: [&str; 11] =
    ["6", "--own", "3", "--pbkdf2", "1", "--bcrypt", "1", "--unusable", "1", "--sessions", "1"];

/// A site in its home, and a house whose campaign is for its users; `more` are keys of `[directory.sql]`.
async fn django_in(home: &Home, more: &str) -> (Django, House) {
    let site = Django::start(&home.url(), home.secret(), &USERS);
    let house = house(&format!("{}{more}", home.table(None)), &list(&site.users)).await;
    home.admit().await;
    home.mark(&house).await;
    (site, house)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn django_on_sqlite_lets_nobody_in_until_they_reset() {
    let home = Home::on(Kind::Sqlite).await;
    let (site, house) = django_in(&home, "form = \"django-argon2\"").await;
    let file = home.database.file();
    let unusable = "SELECT password FROM auth_user WHERE username = 'u6'";
    let before: Vec<(String,)> = query(&file, unusable).await;
    django_judges(house, &site).await;
    let after: Vec<(String,)> = query(&file, unusable).await;
    assert!(before[0].0.starts_with('!') && before == after, "still unusable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn django_on_postgres_lets_nobody_in_until_they_reset() {
    let home = Home::on(Kind::Postgres).await;
    let (site, house) = django_in(&home, "").await;
    django_judges(house, &site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wordpress_lets_nobody_in_until_they_reset() {
    let people = [
        ("ann", "ann@mail.example", "bcrypt", "old-password-ann"),
        ("bo", "bo@mail.example", "phpass", "old-password-bo"),
        ("cy", "cy@mail.example", "md5", "old-password-cy"),
        ("di", "di@mail.example", "bcrypt", "old-password-di"),
    ];
    let lines = people.map(|(login, to, kind, password)| [login, to, kind, password].join("\t"));
    let site = WordPress::start(lines.join("\n"), "12");
    let sql = format!("{}form = \"wordpress\"", site.table(site.port()));
    let rows: Vec<String> = people.iter().map(|(login, to, ..)| format!("{login},{to}")).collect();
    let list = rows.join("\n");
    let house = house(&sql, &format!("login,email\n{list}")).await;
    site.admit().await;
    site.mark(&house).await;
    // each log-in makes a session, and phpass and md5 become bcrypt by it
    for (login, _, kind, password) in &people[..2] {
        assert!(site.logs_in(login, password).await, "{kind}");
    }
    let cookie = site.judge("login", "ann\n").await.remove(0);
    assert_eq!(site.judge("session", &format!("{cookie}\n")).await, ["ann"]);
    let key = site.judge("reset", "ann\n").await.remove(0);
    assert_eq!(site.judge("key", &format!("ann\t{key}\n")).await, ["yes"]);

    secured(&house).await;
    for (login, _, kind, password) in &people {
        assert!(!site.logs_in(login, password).await, "{kind}");
        let judged = site.judge("authenticate", &format!("{login}\t{password}\n")).await;
        assert_eq!(judged, ["no"], "{kind}");
        assert_eq!(house.credential_of(login).await.0, "expired", "{kind}");
    }
    assert_ne!(site.judge("session", &format!("{cookie}\n")).await, ["ann"]);
    assert_ne!(
        site.judge("key", &format!("ann\t{key}\n")).await,
        ["yes"],
        "a pending reset is dead"
    );

    let served = house.portal().await;
    for (login, address, _, password) in &people[..2] {
        reset(&house, &served, address).await;
        assert!(site.logs_in(login, NEW).await, "{login}");
        assert!(!site.logs_in(login, password).await, "{login}");
    }
}
