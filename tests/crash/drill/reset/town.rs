//! A campaign whose people were told by links, its sink, and the port of its portal.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use forthwith::engine::Workspace;

use super::mails::Mails;
use super::options::Options;
use super::person::{Person, Way};
use super::portal::free_port;
use crate::drill::bar::Bar;
use crate::drill::forthwith::Forthwith;
use crate::drill::furniture::Furniture;
use crate::drill::house::House;
use crate::drill::options::binary;
use crate::drill::people::Directory;
use crate::drill::preparation::{Preparation, Times};
use crate::drill::report::Report;
use crate::drill::shop::{Account, still_open};
use crate::drill::sink::SinkProcess;
use crate::files::campaign_file;

/// All that stands while portals live and die.
pub struct Town {
    pub forthwith: Forthwith,
    /// Takes mails as long as the town stands.
    _sink: SinkProcess,
    pub port: u16,
    pub accounts: Vec<Account>,
    pub people: Directory,
    pub at_once: usize,
    /// Kills that are to be made.
    pub kills: u32,
}

impl Town {
    /// Secures everybody, and tells them.
    pub async fn found(options: &Options, folder: &Path, bar: &Bar) -> Result<Self> {
        let folder = folder.join("town");
        std::fs::create_dir_all(&folder)?;
        let forthwith = Forthwith { binary: binary(options.binary.as_deref())?, folder };
        let (mut report, mut times) = (Report::default(), Times::default());
        let mut steps =
            Preparation { forthwith: &forthwith, kills: None, report: &mut report, bar };
        steps.found(&mut times).await?;
        let record = forthwith.folder.join("sink.record");
        let maildir = format!("--maildir={}", maildir(&forthwith).display());
        let sink = SinkProcess::start(&forthwith, &record, Duration::ZERO, &[maildir])?;
        let port = free_port()?;
        let furniture = Furniture {
            customers: options.accounts,
            settings: &settings(sink.port, port),
            campaign: &campaign_file("").replace("template =", "mode = \"link\"\ntemplate ="),
        };
        let accounts = furniture.bring(&forthwith).await?;
        bar.note("securing and telling everybody");
        steps.make_ready(&mut times).await?;
        steps.secure(&mut times).await?;
        forthwith.done(&House::run_line())?;
        let people = Directory::read(&forthwith.folder).await?;
        let open = still_open(&forthwith.folder.join("shop.db"), &accounts).await?;
        ensure!(open == 0, "{open} stolen hashes still stand before anybody came");
        let Options { at_once, kills, .. } = *options;
        Ok(Self { forthwith, _sink: sink, port, accounts, people, at_once, kills })
    }

    /// Everybody who got a link; every third goes by a code all the same.
    pub fn everybody(&self, mails: &mut Mails) -> Result<Vec<Person>> {
        let mut all = Vec::new();
        for account in &self.accounts {
            let token = mails.to(&account.address)?.iter().find_map(|mail| mail.token.clone());
            let Some(token) = token else { continue };
            let Some(number) = self.people.numbers.get(&account.address) else { continue };
            let way = if all.len() % 3 == 2 { Way::Code } else { Way::Link(token) };
            all.push(Person::new(account, *number, way, self.port)?);
        }
        ensure!(all.len() > self.accounts.len() / 2, "only {} people got a link", all.len());
        Ok(all)
    }

    /// What the relay took.
    pub fn mails(&self) -> Mails {
        Mails::at(&maildir(&self.forthwith))
    }

    pub fn database(&self) -> std::path::PathBuf {
        Workspace::at(&self.forthwith.folder).database()
    }

    pub fn shop(&self) -> std::path::PathBuf {
        self.forthwith.folder.join("shop.db")
    }
}

fn maildir(forthwith: &Forthwith) -> std::path::PathBuf {
    forthwith.folder.join("maildir")
}

fn settings(relay: u16, portal: u16) -> String {
    format!(
        "[relay]\nhost = \"127.0.0.1\"\nport = {relay}\nhello = \"localhost\"\nconnections = 8\n\n\
         [portal]\nlisten = \"127.0.0.1:{portal}\"\naddress = \"http://127.0.0.1:{portal}/reset\"\n\
         hashes_at_once = 2\nanonymous_per_minute = 60000\n"
    )
}
