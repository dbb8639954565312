//! Attempts that journals tell of, as a page of the database: which are new, which settle a doubt, and the
//! class each person comes to.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::attempts::Tried;
use super::report::CampaignRecovery;
use crate::domain::delivery::{AttemptResult, DeliveryClass, Doubt, FallbackReason, ToldBy};
use crate::domain::ledger::Entry;
use crate::domain::pace::day_of;
use crate::domain::track::Track;
use crate::engine::campaign_file::Mode;
use crate::engine::notice::approved_file;
use crate::engine::notify::outcome::{Attempt, Rules};
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;
use crate::store::deliveries::{DeliveryState, Lane, Move, Resolution};
use crate::store::rewinds::{
    AttemptOrigin, FoundAttempt, KnownAttempt, RecoveringRow, RecoveryPage,
};

/// Who settles a doubt by a journal's word.
const BY: &str = "journal";

/// A campaign that journals tell of.
pub(super) struct Recovering<'a> {
    pub(super) engine: &'a Engine,
    pub(super) people: People,
    /// The approved notice's rules; none where the restored database knows no approval.
    rules: Option<Rules>,
    is_link: bool,
    stood_still: HashMap<Lane, SignedDuration>,
}

/// Whose marks they are.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) worker: String,
    pub(super) incarnation: u64,
}

/// One person's part of a page.
struct Person<'a> {
    row: &'a RecoveringRow,
    state: DeliveryState,
    known: Vec<KnownAttempt>,
    lines: Vec<String>,
}

impl Person<'_> {
    /// Whether another attempt than this is in doubt and unsettled.
    fn still_in_doubt(&self, at: usize) -> bool {
        self.known.iter().enumerate().any(|(place, other)| {
            place != at && other.result == Some(AttemptResult::InDoubt) && other.settled.is_empty()
        })
    }
}

impl<'a> Recovering<'a> {
    /// What is the same for all attempts of a campaign.
    pub(super) async fn of(engine: &'a Engine, row: &CampaignRow) -> Result<Self, EngineError> {
        let (_, people) = engine.people(&row.name).await?;
        let file = if row.notice_digest.is_some() {
            let approved = engine.approved(row, &people, Track::Notice).await?;
            Some(approved_file(engine, &people, &approved.parts)?)
        } else {
            None
        };
        let lanes = engine.store.lanes(row.id).await?;
        let stood = |lane: crate::store::deliveries::LaneRow| {
            (lane.lane, SignedDuration::from_micros(lane.stood_still))
        };
        Ok(Self {
            engine,
            people,
            is_link: file.as_ref().is_some_and(|file| file.notice.mode == Mode::Link),
            rules: file.map(|file| Rules::of(&file, &engine.replies)),
            stood_still: lanes.into_iter().map(stood).collect(),
        })
    }

