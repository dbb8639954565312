//! From the end of a transaction to the move it means: one table for the recorder and the rescue.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::short;
use crate::domain::delivery::{
    AttemptKey, AttemptResult, DeliveryClass, Doubt, FallbackReason, Outcome, ToldBy,
};
use crate::domain::duration::HumanDuration;
use crate::domain::ledger::Entry;
use crate::domain::reply::{Action, Blame, Phase, ReplyClass, ReplyRules, SmtpReply};
use crate::domain::retry::{Next, RetryPolicy};
use crate::engine::campaign_file::{CampaignFile, DoubtPolicy};
use crate::engine::people::People;
use crate::mail::transaction::Transaction;
use crate::store::deliveries::{DeliveryState, Ended, Move};

/// The longest wait after a connection broke, per attempt so far: the relay's trouble is no reason to
/// keep a person waiting for the whole retry interval.
const BROKEN_WAIT: Duration = Duration::from_mins(1);

/// What decides the class after an attempt.
#[derive(Debug, Clone)]
pub struct Rules {
    /// When a deferred notice is tried again.
    pub retry: RetryPolicy,
    /// How long a relay log may settle a doubt first.
    pub reconcile_for: HumanDuration,
    /// What then happens to it.
    pub then: DoubtPolicy,
    /// How long a provider rests after our own fault, where no rule says otherwise.
    pub suspend_for: HumanDuration,
    /// What replies mean.
    pub replies: Arc<ReplyRules>,
}

/// An attempt as far as its end needs it.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Which.
    pub key: AttemptKey,
    /// The class it left when it went in flight.
    pub from: DeliveryClass,
    /// The row as loaded.
    pub state: DeliveryState,
    /// The message's Date.
    pub dated_at: Timestamp,
    /// The person as the ledger knows them.
    pub person: String,
    /// Epoch of the lease.
    pub epoch: u64,
    /// How long the lane's retry windows have stood still.
    pub stood_still: SignedDuration,
}

/// What is kept of a transaction's end. A refusal is read by the rules, for a recipient of
/// `provider`; the peer's words go under the campaign's key.
pub fn of_transaction(
    people: &People,
    replies: &ReplyRules,
    provider: &str,
    number: u64,
    end: &Transaction,
    at: Timestamp,
) -> Outcome {
    match end {
        Transaction::Accepted { reply } => Outcome {
            queue_id: reply.queue_id().map(str::to_owned),
            ..of_reply(people, number, AttemptResult::Accepted, Phase::Dot, reply, at)
        },
        Transaction::Refused { phase, reply } => {
            let reading = replies.read(*phase, provider, reply);
            let result = reading.class.result(reply.code());
            Outcome {
                class: Some(reading.class),
                rule: reading.rule.map(|rule| rule.name().to_owned()),
                ..of_reply(people, number, result, *phase, reply, at)
            }
        }
        Transaction::Broken { phase, after_dot, .. } => {
            let result = if *after_dot { AttemptResult::InDoubt } else { AttemptResult::Broken };
            Outcome::bare(result, phase.word(), at)
        }
        Transaction::NeedsSmtputf8 => Outcome::bare(AttemptResult::Unsendable, "", at),
    }
}

fn of_reply(
    people: &People,
    number: u64,
    result: AttemptResult,
    phase: Phase,
    reply: &SmtpReply,
    at: Timestamp,
) -> Outcome {
    // An acceptance says nothing that its code and queue id do not; a refusal's words are evidence.
    let sealed = (result != AttemptResult::Accepted).then(|| {
        people.key.seal_blob(&people.reply_aad(number), reply.text().as_bytes(), &mut rand::rng())
    });
    Outcome {
        code: Some(reply.code()),
        enhanced: reply.enhanced().map(|status| status.to_string()),
        reply: sealed,
        ..Outcome::bare(result, phase.word(), at)
    }
}

