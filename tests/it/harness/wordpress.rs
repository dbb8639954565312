//! A company's site that is not ours: Debian's `WordPress` on a `MariaDB` of its own.

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::confined::{Confined, Furnishing};

/// The site with its database.
pub struct WordPress {
    server: Confined,
    web: u16,
}

impl WordPress {
    /// Starts it with these people: login, address, kind of hash and password each.
    pub fn start(people: &[(&str, &str, &str, &str)]) -> Self {
        let lines = people.iter().map(|(login, address, kind, password)| {
            format!("{login}\t{address}\t{kind}\t{password}\n")
        });
        let server = Confined::start(&Furnishing {
            server: "wordpress",
            values: &[("TLS", "skip-ssl")],
            files: &[("people", lines.collect())],
            ready: Some("web"),
        });
        let web = server.read("web").trim().parse().unwrap();
        Self { server, web }
    }

    /// The port of its database.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// What its own code says to each line.
    pub async fn judge(&self, question: &str, lines: &str) -> Vec<String> {
        let url = format!("http://127.0.0.1:{}/judge.php?{question}", self.web);
        let answer = client().post(url).body(lines.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.unwrap().lines().map(str::to_owned).collect()
    }

    /// Whether somebody gets in by the site's own log-in page.
    pub async fn logs_in(&self, login: &str, password: &str) -> bool {
        let client = client();
        let url = format!("http://127.0.0.1:{}/wp-login.php", self.web);
        let form = [("log", login), ("pwd", password), ("wp-submit", "Log In")];
        let answer = client.post(&url).form(&form).send().await.unwrap();
        if answer.status() != StatusCode::FOUND {
            return false;
        }
        let profile = format!("http://127.0.0.1:{}/wp-admin/profile.php", self.web);
        client.get(profile).send().await.unwrap().status() == StatusCode::OK
    }
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().cookie_store(true).redirect(Policy::none()).build().unwrap()
}
