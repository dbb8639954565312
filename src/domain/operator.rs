//! Operators and the two-person rule (protocol: Signatures).

use jiff::{SignedDuration, Timestamp};

use super::track::Track;

/// How long an operator vouched for by one colleague waits before they may approve.
pub const PROBATION: SignedDuration = SignedDuration::from_hours(24);

/// An operator, as far as the two-person rule needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Row id.
    pub id: i64,
    /// The name they sign under.
    pub name: String,
    /// Made by `forthwith init`, not added later.
    pub is_founder: bool,
    /// When they were added.
    pub added_at: Timestamp,
    /// The operators whose signatures vouch for them.
    pub added_by: Vec<i64>,
    /// When they lost the right to sign.
    pub revoked_at: Option<Timestamp>,
}

/// One signature over a snapshot, by whom and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Who signed.
    pub by: &'a Operator,
    /// When they signed.
    pub at: Timestamp,
}

/// Why a set of signatures does not amount to an approval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefusal {
    /// Fewer than two people signed.
    #[error("{track} has {have} of 2 signatures; hint: let another operator approve it")]
    TooFew {
        /// The track in question.
        track: Track,
        /// Distinct signatures there are.
        have: usize,
    },
    /// The same operator signed already.
    #[error(
        "`{name}` has signed this already; hint: the second signature has to be somebody else's"
    )]
    SameOperator {
        /// Who.
        name: String,
    },
    /// Added with one signature less than 24 hours ago.
    #[error(
        "`{name}` was added with one signature {added_at} and may approve from {may_from} on; \
         hint: let a second operator vouch for them with `forthwith operator add`"
    )]
    OnProbation {
        /// Who.
        name: String,
        /// When they were added.
        added_at: Timestamp,
        /// From when on they may approve.
        may_from: Timestamp,
    },
    /// One of the two vouched for the other alone.
    #[error(
        "`{name}` was added by `{adder}` alone, so these two cannot approve together; hint: let another \
         operator sign"
    )]
    AddedByTheOther {
        /// Who was added.
        name: String,
        /// By whom.
        adder: String,
    },
    /// Revoked before signing.
    #[error("`{name}` was revoked at {at}; hint: let another operator sign")]
    Revoked {
        /// Who.
        name: String,
        /// When.
        at: Timestamp,
    },
}

/// Whether `operator` may sign at `at`, whoever the second person will be.
pub fn may_sign(operator: &Operator, at: Timestamp) -> Result<(), ApprovalRefusal> {
    if let Some(revoked_at) = operator.revoked_at.filter(|revoked| *revoked <= at) {
        return Err(ApprovalRefusal::Revoked { name: operator.name.clone(), at: revoked_at });
    }
    if operator.is_founder || operator.added_by.len() >= 2 {
        return Ok(());
    }
    let may_from = operator.added_at.saturating_add(PROBATION).unwrap_or(Timestamp::MAX);
    if at < may_from {
        return Err(ApprovalRefusal::OnProbation {
            name: operator.name.clone(),
            added_at: operator.added_at,
            may_from,
        });
    }
    Ok(())
}

/// Whether these two may approve together: two people, neither of whom alone vouched for the other.
pub fn may_pair(first: &Operator, second: &Operator) -> Result<(), ApprovalRefusal> {
    if first.id == second.id {
        return Err(ApprovalRefusal::SameOperator { name: first.name.clone() });
    }
    for (one, other) in [(first, second), (second, first)] {
        if !one.is_founder && one.added_by == [other.id] {
            return Err(ApprovalRefusal::AddedByTheOther {
                name: one.name.clone(),
                adder: other.name.clone(),
            });
        }
    }
    Ok(())
}

/// Whether `signatures` approve `track`: some two of them are allowed to, each when they signed and
/// both together. The refusal told is that of the most hopeful pair.
pub fn approves(track: Track, signatures: &[Signed<'_>]) -> Result<(), ApprovalRefusal> {
    let mut refusal = ApprovalRefusal::TooFew { track, have: signatures.len().min(1) };
    for (place, first) in signatures.iter().enumerate() {
        if let Err(why) = may_sign(first.by, first.at) {
            refusal = why;
            continue;
        }
        for second in &signatures[place + 1..] {
            match may_sign(second.by, second.at).and_then(|()| may_pair(first.by, second.by)) {
                Ok(()) => return Ok(()),
                Err(why) => refusal = why,
            }
        }
    }
    Err(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hour * 3600).unwrap()
    }

    fn person(id: i64, founder: bool, added_by: &[i64]) -> Operator {
        Operator {
            id,
            name: format!("operator-{id}"),
            is_founder: founder,
            added_at: at(0),
            added_by: added_by.to_vec(),
            revoked_at: None,
        }
    }

    fn verdict(people: &[(&Operator, i64)]) -> Result<(), ApprovalRefusal> {
        let signed: Vec<_> = people.iter().map(|(by, hour)| Signed { by, at: at(*hour) }).collect();
        approves(Track::Notice, &signed)
    }

    #[test]
    fn two_founders_approve_at_once_and_one_does_not() {
        let (ann, bob) = (person(1, true, &[]), person(2, true, &[]));
        assert_eq!(verdict(&[(&ann, 0), (&bob, 0)]), Ok(()));
        assert!(matches!(verdict(&[(&ann, 0)]), Err(ApprovalRefusal::TooFew { have: 1, .. })));
        assert!(matches!(verdict(&[]), Err(ApprovalRefusal::TooFew { have: 0, .. })));
    }

    #[test]
    fn the_same_person_twice_is_one_person() {
        let ann = person(1, true, &[]);
        let refusal = verdict(&[(&ann, 0), (&ann, 1)]);
        assert!(matches!(refusal, Err(ApprovalRefusal::SameOperator { .. })), "{refusal:?}");
    }

    #[test]
    fn one_voucher_means_a_day_of_waiting_and_never_with_the_adder() {
        let (ann, bob) = (person(1, true, &[]), person(2, true, &[]));
        let eve = person(3, false, &[1]);
        let early = verdict(&[(&bob, 1), (&eve, 1)]);
        assert!(matches!(early, Err(ApprovalRefusal::OnProbation { .. })), "{early:?}");
        assert_eq!(verdict(&[(&bob, 24), (&eve, 24)]), Ok(()));
        let paired = verdict(&[(&ann, 48), (&eve, 48)]);
        assert!(matches!(paired, Err(ApprovalRefusal::AddedByTheOther { .. })), "{paired:?}");
    }

    #[test]
    fn two_vouchers_lift_the_wait() {
        let ann = person(1, true, &[]);
        let eve = person(3, false, &[1, 2]);
        assert_eq!(verdict(&[(&ann, 1), (&eve, 1)]), Ok(()));
    }

    #[test]
    fn a_revoked_operator_does_not_count() {
        let ann = person(1, true, &[]);
        let mut bob = person(2, true, &[]);
        bob.revoked_at = Some(at(5));
        assert_eq!(verdict(&[(&ann, 1), (&bob, 4)]), Ok(()));
        assert!(matches!(verdict(&[(&ann, 1), (&bob, 6)]), Err(ApprovalRefusal::Revoked { .. })));
    }
}
