//! Where a follower goes when its leader moves (protocol §1, "Conflicts, carriers, copies").

use crate::domain::delivery::{DeliveryClass, FallbackReason, HeldReason, ToldBy};
use crate::store::deliveries::Move;

/// What a carrier's move means for those its notice names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// Where those that stood with it go; nowhere where the move is the carrier's own affair.
    pub(super) to: Option<DeliveryClass>,
    /// It carries nobody any longer: the next number does.
    pub(super) is_vacant: bool,
}

/// The class of a carried row whose carrier stands in `class`.
pub(super) fn follows_as(class: &DeliveryClass) -> DeliveryClass {
    match class {
        DeliveryClass::Told(ToldBy::Accepted) => DeliveryClass::Told(ToldBy::Carrier),
        other => other.clone(),
    }
}

/// What a carrier's move means for the others. What becomes of the notice or of the mailbox is theirs too;
/// what an operator decides about one person is not, and hands the notice over as long as it is to be sent.
pub(super) fn fate(from: &DeliveryClass, to: &DeliveryClass) -> Fate {
    use DeliveryClass::{Deferred, Fallback, Held, InDoubt, Queued, Told, Waived, Withdrawn};
    use FallbackReason::{Address, Bounced, Channel, Complaint, GaveUp, NeedsSmtputf8, Suppressed};
    let follow = |to: DeliveryClass| Fate { to: Some(to), is_vacant: false };
    let alone = Fate { to: None, is_vacant: false };
    match (from, to) {
        // Another address or an undone end is one person's.
        (Fallback(_) | Told(_) | Withdrawn | Waived(_), Queued | Deferred | Held(_)) => alone,
        (
            _,
            Queued
            | Deferred
            | InDoubt(_)
            | Held(_)
            | Told(ToldBy::Accepted)
            | Fallback(Bounced | GaveUp | NeedsSmtputf8 | Suppressed | Complaint),
        ) => follow(follows_as(to)),
        // Nobody will ever know of any of them.
        (InDoubt(_), Waived(_)) => follow(to.clone()),
        // The others' doubt is not settled by this, and only a person can: no attempt is theirs.
        (InDoubt(_), Withdrawn | Told(_) | Fallback(Address(_) | Channel)) => {
            Fate { to: Some(Held(HeldReason::Operator)), is_vacant: true }
        }
        (
            Queued | Deferred | Held(_),
            Withdrawn | Waived(_) | Told(_) | Fallback(Address(_) | Channel),
        ) => Fate { to: None, is_vacant: true },
        _ => alone,
    }
}

/// Whether a move asked of a carried row is one of its whole group: a hold, a release, a doubt and its end.
pub(super) fn is_shared(from: &DeliveryClass, to: &DeliveryClass) -> bool {
    use DeliveryClass::{Held, InDoubt, Queued};
    matches!((from, to), (_, Held(_) | InDoubt(_)) | (Held(_), Queued) | (InDoubt(_), _))
}

/// Where a person's copy goes when the person moves: it is held, released and let go with them, and has
/// its own fate otherwise.
pub(super) fn copy_fate(person: &Move, copy: &DeliveryClass) -> Option<DeliveryClass> {
    use DeliveryClass::{Deferred, Held, Queued, Waived, Withdrawn};
    let is_open = copy.is_machine_open() || copy.is_person_open();
    match (&person.from, &person.to) {
        // A notice that cannot be made is the person's, not the copy's.
        (_, Held(HeldReason::Content)) => None,
        (_, Held(_)) if matches!(copy, Queued | Deferred) => Some(person.to.clone()),
        (Held(_), Queued) if *copy == person.from => Some(Queued),
        (_, Withdrawn | Waived(_)) if is_open => Some(person.to.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::Doubt;
    use crate::store::deliveries::DeliveryState;

    fn class(label: &str) -> DeliveryClass {
        let (word, reason) = label.split_once('/').unwrap_or((label, ""));
        DeliveryClass::parse(word, reason).unwrap()
    }

    #[test]
    fn what_becomes_of_the_notice_is_everybodys_and_what_becomes_of_one_person_is_not() {
        for (from, to, others, is_vacant) in [
            ("queued", "told/accepted", "told/carrier", false),
            ("queued", "deferred", "deferred", false),
            ("deferred", "fallback/gave-up", "fallback/gave-up", false),
            ("queued", "in-doubt/due", "in-doubt/due", false),
            ("in-doubt/due", "queued", "queued", false),
            ("in-doubt/held", "told/accepted", "told/carrier", false),
            ("in-doubt/held", "waived/lost", "waived/lost", false),
            ("in-doubt/held", "withdrawn", "held/operator", true),
            ("queued", "held/credential", "held/credential", false),
            ("held/credential", "queued", "queued", false),
            ("told/accepted", "fallback/bounced", "fallback/bounced", false),
            ("queued", "withdrawn", "", true),
            ("held/operator", "waived/gone", "", true),
            ("deferred", "fallback/channel", "", true),
            ("fallback/bounced", "queued", "", false),
            ("fallback/bounced", "told/post", "", false),
            ("fallback/bounced", "waived/gone", "", false),
            ("told/accepted", "withdrawn", "", false),
        ] {
            let fate = fate(&class(from), &class(to));
            let went = fate.to.map(|to| to.label()).unwrap_or_default();
            assert_eq!((went.as_str(), fate.is_vacant), (others, is_vacant), "{from} -> {to}");
        }
    }

    #[test]
    fn a_hold_a_release_and_the_end_of_a_doubt_are_the_groups() {
        for (from, to, shared) in [
            ("queued", "held/credential", true),
            ("held/operator", "queued", true),
            ("in-doubt/held", "told/accepted", true),
            ("queued", "withdrawn", false),
            ("fallback/bounced", "told/post", false),
            ("fallback/bounced", "queued", false),
        ] {
            assert_eq!(is_shared(&class(from), &class(to)), shared, "{from} -> {to}");
        }
    }

    #[test]
    fn a_copy_is_held_released_and_let_go_with_its_person_and_otherwise_its_own() {
        for (from, to, copy, went) in [
            ("queued", "held/credential", "queued", "held/credential"),
            ("held/credential", "queued", "held/credential", "queued"),
            ("held/conflict", "queued", "held/shared", ""),
            ("queued", "held/content", "queued", ""),
            ("queued", "held/operator", "told/accepted", ""),
            ("queued", "withdrawn", "deferred", "withdrawn"),
            ("queued", "withdrawn", "fallback/bounced", "withdrawn"),
            ("told/accepted", "waived/x", "told/accepted", ""),
            ("queued", "told/accepted", "queued", ""),
            ("deferred", "fallback/bounced", "queued", ""),
        ] {
            let to = class(to);
            let state = DeliveryState { class: to.clone(), ..DeliveryState::default() };
            let person = Move { number: 1, from: class(from), to, state, line: String::new() };
            let fate = copy_fate(&person, &class(copy)).map(|to| to.label()).unwrap_or_default();
            assert_eq!(fate, went, "{from} -> {} beside {copy}", person.to);
        }
        assert!(class("in-doubt/due") == DeliveryClass::InDoubt(Doubt::Due));
    }
}
