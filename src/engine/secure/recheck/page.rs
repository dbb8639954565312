//! One page of a re-check: read, tell what came back from what was set anew, mend.

use std::collections::HashMap;

use crate::directory::{Current, SessionEnd};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::recipient::Recipient;
use crate::engine::EngineError;
use crate::store::credentials::{Pick, SealedAccount, Settlement};
use crate::store::deliveries::{DeliveryState, Move};
use crate::store::rechecks::RecheckCounts;

use super::super::batch::{Batch, Tally};
use super::super::pass::Stop;

/// What a page needs.
pub(super) struct Page<'a> {
    pub batch: Batch<'a>,
    /// So many are mended before more than that are mended at once.
    pub smallest: usize,
}

/// What the first mends of a kind have shown: a wrong statement is to show on `smallest` accounts,
/// however few of them each page has.
#[derive(Default)]
pub(super) struct Trial {
    tally: Tally,
    is_over: bool,
}

impl Trial {
    /// How many may be mended at once.
    fn room(&self, smallest: usize) -> usize {
        if self.is_over {
            return usize::MAX;
        }
        let touched = usize::try_from(self.tally.touched).unwrap_or(usize::MAX);
        smallest.saturating_sub(touched).max(1)
    }

    /// Adds what a batch came to; whether most of them together are not proved.
    fn has_failed(&mut self, tally: &Tally, smallest: usize) -> bool {
        if self.is_over {
            return false;
        }
        self.tally.touched += tally.touched;
        self.tally.unproved += tally.unproved;
        self.is_over = self.tally.touched >= smallest as u64;
        tally.halted || self.is_over && self.tally.unproved * 2 > self.tally.touched
    }
}

/// What a page came to.
pub(super) struct Found {
    pub counts: RecheckCounts,
    pub stopped: Option<Stop>,
}

/// What became of one expired account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Our own value, or none.
    Fine,
    /// Set anew elsewhere, by the directory's own word.
    ResetElsewhere,
    /// The old value, one nobody vouches for, or (`true`) only sessions.
    Regressed(bool),
}

/// The accounts of a page with what the directory holds of them.
pub(super) struct Read {
    known: Vec<(SealedAccount, Recipient)>,
    held: HashMap<String, Vec<Current>>,
    /// The last number on it.
    pub last: u64,
}

