//! A real `WordPress` with the same people; its own code says whom it lets in.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use forthwith::directory::Directory;
use forthwith::directory::sql::SqlDirectory;

use super::{BARE, PEOPLE, Stage, password_of};
use crate::harness::database::Database;
use crate::harness::wire::Wire;
use crate::harness::wordpress::WordPress;

/// How the password of each of [`PEOPLE`] is kept, as `WordPress` did over the years. Hers whose session must
/// outlive a log-in is as it would be stored today: any other is hashed anew by the log-in, and cookies die
/// with a stored value.
const KINDS: [&str; 4] = ["bcrypt", "phpass", "md5", "bcrypt"];

pub struct WordPressStage {
    site: WordPress,
    /// Everybody's session of before, a cookie a line.
    cookies: String,
    wire: Wire,
    directory: SqlDirectory,
}

impl WordPressStage {
    pub async fn start() -> Self {
        let mut people = format!("{BARE}\t{BARE}@mail.example\t-\t-\n");
        for (account, kind) in PEOPLE.into_iter().zip(KINDS) {
            let password = password_of(account);
            writeln!(people, "{account}\t{account}@mail.example\t{kind}\t{password}").unwrap();
        }
        // what a hash costs is not what is judged
        let site = WordPress::start(people, "4");
        site.admit().await;
        let logins = [BARE].into_iter().chain(PEOPLE).collect::<Vec<_>>().join("\n");
        let cookies = site.judge("login", &logins).await.join("\n");
        let wire = Wire::to(site.port(), Duration::ZERO).await;
        let (settings, anywhere) = (Database::settings(&site.table(wire.port())), "/".as_ref());
        let directory = SqlDirectory::open(&settings, anywhere).await.unwrap();
        Self { site, cookies, wire, directory }
    }
}

#[async_trait]
impl Stage for WordPressStage {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    async fn logs_in(&self, account: &str, password: &str) -> bool {
        self.site.judge("authenticate", &format!("{account}\t{password}")).await == ["yes"]
    }

    async fn chooses(&self, account: &str, password: &str) {
        let told = format!("{account}\t{password}");
        assert_eq!(self.site.judge("choose", &told).await, ["yes"]);
    }

    async fn is_gone(&self, gone: bool) {
        self.wire.is_cut(gone);
    }

    async fn sessions(&self) -> Option<u64> {
        let whose = self.site.judge("session", &self.cookies).await;
        Some(whose.iter().filter(|login| *login != "no").count().try_into().unwrap())
    }
}
