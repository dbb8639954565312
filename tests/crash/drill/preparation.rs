//! From nothing to a campaign that may send: init, seal, plans, approvals, the kill of the credentials;
//! each command killed at random moments and simply run again.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use forthwith::engine::Workspace;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::CAMPAIGN;
use super::bar::Bar;
use super::database::count;
use super::forthwith::{FOUNDERS, Forthwith, Line, Struck, failure};
use super::report::Report;
use super::sums;

/// How long each command takes, by its words.
#[derive(Debug, Default)]
pub struct Times(Vec<(String, Duration)>);

/// A command, and how the database shows that it has done its work: a query that counts.
struct Step {
    name: &'static str,
    line: Line,
    is_done: &'static str,
}

/// The commands of one workspace; without kills they are measured.
pub struct Preparation<'a> {
    pub forthwith: &'a Forthwith,
    /// How many kills a command, and by what chance.
    pub kills: Option<(u32, &'a mut StdRng)>,
    pub report: &'a mut Report,
    pub bar: &'a Bar,
}

/// Counts a founder's signature over the latest plan of a track.
macro_rules! signed {
    ($kind:literal, $who:literal) => {
        concat!(
            "SELECT COUNT(*) FROM approval AS a JOIN operator AS o ON o.id = a.operator_id WHERE a.kind = '",
            $kind,
            "' AND o.name = '",
            $who,
            "'"
        )
    };
}

const FOUNDED: &str = "SELECT COUNT(*) / 2 FROM operator";
const SEALED: &str = "SELECT COUNT(*) FROM campaign WHERE seal_id IS NOT NULL";
const NEVER: &str = "SELECT 0";
const SECURED: &str = "SELECT COUNT(*) FROM campaign WHERE containment_state = 'done'";

impl Preparation<'_> {
    /// `init`.
    pub async fn found(&mut self, times: &mut Times) -> Result<()> {
        let line = Line::of(&["init", ".", "--founder", FOUNDERS[0], "--founder", FOUNDERS[1]]);
        self.step(Step { name: "init", line, is_done: FOUNDED }, times).await
    }

    /// Seal, plans, approvals.
    pub async fn make_ready(&mut self, times: &mut Times) -> Result<()> {
        let line = Line::of(&["audience", "seal", CAMPAIGN]);
        self.step(Step { name: "seal", line, is_done: SEALED }, times).await?;
        let tracks = [
            ("containment", [signed!("containment", "ann"), signed!("containment", "bob")]),
            ("campaign", [signed!("notice", "ann"), signed!("notice", "bob")]),
        ];
        for (noun, signatures) in tracks {
            let line = Line::of(&[noun, "plan", CAMPAIGN]);
            self.step(Step { name: "plan", line, is_done: NEVER }, times).await?;
            for (who, is_done) in FOUNDERS.into_iter().zip(signatures) {
                let line = Line::signed(&[noun, "approve", CAMPAIGN], who);
                self.step(Step { name: "approve", line, is_done }, times).await?;
            }
        }
        Ok(())
    }

    /// `secure run`.
    pub async fn secure(&mut self, times: &mut Times) -> Result<()> {
        let line = Line::of(&["secure", "run", CAMPAIGN]);
        self.step(Step { name: "secure", line, is_done: NEVER }, times).await?;
        let done = self.count(SECURED).await?;
        ensure!(done == 1, "`secure run` ended well and containment is not done");
        Ok(())
    }

    async fn count(&self, sql: &'static str) -> Result<i64> {
        count(&Workspace::at(&self.forthwith.folder).database(), sql).await
    }

    async fn step(&mut self, step: Step, times: &mut Times) -> Result<()> {
        let words = step.line.words.join(" ");
        let Some((kills, _)) = self.kills else {
            times.0.push((words, self.forthwith.measured(&step.line)?));
            return Ok(());
        };
        let known = times.0.iter().find(|(known, _)| *known == words);
        let takes = known.map_or(Duration::from_millis(200), |(_, takes)| *takes);
        let mut struck = 0;
        // Some moments come too late: the command has ended then, and its work is done.
        for _ in 0..kills {
            let part: f64 = match &mut self.kills {
                Some((_, rng)) => rng.random_range(0.0..1.0),
                None => 0.5,
            };
            match self.forthwith.struck(&step.line, takes.mul_f64(part)).await? {
                Struck::Killed => {
                    struck += 1;
                    self.after(&step, struck).await?;
                }
                Struck::Ended(output) if output.status.success() => break,
                Struck::Ended(output) => {
                    self.refused(&step, &output).await?;
                    break;
                }
            }
        }
        let output = self.forthwith.run(&step.line)?;
        if !output.status.success() {
            self.refused(&step, &output).await?;
        }
        self.note(&step, struck);
        Ok(())
    }

    /// Between a death and the next start.
    async fn after(&mut self, step: &Step, struck: u32) -> Result<()> {
        let database = Workspace::at(&self.forthwith.folder).database();
        let found = sums::breaks(&database).await?;
        self.report.sums(found, &format!("kill {struck} of {}", step.name));
        Ok(())
    }

    /// A command that had done its work before it died says so when it is run again; any other refusal is
    /// a break.
    async fn refused(&self, step: &Step, output: &std::process::Output) -> Result<()> {
        if output.status.code() == Some(1) && self.count(step.is_done).await? >= 1 {
            return Ok(());
        }
        bail!("run again after a kill: {}", failure(&step.line, output))
    }

    fn note(&mut self, step: &Step, struck: u32) {
        if struck > 0 {
            self.bar.note(&format!("{struck} kills struck {}", step.line.words.join(" ")));
        }
        let before = &mut self.report.before;
        match before.iter_mut().find(|(name, _)| name == step.name) {
            Some((_, kills)) => *kills += struck,
            None => before.push((step.name.to_owned(), struck)),
        }
    }
}