impl Rules {
    /// The rules of an approved campaign file.
    pub fn of(file: &CampaignFile, replies: &Arc<ReplyRules>) -> Self {
        Self {
            retry: file.retry.clone(),
            reconcile_for: file.in_doubt.reconcile_for,
            then: file.then(),
            suspend_for: file.suspend_for,
            replies: Arc::clone(replies),
        }
    }

    /// What is done about an outcome; nothing of its own where no refusal was read.
    pub fn action(&self, outcome: &Outcome) -> Action {
        outcome
            .class
            .map(|class| self.replies.action(class, outcome.rule.as_deref()))
            .unwrap_or_default()
    }

    /// How long a lane rests for a reply: the rule's time, else the campaign's.
    pub fn rest(&self, action: &Action) -> Duration {
        action.suspend_for.unwrap_or(self.suspend_for).unsigned()
    }

    /// The outcome with the move it means for the row.
    pub fn end(&self, people: &People, attempt: &Attempt, outcome: Outcome, jitter: f64) -> Ended {
        let change = self.next_state(attempt, &outcome, jitter).map(|state| {
            let entry = Entry::Attempt {
                campaign: people.ledger_name(),
                person: attempt.person.clone(),
                generation: attempt.key.generation,
                n: attempt.key.n,
                from: attempt.from.label(),
                to: state.class.label(),
                result: outcome.result.word(),
                code: outcome.code,
                enhanced: outcome.enhanced.clone(),
                class: outcome.class.map(ReplyClass::word),
            };
            Move {
                number: attempt.key.number,
                from: attempt.from.clone(),
                to: state.class.clone(),
                state,
                line: entry.line(outcome.ended_at),
            }
        });
        Ended {
            key: attempt.key,
            outcome,
            from: attempt.from.clone(),
            epoch: attempt.epoch,
            change,
        }
    }

    /// The row afterwards; `None` = back to the class it left.
    pub(in crate::engine) fn next_state(
        &self,
        attempt: &Attempt,
        outcome: &Outcome,
        jitter: f64,
    ) -> Option<DeliveryState> {
        let at = outcome.ended_at;
        let first = attempt.state.first_attempt_at.unwrap_or(attempt.dated_at);
        let attempts = attempt.state.attempts + 1;
        let mut state = DeliveryState {
            attempts,
            first_attempt_at: Some(first),
            due_at: None,
            ..attempt.state.clone()
        };
        state.class = match outcome.result {
            AttemptResult::NotStarted => return None,
            AttemptResult::Accepted => DeliveryClass::Told(ToldBy::Accepted),
            AttemptResult::Refused => DeliveryClass::Fallback(FallbackReason::Bounced),
            AttemptResult::Unsendable => DeliveryClass::Fallback(FallbackReason::NeedsSmtputf8),
            AttemptResult::InDoubt => {
                state.doubts += 1;
                self.doubt(&mut state, at)
            }
            AttemptResult::Broken => {
                match self.retry.next_due(attempts, first, at, attempt.stood_still, jitter) {
                    Next::GaveUp => DeliveryClass::Fallback(FallbackReason::GaveUp),
                    Next::At(due) => {
                        state.due_at = Some(due.min(later(at, BROKEN_WAIT * attempts)));
                        DeliveryClass::Deferred
                    }
                }
            }
            AttemptResult::Deferred => {
                let wait = self.wait(outcome, attempts);
                if outcome.class.is_some_and(|class| class.blame() == Blame::Sender) {
                    our_fault(&mut state, first, at, self.retry.stretched(wait, jitter));
                    DeliveryClass::Deferred
                } else {
                    match self.retry.next_after(wait, first, at, attempt.stood_still, jitter) {
                        Next::GaveUp => DeliveryClass::Fallback(FallbackReason::GaveUp),
                        Next::At(due) => {
                            state.due_at = Some(due);
                            DeliveryClass::Deferred
                        }
                    }
                }
            }
            AttemptResult::Policy => {
                let rest = self.rest(&self.action(outcome));
                let rest = SignedDuration::try_from(rest).unwrap_or(SignedDuration::MAX);
                our_fault(&mut state, first, at, rest);
                DeliveryClass::Deferred
            }
        };
        Some(state)
    }

