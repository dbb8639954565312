//! A workspace on its way to sending, made by the real commands under kills.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use forthwith::engine::Workspace;
use rand::rngs::StdRng;

use super::CAMPAIGN;
use super::bar::Bar;
use super::forthwith::{FOUNDERS, Forthwith, Line};
use super::furniture::Furniture;
use super::options::{Mode, Options};
use super::people::Directory;
use super::preparation::{Preparation, Times};
use super::report::Report;
use super::shop::{Account, Fate, still_open};
use super::sink::SinkProcess;
use crate::files::campaign_file;

/// The customer whose answers are always lost: in doubt again and again, and held at last.
pub const LOST: &str = "customer12@mail.example";

/// A workspace that may send, its shop and its sink.
pub struct House {
    pub options: Options,
    pub forthwith: Forthwith,
    pub sink: SinkProcess,
    pub accounts: Vec<Account>,
    pub people: Directory,
}

impl House {
    /// Makes one: first elsewhere without kills, to know how long each command takes; then under kills.
    pub async fn found(
        options: &Options,
        folder: &Path,
        rng: &mut StdRng,
        report: &mut Report,
        bar: &Bar,
    ) -> Result<Self> {
        let at = |name: &str| -> Result<Forthwith> {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder)?;
            Ok(Forthwith { binary: options.binary()?, folder })
        };
        bar.note("measuring how long each command takes");
        let measured = at("measure")?;
        let mut times = Times::default();
        let mut plain = Preparation { forthwith: &measured, kills: None, report, bar };
        plain.found(&mut times).await?;
        furnish(options, &measured, 1).await?;
        plain.make_ready(&mut times).await?;
        plain.secure(&mut times).await?;
        std::fs::remove_dir_all(&measured.folder)?;

        let forthwith = at("house")?;
        let mut killed = Preparation {
            forthwith: &forthwith,
            kills: Some((options.kills_before, rng)),
            report,
            bar,
        };
        killed.found(&mut times).await?;
        let record = forthwith.folder.join("sink.record");
        let sink = SinkProcess::start(
            &forthwith,
            &record,
            options.dot_delay(),
            &[format!("--fault=drop-after-dot:to={LOST}")],
        )?;
        let accounts = furnish(options, &forthwith, sink.port).await?;
        killed.make_ready(&mut times).await?;
        killed.secure(&mut times).await?;
        let open = still_open(&forthwith.folder.join("shop.db"), &accounts).await?;
        ensure!(open == 0, "{open} stolen hashes still stand after `secure run` said it is done");
        ensure!(sink.record.accepted_count() == 0, "a notice left before everybody was secured");
        let people = Directory::read(&forthwith.folder).await?;
        let options = options.clone();
        Ok(Self { options, forthwith, sink, accounts, people })
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        Workspace::at(&self.forthwith.folder).database()
    }

    /// The journals.
    pub fn journals(&self) -> PathBuf {
        Workspace::at(&self.forthwith.folder).journals()
    }

    /// How many people are to be told by mail.
    pub fn to_tell(&self) -> u64 {
        self.accounts.iter().filter(|account| account.fate == Fate::Told).count() as u64
    }

    /// The command that sends.
    pub fn run_line() -> Line {
        Line::of(&["campaign", "run", CAMPAIGN])
    }

    /// Settles people in doubt by what the sink's record says of them, as an operator does by the relay's
    /// log; how many were accepted, and how many not.
    pub fn settle(&self, doubtful: &[u64]) -> Result<(u64, u64)> {
        let accepted = self.sink.record.accepted()?;
        let is_taken = |number: &&u64| {
            self.people.addresses.get(number).is_some_and(|address| accepted.contains_key(address))
        };
        let (taken, not): (Vec<u64>, Vec<u64>) =
            doubtful.iter().copied().partition(|number| is_taken(&number));
        for (numbers, verdict) in [(&taken, "--accepted"), (&not, "--not-sent")] {
            for part in numbers.chunks(500) {
                let named: Vec<String> =
                    part.iter().map(|number| format!("number:{number}")).collect();
                let mut words = vec!["delivery", "resolve", CAMPAIGN];
                words.extend(named.iter().map(String::as_str));
                words.extend([verdict, "--reason", "read in the relay's log"]);
                self.forthwith.done(&Line::signed(&words, FOUNDERS[0]))?;
            }
        }
        Ok((taken.len() as u64, not.len() as u64))
    }
}

/// The shop, the list, and the files an operator writes.
async fn furnish(options: &Options, forthwith: &Forthwith, port: u16) -> Result<Vec<Account>> {
    let connections = options.connections;
    let settings = format!(
        "[relay]\nhost = \"127.0.0.1\"\nport = {port}\nhello = \"localhost\"\n\
         connections = {connections}\n"
    );
    let furniture = Furniture {
        customers: options.accounts,
        settings: &settings,
        campaign: &campaign(options),
    };
    furniture.bring(forthwith).await
}

/// The campaign's file.
fn campaign(options: &Options) -> String {
    let pace = format!("per_second = {}", options.per_second());
    let doubt = format!("\n[in_doubt]\nthen = \"{}\"\n", options.policy.word());
    let mut text = campaign_file("").replace("per_second = 2000", &pace);
    if options.mode == Mode::Link {
        let mode = format!("mode = \"{}\"\ntemplate =", options.mode.word());
        text = text.replace("template =", &mode);
    }
    text + &doubt
}
