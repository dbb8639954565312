//! A company's site that is not ours: Debian's `WordPress` on a `MariaDB` of its own.

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;
use tempfile::TempDir;

use super::confined::{Confined, Furnishing};
use super::database::{Admin, PASSWORD};
use super::{House, secret_file};

/// The site with its database.
pub struct WordPress {
    server: Confined,
    web: u16,
    folder: TempDir,
}

impl WordPress {
    /// Starts it with these people, a line each as `tests/peers/wordpress/start` reads it; `cost` is what its
    /// bcrypt takes.
    pub fn start(people: String, cost: &str) -> Self {
        let server = Confined::start(&Furnishing {
            server: "wordpress",
            values: &[("TLS", "skip-ssl"), ("COST", cost)],
            files: &[("people", people)],
            ready: Some("web"),
        });
        let web = server.read("web").trim().parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        secret_file(&folder.path().join("password"), PASSWORD);
        Self { server, web, folder }
    }

    /// The port of its database.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The keys of `[directory.sql]` for a user of ours, by whom its database is found at this port.
    pub fn table(&self, port: u16) -> String {
        format!(
            "url = \"mariadb://127.0.0.1:{port}/wordpress\"\nuser = \"app\"\npassword_file = \"{}\"\n\
             preset = \"wordpress\"\naccount = \"user_login\"\n",
            self.folder.path().join("password").display()
        )
    }

    /// Makes that user, who may do what the preset's statements do.
    pub async fn admit(&self) {
        let mut admin = self.admin().await;
        admin.execute(&format!("CREATE USER app@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")).await;
        for grant in ["SELECT, UPDATE ON wp_users", "SELECT, DELETE ON wp_usermeta"] {
            admin.execute(&format!("GRANT {grant} TO app@'127.0.0.1'")).await;
        }
    }

    /// Marks its database as the house's.
    pub async fn mark(&self, house: &House) {
        let mut admin = self.admin().await;
        for statement in house.engine.marker().await.unwrap() {
            admin.execute(&statement).await;
        }
        admin.execute("GRANT SELECT ON forthwith_rehearsal TO app@'127.0.0.1'").await;
    }

    async fn admin(&self) -> Admin {
        let options = MySqlConnectOptions::new().host("127.0.0.1").port(self.port());
        let options = options.username("root").database("wordpress");
        Admin::MariaDb(options.connect().await.unwrap())
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
