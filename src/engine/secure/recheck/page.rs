//! One page of a re-check: read, tell what came back from what was set anew, mend.

use std::collections::HashMap;

use crate::directory::{Current, SessionEnd};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::engine::EngineError;
use crate::store::credentials::{SealedAccount, Settlement};
use crate::store::rechecks::RecheckCounts;

use super::super::batch::Batch;
use super::super::pass::Stop;

/// What a page needs.
pub(super) struct Page<'a> {
    pub batch: Batch<'a>,
    /// The size of the first batch that is mended.
    pub smallest: usize,
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

impl Page<'_> {
    /// Settles these accounts. `is_first` until something was mended: then a wrong statement would show.
    pub(super) async fn run(
        &self,
        accounts: Vec<SealedAccount>,
        is_first: &mut bool,
    ) -> Result<Found, EngineError> {
        let (reader, settling) = (&self.batch.reader, &self.batch.settling);
        let mut known = Vec::with_capacity(accounts.len());
        for account in accounts {
            let recipient = reader.people.open(account.number, &account.body)?;
            let person = reader.people.person(account.salt, &recipient);
            known.push((account, recipient.account.as_str().to_owned(), person));
        }
        let references: Vec<String> = known.iter().map(|known| known.1.clone()).collect();
        let mut read: HashMap<String, Vec<Current>> = HashMap::new();
        for current in reader.directory.read(reader.kind, &references).await? {
            read.entry(current.account.clone()).or_default().push(current);
        }
        let mut counts = RecheckCounts { checked: known.len() as u64, ..RecheckCounts::default() };
        let (mut settlements, mut came_back): (Vec<Settlement>, Vec<u64>) = Default::default();
        for (account, reference, person) in &known {
            let values = read.get(reference).map(Vec::as_slice).unwrap_or_default();
            let fate = self.fate(account, values);
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
                    CredentialClass::Regressed
                }
            };
            settlements.extend(settling.of(account, person, to, why(fate)));
        }
        let store = &settling.engine.store;
        store.settle(reader.people.campaign, reader.kind, settlements).await?;
        let stopped = self.mend(&came_back, &mut counts, is_first).await?;
        Ok(Found { counts, stopped })
    }

    /// Expires again whatever came back, a small batch first.
    async fn mend(
        &self,
        numbers: &[u64],
        counts: &mut RecheckCounts,
        is_first: &mut bool,
    ) -> Result<Option<Stop>, EngineError> {
        let (reader, store) = (&self.batch.reader, &self.batch.settling.engine.store);
        let mut rest = numbers;
        while !rest.is_empty() {
            let size = if *is_first { self.smallest } else { rest.len() };
            let (part, others) = rest.split_at(size.min(rest.len()));
            rest = others;
            let mut open = store.accounts_of(reader.people.campaign, reader.kind, part).await?;
            open.retain(|account| account.class == CredentialClass::Regressed);
            // A few that can't be mended prove nothing about a statement; a whole batch does.
            let proves = *is_first && open.len() >= self.smallest;
            let tally = self.batch.run(open, proves).await?;
            counts.mended += tally.settled;
            if tally.halted {
                return Ok(Some(Stop::unproved(reader.kind, &tally)));
            }
            *is_first = false;
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