impl Page<'_> {
    /// Opens the next accounts after a number and reads what the directory holds of them; nothing where
    /// there is nobody left.
    pub(super) async fn read(&self, after: u64, limit: u32) -> Result<Option<Read>, EngineError> {
        let reader = &self.batch.reader;
        let store = &self.batch.settling.engine.store;
        let accounts = store
            .next_accounts(reader.people.campaign, reader.kind, Pick::Expired, after, limit)
            .await?;
        let Some(last) = accounts.last().map(|account| account.number) else { return Ok(None) };
        let mut known = Vec::with_capacity(accounts.len());
        for account in accounts {
            let recipient = reader.people.open(account.number, &account.body)?;
            known.push((account, recipient));
        }
        let references: Vec<String> =
            known.iter().map(|(_, recipient)| recipient.account.as_str().to_owned()).collect();
        let mut held: HashMap<String, Vec<Current>> = HashMap::with_capacity(known.len());
        for current in reader.directory.confirm(reader.kind, &references).await? {
            held.entry(current.account.clone()).or_default().push(current);
        }
        Ok(Some(Read { known, held, last }))
    }

    /// Settles these accounts; `trial` is the kind's.
    pub(super) async fn run(&self, read: Read, trial: &mut Trial) -> Result<Found, EngineError> {
        let Read { known, held, .. } = read;
        let (reader, settling) = (&self.batch.reader, &self.batch.settling);
        let mut counts = RecheckCounts { checked: known.len() as u64, ..RecheckCounts::default() };
        let (mut settlements, mut came_back): (Vec<Settlement>, Vec<u64>) = Default::default();
        let mut holds = Vec::new();
        for (account, recipient) in &known {
            let values = held.get(recipient.account.as_str()).map(Vec::as_slice);
            let fate = self.fate(account, values.unwrap_or_default());
            let person = || reader.people.person(account.salt, recipient);
            let to = match fate {
                Fate::Fine => {
                    counts.fine += 1;
                    continue;
                }
                Fate::ResetElsewhere => {
                    counts.reset_elsewhere += 1;
                    CredentialClass::ResetElsewhere
                }
                Fate::Regressed(only_sessions) => {
                    counts.regressed += 1;
                    counts.sessions += u64::from(only_sessions);
                    came_back.push(account.number);
                    if account.class == CredentialClass::Regressed {
                        // Their attempt was on its way when it was found, and they are to be told again.
                        let to = CredentialClass::Regressed;
                        holds.extend(settling.hold_or_release(account, &person(), to));
                    }
                    CredentialClass::Regressed
                }
            };
            settlements.extend(settling.of(account, &person(), to, why(fate)));
        }
        let store = &settling.engine.store;
        store.settle(reader.people.campaign, reader.kind, settlements).await?;
        self.hold(holds).await?;
        let stopped = self.mend(&came_back, &mut counts, trial).await?;
        Ok(Found { counts, stopped })
    }

    /// Holds the few whose class says already that their secret came back.
    async fn hold(&self, mut holds: Vec<Move>) -> Result<(), EngineError> {
        if holds.is_empty() {
            return Ok(());
        }
        let campaign = self.batch.reader.people.campaign;
        let store = &self.batch.settling.engine.store;
        for change in &mut holds {
            if let Some(found) = store.delivery(campaign, change.number).await? {
                let class = change.to.clone();
                change.state = DeliveryState { class, due_at: None, ..found.state };
            }
        }
        store.apply_to_idle(campaign, holds).await?;
        Ok(())
    }

    /// Expires again whatever came back, a small batch first.
    async fn mend(
        &self,
        numbers: &[u64],
        counts: &mut RecheckCounts,
        trial: &mut Trial,
    ) -> Result<Option<Stop>, EngineError> {
        let (reader, store) = (&self.batch.reader, &self.batch.settling.engine.store);
        let mut rest = numbers;
        while !rest.is_empty() {
            let (part, others) = rest.split_at(trial.room(self.smallest).min(rest.len()));
            rest = others;
            let mut open = store.accounts_of(reader.people.campaign, reader.kind, part).await?;
            open.retain(|account| account.class == CredentialClass::Regressed);
            // A few that can't be mended prove nothing about a statement; a whole batch does.
            let proves = !trial.is_over && open.len() >= self.smallest;
            let tally = self.batch.run(open, proves).await?;
            counts.mended += tally.settled;
            if trial.has_failed(&tally, self.smallest) {
                return Ok(Some(Stop::unproved(
                    &reader.containment.expiry(reader.kind),
                    &trial.tally,
                )));
            }
        }
        Ok(None)
    }

    fn fate(&self, account: &SealedAccount, values: &[Current]) -> Fate {
        // Who set a new value is let be, unless the stolen one is back.
        let is_renewed =
            matches!(account.class, CredentialClass::Reset | CredentialClass::ResetElsewhere);
        let reader = &self.batch.reader;
        let (mut ours, mut elsewhere) = (false, false);
        for current in values {
            let Some(value) = &current.value else { continue };
            let mark = reader.mark(value.expose());
            if account.planned.contains(&mark) {
                ours = true;
            } else if account.seen.contains(&mark) {
                return Fate::Regressed(false);
            } else if !is_renewed {
                let since = account.changed_at;
                let has_evidence =
                    current.changed_at.zip(since).is_some_and(|(changed, since)| changed > since);
                // One of several values, spared by the pass beside those that were exposed.
                if !has_evidence && reader.kind.has_several() && reader.is_respected(current) {
                    continue;
                }
                if !has_evidence {
                    return Fate::Regressed(false);
                }
                elsewhere = true;
            }
        }
        let left_open = account.class == CredentialClass::Regressed;
        match (elsewhere, is_renewed) {
            (true, _) => Fate::ResetElsewhere,
            (_, true) => Fate::Fine,
            _ if left_open => Fate::Regressed(false),
            _ if ours && self.sessions_count(values) => Fate::Regressed(true),
            _ => Fate::Fine,
        }
    }

    /// Sessions on an account whose password nobody knows: they came back, or somebody signed in another
    /// way, which an operator may allow for.
    fn sessions_count(&self, values: &[Current]) -> bool {
        let reader = &self.batch.reader;
        reader.kind == CredentialKind::Password
            && reader.containment.section.recheck_sessions
            && reader.directory.capabilities().ends_sessions == SessionEnd::Ended
            && values.iter().any(|current| current.sessions > 0)
    }
}

/// Beside the class, in words; never with a value.
fn why(fate: Fate) -> String {
    match fate {
        Fate::Regressed(true) => "sessions were found on it".into(),
        Fate::Regressed(false) => "a value came back that is not ours".into(),
        Fate::ResetElsewhere => "the directory says that it changed after we expired it".into(),
        Fate::Fine => String::new(),
    }
}