    /// Records attempts in the order they were made; counts them in `report`. A dry run records nothing.
    pub(super) async fn record(
        &self,
        source: &Source,
        tried: Vec<Tried>,
        report: &mut CampaignRecovery,
        is_dry: bool,
    ) -> Result<(), EngineError> {
        let mut numbers: Vec<u64> = tried.iter().map(|one| one.key.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let campaign = self.people.campaign;
        let rows = self.engine.store.recovering(campaign, &numbers).await?;
        let mut persons: BTreeMap<u64, Person<'_>> = rows
            .iter()
            .map(|row| {
                let (state, known) = (row.state.clone(), row.known.clone());
                (row.number, Person { row, state, known, lines: Vec::new() })
            })
            .collect();
        let mut page = RecoveryPage::default();
        for one in tried {
            // a number of nobody is another seal's: the caller saw to it that the seal is the same
            let Some(person) = persons.get_mut(&one.key.number) else { continue };
            self.take(person, source, one, &mut page, report)?;
        }
        for (number, person) in persons {
            let Person { row, state, mut lines, .. } = person;
            let Some(line) = lines.pop() else { continue };
            page.lines.extend(lines);
            if state == row.state {
                page.lines.push(line);
                continue;
            }
            report.moved += u64::from(state.class != row.state.class);
            let (from, to) = (row.state.class.clone(), state.class.clone());
            page.moves.push(Move { number, from, to, state, line });
        }
        let is_empty = page.attempts.is_empty() && page.resolutions.is_empty();
        let is_empty = is_empty && page.moves.is_empty();
        if !(is_dry || is_empty) {
            self.engine.store.record(campaign, page).await?;
        }
        Ok(())
    }

    fn take(
        &self,
        person: &mut Person<'_>,
        source: &Source,
        one: Tried,
        page: &mut RecoveryPage,
        report: &mut CampaignRecovery,
    ) -> Result<(), EngineError> {
        let known = person.known.iter().position(|known| known.key == one.key);
        if let Some(at) = known
            && person.known[at].result.is_some()
        {
            return self.hear(person, at, source, &one, page, report);
        }
        let next = self.next_state(person, &one);
        if known.is_none() {
            person.known.push(KnownAttempt {
                key: one.key,
                worker: source.worker.clone(),
                origin: AttemptOrigin::Journal,
                result: Some(one.outcome.result),
                settled: Vec::new(),
            });
        }
        self.step(person, next, &one)?;
        *report.attempts.entry(one.outcome.result.word().to_owned()).or_default() += 1;
        let has_token = person.row.token_generations.contains(&one.key.generation);
        if self.is_link && !has_token {
            match one.outcome.result {
                AttemptResult::Accepted => report.links_unknown += 1,
                AttemptResult::InDoubt => report.links_in_doubt += 1,
                _ => {}
            }
        }
        let (ended, now) = (one.outcome.ended_at, self.engine.clock.now());
        if known.is_none()
            && one.outcome.result != AttemptResult::NotStarted
            && day_of(ended) == day_of(now)
        {
            *page.begun_today.entry(person.row.lane.provider.clone()).or_default() += 1;
        }
        let begun = |at: &crate::journal::Begun| Timestamp::from_microsecond(at.dated_at).ok();
        page.attempts.push(FoundAttempt {
            key: one.key,
            dated_at: one.begun.as_ref().and_then(begun).unwrap_or(ended),
            content: one.begun.as_ref().map_or([0; 32], |begun| begun.content),
            from: person.row.state.class.clone(),
            worker: source.worker.clone(),
            incarnation: source.incarnation,
            segment: one.segment,
            origin: AttemptOrigin::Journal,
            outcome: one.outcome,
        });
        Ok(())
    }

    /// What a journal says of an attempt that has an outcome: new only where that is a doubt, or where it
    /// was another's attempt under the same number.
    fn hear(
        &self,
        person: &mut Person<'_>,
        at: usize,
        source: &Source,
        one: &Tried,
        page: &mut RecoveryPage,
        report: &mut CampaignRecovery,
    ) -> Result<(), EngineError> {
        let known = person.known[at].clone();
        let result = one.outcome.result;
        let is_same = known.worker == source.worker || known.origin == AttemptOrigin::Rewind;
        let was_doubt = known.result == Some(AttemptResult::InDoubt);
        if result == AttemptResult::InDoubt || (is_same && !was_doubt) {
            return Ok(());
        }
        let is_accepted = result == AttemptResult::Accepted;
        let settle = |word: &'static str| Resolution {
            person: one.key.number,
            key: one.key,
            result: word,
            by: BY.into(),
            reason: format!("the journal of worker {}", source.worker),
            signature: None,
            at: self.engine.clock.now(),
        };
        let taken_again = person.known.iter().any(|other| {
            let is_later = other.key > one.key || (other.key == one.key && !is_same);
            is_later && other.result == Some(AttemptResult::Accepted)
        });
        let is_said = |word: &str| known.settled.iter().any(|said| said == word);
        if is_accepted && taken_again && !is_said("second-copy-certain") {
            page.resolutions.push(settle("second-copy-certain"));
            report.second_copies += 1;
            let line = Entry::SecondCopy {
                campaign: self.people.ledger_name(),
                person: self.name(person)?,
                generation: one.key.generation,
                n: one.key.n,
            };
            page.lines.push(line.line(self.engine.clock.now()));
            person.known[at].settled.push("second-copy-certain".into());
        }
        let word = if is_accepted { "accepted" } else { "not-sent" };
        if !was_doubt || is_said(word) || is_said("accepted") {
            return Ok(());
        }
        // Settled before as not sent, and the journal agrees or the re-send is counted above.
        let is_open = known.settled.is_empty();
        page.resolutions.push(settle(word));
        person.known[at].settled.push(word.into());
        report.settled += 1;
        let is_current = one.key.generation >= person.state.generation;
        let waits = matches!(person.state.class, DeliveryClass::InDoubt(_));
        let next = if is_open && waits || is_accepted && is_current && !taken_again {
            let still = person.still_in_doubt(at);
            let next = self.next_state(person, one);
            match next.class {
                // another attempt of theirs is in doubt all the same
                _ if still && !is_accepted => person.state.clone(),
                DeliveryClass::InDoubt(_) => {
                    DeliveryState { class: DeliveryClass::Queued, due_at: None, ..next }
                }
                _ => next,
            }
        } else {
            person.state.clone()
        };
        self.step(person, next, one)
    }

