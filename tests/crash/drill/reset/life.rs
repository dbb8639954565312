//! Lives of the portal: people come, send their passwords together, and the portal dies at some moment of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use forthwith::directory::shop;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use super::mails::Mails;
use super::person::{Person, Said, Way};
use super::portal::Portal;
use super::report::Report;
use super::town::Town;
use crate::drill::bar::Bar;
use crate::drill::shop::reading;
use crate::drill::sums;

/// One of so many kills comes while people are on their way to the form.
const EARLY: f64 = 0.1;
/// One of so many who go by a link sends it from two windows at once.
const RACE: f64 = 0.25;

/// What goes on from life to life.
pub struct Lives<'t> {
    town: &'t Town,
    rng: StdRng,
    /// People who have not come yet.
    pub fresh: VecDeque<Person>,
    /// People who got no answer.
    pub waiting: VecDeque<Person>,
    /// People who were told how it ended.
    pub ended: Vec<Person>,
    pub mails: Arc<Mutex<Mails>>,
    /// How long people wait for their answers.
    takes: Option<Duration>,
}

impl<'t> Lives<'t> {
    pub fn new(town: &'t Town, rng: StdRng) -> Result<Self> {
        let mut mails = town.mails();
        let fresh = town.everybody(&mut mails)?.into();
        let mails = Arc::new(Mutex::new(mails));
        let (waiting, ended) = (VecDeque::new(), Vec::new());
        Ok(Self { town, rng, fresh, waiting, ended, mails, takes: None })
    }

    /// One life; the first one is measured and not killed.
    pub async fn live_and_die(&mut self, report: &mut Report, bar: &Bar) -> Result<()> {
        let mut portal = Portal::start(&self.town.forthwith, self.town.port).await?;
        let Some(takes) = self.takes else {
            let group = self.group()?;
            let came = self.come(group, None, &mut portal).await?;
            let began = Instant::now();
            self.send(came, None, &mut portal).await?;
            self.takes = Some(began.elapsed());
            return portal.kill();
        };
        let ended = format!("kills, {} people told how it ended", self.ended.len());
        bar.at(u64::from(report.kills), u64::from(self.town.kills), &ended);
        let group = self.group()?;
        let early = self.rng.random_bool(EARLY);
        let after = takes.mul_f64(self.rng.random_range(0.0..1.2));
        let came = self.come(group, early.then_some(after), &mut portal).await?;
        if early {
            self.waiting.extend(came.into_iter().map(|(person, _)| person));
        } else {
            self.send(came, Some(after), &mut portal).await?;
        }
        report.kills += 1;
        report.early += u32::from(early);
        self.look(report).await
    }

    /// Who comes in this life: those without an answer first.
    fn group(&mut self) -> Result<Vec<Person>> {
        let mut group = Vec::new();
        let again = self.town.at_once.div_ceil(2);
        group.extend(self.waiting.drain(..again.min(self.waiting.len())));
        while group.len() < self.town.at_once {
            let next = self.fresh.pop_front().or_else(|| self.waiting.pop_front());
            group.push(next.context("nobody is left to come; hint: --accounts")?);
        }
        Ok(group)
    }

    /// Lets people come to their forms; kills after so long, where it is said.
    async fn come(
        &mut self,
        group: Vec<Person>,
        kill_after: Option<Duration>,
        portal: &mut Portal,
    ) -> Result<Vec<(Person, Option<String>)>> {
        let mut coming = JoinSet::new();
        for mut person in group {
            let mails = Arc::clone(&self.mails);
            coming.spawn(async move {
                let form = person.come(&mails).await?;
                anyhow::Ok((person, form))
            });
        }
        if let Some(after) = kill_after {
            tokio::time::sleep(after).await;
            portal.kill()?;
        }
        let mut came = Vec::new();
        while let Some(one) = coming.join_next().await {
            came.push(one??);
        }
        Ok(came)
    }

    /// Lets them send their passwords at the same moment; kills after so long, where it is said.
    async fn send(
        &mut self,
        came: Vec<(Person, Option<String>)>,
        kill_after: Option<Duration>,
        portal: &mut Portal,
    ) -> Result<()> {
        let mut sending = JoinSet::new();
        for (mut person, form) in came {
            let Some(form) = form else {
                self.waiting.push_back(person);
                continue;
            };
            let race = person.way != Way::Code && self.rng.random_bool(RACE);
            sending.spawn(async move {
                let said = person.choose(form, race).await?;
                anyhow::Ok((person, said))
            });
        }
        if let Some(after) = kill_after {
            tokio::time::sleep(after).await;
            portal.kill()?;
        }
        while let Some(one) = sending.join_next().await {
            let (person, said) = one??;
            match said {
                Said::Done | Said::Void => self.ended.push(person),
                Said::Later | Said::Nothing => self.waiting.push_back(person),
            }
        }
        Ok(())
    }

    /// Between a death and the next start: what was open, and whether the sums hold.
    async fn look(&self, report: &mut Report) -> Result<()> {
        let database = self.town.database();
        report.sums(sums::breaks(&database).await?);
        // a portal that died in the middle of its write left the shop a journal: whoever reads next takes it
        // back, as the shop's own log-in page would
        let mut shop = reading(&self.town.shop()).await?;
        sqlx::query("SELECT COUNT(*) FROM customer").execute(&mut shop).await?;
        let mut conn = reading(&database).await?;
        let open: Vec<(i64,)> = sqlx::query_as("SELECT number FROM reset WHERE state = 'claimed'")
            .fetch_all(&mut conn)
            .await?;
        let (mut before, mut after) = (false, false);
        for (number,) in open {
            let mut all = self.waiting.iter().chain(&self.ended);
            let person = all.find(|one| one.number == number.unsigned_abs());
            let person = person.context("a claim of somebody who never came")?;
            if !person.told.is_empty() {
                let text = format!("kill {} found the claim open", report.kills);
                report.breaks.push(person.broken("told at the end alone", text));
            }
            let mut stands = false;
            for password in &person.sent {
                stands |= shop::log_in(&self.town.shop(), &person.account, password).await?;
            }
            before |= !stands;
            after |= stands;
        }
        report.claimed += u32::from(before);
        report.changed += u32::from(after);
        Ok(())
    }
}
