//! The portal in a real browser: from the notice to the company's own log-in page, and what people see, hear
//! and press on the way.

mod access;
mod direction;
mod line;

use std::path::PathBuf;

use forthwith::engine::progress::Silent;
use forthwith::sink::{CertificateKind, Certificates};
use forthwith::store::credentials::Pick;
use mail_parser::MessageParser;
use tempfile::TempDir;

use crate::harness::browser::Browser;
use crate::harness::django::{Django, User, list};
use crate::harness::link::{PAGE, link_of};
use crate::harness::tampering::execute;
use crate::harness::visitor::Served;
use crate::harness::{House, INCIDENT, Plan, campaign_file, write};

pub const NEW: &str = "harbour lantern fig";

/// A Django site on SQLite, a campaign for its users, and the portal at the brand's own address.
pub struct Scene {
    pub house: House,
    pub site: Django,
    file: PathBuf,
    pub served: Served,
    pub browser: Browser,
    _folder: TempDir,
}

impl Scene {
    /// Everybody is secured and told, by a notice of this mode.
    pub async fn set(mode: &str) -> Self {
        Self::prepared(mode, |_, _| {}).await
    }

    /// As [`Self::set`], with something changed in the house, or in what it is told of the site's users, before.
    pub async fn prepared(mode: &str, change: impl FnOnce(&House, &mut Vec<User>)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.db");
        let users = ["5", "--own", "5", "--sessions", "5"];
        let mut site = Django::start(&format!("sqlite:{}", file.display()), None, &users);
        let text = campaign_file("");
        let head = text.split_once("[audience.csv]").unwrap().0;
        let tail = text.split_once("[notice]").unwrap().1;
        let campaign = format!(
            "{head}[audience.csv]\npath = \"affected.csv\"\ncolumns = {{ account = \"login\", address = \
             \"email\" }}\n\n[directory]\nname = \"site\"\n\n[directory.sql]\nurl = \"sqlite:{}\"\n\
             preset = \"django\"\nform = \"django-argon2\"\n\n[notice]\nmode = \"{mode}\"{tail}",
            file.display()
        );
        let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
        let incident = INCIDENT.replace(
            "support_email",
            &format!("reset_url = \"{PAGE}\"\nphone = \"+44 20 7946 0000\"\nsupport_email"),
        );
        write(&house.path("incidents/cold-night/incident.toml"), &incident);
        change(&house, &mut site.users);
        write(&house.path("affected.csv"), &list(&site.users));
        for statement in house.engine.marker().await.unwrap() {
            execute(&file, &statement).await;
        }
        house.make_ready().await;
        house.secure(Pick::Pending, &Silent).await.unwrap();
        assert!(house.run().await.unwrap().is_finished);
        let made = Certificates::make(CertificateKind::Valid, &[]).unwrap();
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        write(&chain, &made.chain_pem);
        write(&key, &made.key_pem);
        let served = house.portal_at_its_own_address((chain, key)).await;
        let browser = Browser::start(&[("www.northwind.example", served.address.port())]);
        Self { house, site, file, served, browser, _folder: folder }
    }

    /// The notice that a user got.
    pub fn notice(&self, address: &str) -> String {
        let mails = self.house.mails();
        let to = |mail: &&String| {
            let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
            parsed.to().unwrap().first().unwrap().address() == Some(address)
        };
        mails.iter().find(to).expect("they were told").clone()
    }

    /// Signs in at the company's own page; what it says then.
    fn sign_in(&mut self, login: &str, password: &str) -> String {
        let address = format!("http://127.0.0.1:{}/login", self.site.port());
        self.browser.goto(&address);
        self.browser.fill("Username:", login);
        self.browser.fill("Password:", password);
        self.browser.click("button", "Continue");
        self.browser.text()
    }
}