    /// How long a deferred person waits, before jitter.
    fn wait(&self, outcome: &Outcome, attempts: u32) -> SignedDuration {
        let by_schedule = self.retry.interval(attempts);
        let is_ours = outcome.class.is_some_and(|class| class.blame() == Blame::Sender);
        match self.action(outcome).wait.map(HumanDuration::signed) {
            // The server asks for a little patience, not for more than anybody else does.
            Some(own) if outcome.class == Some(ReplyClass::Greylisted) => own.min(by_schedule),
            Some(own) => own,
            // Before anybody was named, and not for something we did, it is the relay's own trouble.
            None if outcome.phase == Phase::Mail.word() && !is_ours => {
                let soon = SignedDuration::try_from(BROKEN_WAIT * attempts);
                by_schedule.min(soon.unwrap_or(SignedDuration::MAX))
            }
            None => by_schedule,
        }
    }

    /// A first doubt is re-sent by policy; a second one, or a policy of holding, waits for a person.
    fn doubt(&self, state: &mut DeliveryState, at: Timestamp) -> DeliveryClass {
        if self.then == DoubtPolicy::Hold || state.doubts > 1 {
            return DeliveryClass::InDoubt(Doubt::Held);
        }
        state.due_at = Some(later(at, self.reconcile_for.unsigned()));
        DeliveryClass::InDoubt(Doubt::Due)
    }
}

/// Nobody is given up for the sender's own fault: the wait moves the start of the retry window along.
fn our_fault(state: &mut DeliveryState, first: Timestamp, at: Timestamp, wait: SignedDuration) {
    let moved = |from: Timestamp| from.saturating_add(wait).unwrap_or(Timestamp::MAX);
    state.first_attempt_at = Some(moved(first));
    state.due_at = Some(moved(at));
}

/// That much later; the end of time where there is no such instant.
pub(in crate::engine) fn later(at: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// An outcome as the journal keeps it: JSON without any address; the reply is ciphertext already.
pub fn encode(outcome: &Outcome) -> Vec<u8> {
    let kept = Kept {
        r: outcome.result.word().into(),
        p: (&*outcome.phase).into(),
        c: outcome.code,
        e: outcome.enhanced.as_deref().map(Cow::Borrowed),
        k: outcome.class.map(|class| class.word().into()),
        u: outcome.rule.as_deref().map(Cow::Borrowed),
        q: outcome.queue_id.as_deref().map(Cow::Borrowed),
        w: outcome.reply.as_ref().filter(|reply| reply.len() <= 256).map(hex::encode),
        t: outcome.ended_at.as_microsecond(),
    };
    serde_json::to_vec(&kept).unwrap_or_default()
}

/// An outcome's fields under the journal's short names.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    r: Cow<'a, str>,
    #[serde(borrow, default)]
    p: Cow<'a, str>,
    c: Option<u16>,
    e: Option<Cow<'a, str>>,
    k: Option<Cow<'a, str>>,
    u: Option<Cow<'a, str>>,
    q: Option<Cow<'a, str>>,
    w: Option<String>,
    t: i64,
}

/// Reads [`encode`]'s bytes, older ones without class and rule too, and those of a shrunk journal; `None`
/// where they are not ours.
pub fn decode(bytes: &[u8]) -> Option<Outcome> {
    if bytes.first() == Some(&short::SHORT) {
        return short::read(bytes);
    }
    let kept: Kept<'_> = serde_json::from_slice(bytes).ok()?;
    Some(Outcome {
        result: AttemptResult::parse(&kept.r)?,
        phase: kept.p.into_owned(),
        code: kept.c,
        enhanced: kept.e.map(Cow::into_owned),
        class: kept.k.and_then(|word| ReplyClass::parse(&word)),
        rule: kept.u.map(Cow::into_owned),
        queue_id: kept.q.map(Cow::into_owned),
        reply: kept.w.and_then(|reply| hex::decode(reply).ok()),
        ended_at: Timestamp::from_microsecond(kept.t).ok()?,
    })
}

#[cfg(test)]
mod tests;