    /// Where an attempt leaves somebody. Who is through stays so; whom a person has to look after leaves that
    /// only for an end that nobody can undo.
    fn next_state(&self, person: &Person<'_>, one: &Tried) -> DeliveryState {
        let mut before = person.state.clone();
        if one.key.generation > before.generation {
            // a notice of a new generation was made in the time that was lost
            before = DeliveryState {
                generation: one.key.generation,
                doubts: 0,
                first_attempt_at: None,
                ..before
            };
        }
        let next = if one.outcome.result == AttemptResult::InDoubt {
            let class = DeliveryClass::InDoubt(Doubt::Held);
            let (doubts, attempts) = (before.doubts + 1, before.attempts + 1);
            DeliveryState { class, doubts, attempts, due_at: None, ..before.clone() }
        } else {
            self.by_rules(person, one, &before)
        };
        let is_final = matches!(
            one.outcome.result,
            AttemptResult::Accepted | AttemptResult::InDoubt | AttemptResult::Refused
        );
        let stays = match before.class {
            DeliveryClass::Told(_) | DeliveryClass::Withdrawn | DeliveryClass::Waived(_) => true,
            DeliveryClass::Held(_) | DeliveryClass::Fallback(_) => !is_final,
            _ => false,
        };
        if stays {
            DeliveryState { class: before.class, due_at: before.due_at, ..next }
        } else {
            next
        }
    }

    fn by_rules(&self, person: &Person<'_>, one: &Tried, before: &DeliveryState) -> DeliveryState {
        let begun = one.begun.as_ref().and_then(|at| Timestamp::from_microsecond(at.dated_at).ok());
        let Some(rules) = &self.rules else { return bare(before, one) };
        let stood_still = self.stood_still.get(&person.row.lane).copied().unwrap_or_default();
        let attempt = Attempt {
            key: one.key,
            from: before.class.clone(),
            state: before.clone(),
            dated_at: begun.unwrap_or(one.outcome.ended_at),
            person: String::new(),
            epoch: 0,
            stood_still,
        };
        rules.next_state(&attempt, &one.outcome, 0.5).unwrap_or_else(|| before.clone())
    }

    /// The person's row after an attempt, with its ledger line.
    fn step(
        &self,
        person: &mut Person<'_>,
        next: DeliveryState,
        one: &Tried,
    ) -> Result<(), EngineError> {
        if one.outcome.result == AttemptResult::NotStarted && next == person.state {
            return Ok(());
        }
        let entry = Entry::Recovered {
            campaign: self.people.ledger_name(),
            person: self.name(person)?,
            generation: one.key.generation,
            n: one.key.n,
            from: person.state.class.label(),
            to: next.class.label(),
            result: one.outcome.result.word(),
            evidence: BY,
        };
        person.lines.push(entry.line(self.engine.clock.now()));
        person.state = next;
        Ok(())
    }

    fn name(&self, person: &Person<'_>) -> Result<String, EngineError> {
        let recipient = self.people.open(person.row.number, &person.row.body)?;
        Ok(self.people.person(person.row.salt, &recipient))
    }
}

/// The row after an attempt of a notice whose approval is lost: what ended, ended; all else is due.
fn bare(before: &DeliveryState, one: &Tried) -> DeliveryState {
    let class = match one.outcome.result {
        AttemptResult::Accepted => DeliveryClass::Told(ToldBy::Accepted),
        AttemptResult::Refused => DeliveryClass::Fallback(FallbackReason::Bounced),
        AttemptResult::Unsendable => DeliveryClass::Fallback(FallbackReason::NeedsSmtputf8),
        AttemptResult::NotStarted => return before.clone(),
        AttemptResult::InDoubt
        | AttemptResult::Deferred
        | AttemptResult::Policy
        | AttemptResult::Broken => DeliveryClass::Deferred,
    };
    let due_at = (class == DeliveryClass::Deferred).then_some(one.outcome.ended_at);
    let first = before.first_attempt_at.unwrap_or(one.outcome.ended_at);
    DeliveryState {
        class,
        due_at,
        attempts: before.attempts + 1,
        first_attempt_at: Some(first),
        ..before.clone()
    }
}