/// From the address to the code, and from there to the new password; scripts or not.
async fn by_code(scene: &mut Scene, login: &str, js: bool, picture: &str) {
    let user = scene.site.user(login).clone();
    scene.browser.open(js);
    scene.browser.goto(PAGE);
    scene.browser.picture(&format!("{picture}-1-start"));
    scene.browser.fill("Email address", &user.address);
    scene.browser.click("button", "Send code");
    scene.served.post().await;
    scene.browser.picture(&format!("{picture}-2-code"));
    let code = scene.house.code_to(&user.address).expect("a code came");
    scene.browser.fill("Code with 12 digits", &code);
    scene.browser.click("button", "Continue");
    scene.browser.picture(&format!("{picture}-3-password"));
    assert!(scene.browser.text().contains(&format!("Account: {login}")));
    scene.browser.fill("New password", "too short");
    scene.browser.click("button", "Save new password");
    scene.browser.picture(&format!("{picture}-4-too-short"));
    assert!(scene.browser.text().contains("too short"), "{}", scene.browser.text());
    scene.browser.fill("New password", NEW);
    scene.browser.click("button", "Save new password");
    scene.browser.picture(&format!("{picture}-5-done"));
    let said = scene.browser.text();
    assert!(said.contains("Your new password is saved"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_is_told_goes_to_the_site_and_signs_in_with_their_new_password() {
    let mut scene = Scene::set("site").await;
    let user = scene.site.user("u1").clone();
    let notice = scene.notice(&user.address);
    assert!(!notice.contains("fw1_"), "no secret in the mail");
    assert!(!scene.site.logs_in("u1", &user.password).await, "the stolen password is dead");
    assert!(!scene.site.is_alive(&user.session).await, "the stolen session is dead");

    by_code(&mut scene, "u1", true, "site").await;
    let (console, requests) = scene.browser.noticed();
    assert!(console.iter().all(|line| !line.contains("Content Security Policy")), "{console:?}");
    let host = "https://www.northwind.example/";
    assert!(requests.iter().all(|(_, url)| url.starts_with(host)), "{requests:?}");
    assert!(scene.sign_in("u1", NEW).contains("Signed in as u1"));
    scene.browser.picture("site-6-signed-in");
    scene.browser.open(true);
    assert!(!scene.sign_in("u1", &user.password).contains("Signed in"));
    assert!(!scene.site.is_alive(&user.session).await);

    // the same without scripts
    by_code(&mut scene, "u2", false, "site-without-scripts").await;
    assert!(scene.site.logs_in("u2", NEW).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_gets_a_link_opens_it_and_signs_in_with_their_new_password() {
    let mut scene = Scene::set("link").await;
    for (login, js) in [("u1", true), ("u2", false)] {
        let user = scene.site.user(login).clone();
        let notice = scene.notice(&user.address);
        let link = link_of(&MessageParser::default().parse(notice.as_bytes()).unwrap()).unwrap();
        let token = link.split_once('#').unwrap().1.to_owned();
        scene.browser.open(js);
        scene.browser.goto(&link);
        if js {
            assert_eq!(scene.browser.url(), format!("{PAGE}/link"), "out of the address at once");
        } else {
            scene.browser.click(
                "link",
                "Our message contained a link and it does not open? Enter the link by hand",
            );
            scene.browser.fill("Link from our message", &link);
        }
        scene.browser.picture(&format!("link-{login}-1-password"));
        scene.browser.fill("New password", NEW);
        scene.browser.click("button", "Save new password");
        scene.browser.picture(&format!("link-{login}-2-done"));
        let said = scene.browser.text();
        assert!(said.contains("Your new password is saved"), "{said}");
        let (_, requests) = scene.browser.noticed();
        assert!(
            requests.iter().all(|(_, url)| !url.contains(&token) || url == &link),
            "{requests:?}"
        );
        assert!(scene.sign_in(login, NEW).contains(&format!("Signed in as {login}")));
        assert!(!scene.site.logs_in(login, &user.password).await);
        assert!(!scene.site.is_alive(&user.session).await);
    }
}
