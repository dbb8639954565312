//! A company's site that is not ours: Django with its own log-in, hashers and sessions, on a database of the
//! test's.

pub mod home;
pub mod judge;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::foreign::{end_by_stdin, python};
use super::form::between;

const PATIENCE: Duration = Duration::from_secs(20);

/// A user as the site made them.
#[derive(Debug, Clone)]
pub struct User {
    pub login: String,
    pub address: String,
    pub password: String,
    pub session: String,
}

/// The site, served on loopback; ends with this value.
pub struct Django {
    child: Child,
    port: u16,
    pub users: Vec<User>,
}

fn command(database: &str, secret: Option<&Path>) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/django/site.py");
    let mut command = Command::new(python());
    command.arg(script).env("DATABASE", database).env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(file) = secret {
        command.env("PASSWORD_FILE", file);
    }
    command
}

fn run(database: &str, secret: Option<&Path>, arguments: &[&str]) -> String {
    let output = command(database, secret).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

impl Django {
    /// Makes the tables and users in a database (`sqlite:FILE` or `postgres://USER@HOST:PORT/NAME`) and
    /// serves it.
    pub fn start(database: &str, secret: Option<&Path>, users: &[&str]) -> Self {
        run(database, secret, &["migrate"]);
        let users = [&["users"], users].concat();
        let made = run(database, secret, &users);
        let user = |line: &str| {
            let mut parts = line.split('\t').map(str::to_owned);
            let mut part = || parts.next().unwrap_or_default();
            let (login, address, _kind) = (part(), part(), part());
            User { login, address, password: part(), session: part() }
        };
        let users = made.lines().map(user).collect();
        let mut child = command(database, secret)
            .arg("serve")
            .env("PORT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().trim().parse().unwrap();
        Self { child, port, users }
    }

    pub fn user(&self, login: &str) -> &User {
        self.users.iter().find(|user| user.login == login).unwrap()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether somebody gets in by the site's own log-in page.
    pub async fn logs_in(&self, login: &str, password: &str) -> bool {
        let client = client();
        let url = format!("http://127.0.0.1:{}/login", self.port);
        let page = client.get(&url).send().await.unwrap().text().await.unwrap();
        let token = between(&page, "name=\"csrfmiddlewaretoken\" value=\"", "\"").unwrap();
        let form = [("csrfmiddlewaretoken", token), ("username", login), ("password", password)];
        let answer = client.post(&url).form(&form).send().await.unwrap();
        if answer.status() != StatusCode::FOUND {
            return false;
        }
        let account = format!("http://127.0.0.1:{}/account", self.port);
        let page = client.get(account).send().await.unwrap().text().await.unwrap();
        page.contains(&format!("Signed in as {login}"))
    }

    /// Whether a session that was opened before still opens the account.
    pub async fn is_alive(&self, session: &str) -> bool {
        let account = format!("http://127.0.0.1:{}/account", self.port);
        let cookie = format!("sessionid={session}");
        let answer = client().get(account).header("cookie", cookie).send().await.unwrap();
        answer.status() == StatusCode::OK
    }
}

impl Drop for Django {
    fn drop(&mut self) {
        end_by_stdin(&mut self.child, PATIENCE);
    }
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().cookie_store(true).redirect(Policy::none()).build().unwrap()
}

/// The users as an audience.
pub fn list(users: &[User]) -> String {
    let rows = users.iter().map(|user| format!("{},{}\n", user.login, user.address));
    std::iter::once("login,email\n".to_owned()).chain(rows).collect()
}
