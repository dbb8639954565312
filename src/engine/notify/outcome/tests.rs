use super::*;
use crate::domain::duration::HumanDuration;

const RULES: &str = include_str!("../../../../config/replies.toml");

fn rules() -> Rules {
    let replies = ReplyRules::new(toml::from_str(RULES).unwrap(), None).unwrap();
    Rules {
        retry: RetryPolicy::default(),
        reconcile_for: HumanDuration::default(),
        then: DoubtPolicy::Resend,
        suspend_for: HumanDuration::from_secs(15 * 60),
        replies: Arc::new(replies),
    }
}

/// The outcome of a refusal at this instant.
fn outcome(rules: &Rules, phase: Phase, provider: &str, reply: &str, at: Timestamp) -> Outcome {
    let reply = SmtpReply::parse(reply).unwrap();
    let reading = rules.replies.read(phase, provider, &reply);
    Outcome {
        code: Some(reply.code()),
        enhanced: reply.enhanced().map(|status| status.to_string()),
        class: Some(reading.class),
        rule: reading.rule.map(|rule| rule.name().to_owned()),
        ..Outcome::bare(reading.class.result(reply.code()), phase.word(), at)
    }
}

fn attempt(state: DeliveryState) -> Attempt {
    Attempt {
        key: AttemptKey { number: 1, generation: 1, n: state.attempts + 1 },
        from: state.class.clone(),
        state,
        dated_at: Timestamp::UNIX_EPOCH,
        person: "p".into(),
        epoch: 1,
        stood_still: SignedDuration::ZERO,
    }
}

fn after(state: DeliveryState, outcome: &Outcome) -> DeliveryState {
    rules().next_state(&attempt(state), outcome, 0.0).unwrap()
}

fn minutes(count: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(count)
}

/// Refuses a person the same way, each time when they are due, until `days` have passed or they are
/// no longer deferred.
fn refused_for(days: i64, phase: Phase, provider: &str, reply: &str) -> DeliveryState {
    let rules = rules();
    let mut state = DeliveryState::default();
    let mut now = Timestamp::UNIX_EPOCH;
    while now < minutes(days * 24 * 60) {
        let end = outcome(&rules, phase, provider, reply, now);
        state = rules.next_state(&attempt(state), &end, 0.5).unwrap();
        match state.due_at.filter(|_| state.class == DeliveryClass::Deferred) {
            Some(due) => now = due,
            None => break,
        }
    }
    state
}

#[test]
fn the_class_decides_how_long_a_person_waits() {
    let rules = rules();
    for (phase, provider, reply, wait) in [
        (Phase::Rcpt, "other", "450 4.2.0 Greylisted, see our page", 10),
        (Phase::Rcpt, "gmail", "452 4.2.2 over quota", 30),
        (Phase::Rcpt, "gmail", "552 5.2.2 over quota", 30),
        (Phase::Dot, "gmail", "421 4.7.28 an unusual rate of unsolicited mail", 30),
        (Phase::Mail, "yahoo", "451 4.3.9 later", 240),
        (Phase::Mail, "yahoo", "421 4.7.0 [TSS04] unexpected volume", 30),
        (Phase::Mail, "other", "452 4.5.3 Too many messages sent", 1),
        // a 5yz of ours: when the lane's suspension ends
        (Phase::Dot, "gmail", "554 5.7.1 not you", 15),
        (Phase::Mail, "yahoo", "553 5.7.1 [BL21] listed", 120),
    ] {
        let end = outcome(&rules, phase, provider, reply, Timestamp::UNIX_EPOCH);
        let state = after(DeliveryState::default(), &end);
        assert_eq!(state.class, DeliveryClass::Deferred, "{reply}");
        assert_eq!(state.due_at, Some(minutes(wait)), "{reply}");
    }
}

#[test]
fn a_waits_jitter_only_delays() {
    let rules = rules();
    let end = outcome(&rules, Phase::Rcpt, "other", "450 4.7.1 Greylisted", Timestamp::UNIX_EPOCH);
    let due = |jitter| rules.next_state(&attempt(DeliveryState::default()), &end, jitter);
    assert_eq!(due(1.0).unwrap().due_at, Some(minutes(11)));
}

#[test]
fn nobody_is_gave_up_for_our_fault_however_long_it_lasts() {
    for (phase, provider, reply) in [
        (Phase::Dot, "gmail", "550 5.7.26 unauthenticated"),
        (Phase::Dot, "gmail", "421 4.7.26 unauthenticated"),
        (Phase::Dot, "gmail", "421 4.7.28 unusual rate of unsolicited mail"),
        (Phase::Mail, "yahoo", "553 5.7.1 [BL21] listed"),
        (Phase::Rcpt, "other", "554 5.7.1 Relay access denied"),
        (Phase::Rcpt, "other", "450 4.1.8 Sender address rejected: Domain not found"),
        (Phase::Dot, "other", "554 no reason given"),
    ] {
        let state = refused_for(60, phase, provider, reply);
        assert_eq!(state.class, DeliveryClass::Deferred, "{reply}");
    }
}

#[test]
fn a_window_stands_still_for_our_fault_and_goes_on_after_it() {
    // 20 days of our own fault first; then the mailbox is full: the five days begin about there
    let ours = refused_for(20, Phase::Dot, "gmail", "550 5.7.26 unauthenticated");
    let now = ours.due_at.unwrap();
    let rules = rules();
    let full = |at| outcome(&rules, Phase::Rcpt, "gmail", "452 4.2.2 over quota", at);
    let first = after(ours.clone(), &full(now));
    assert_eq!(first.class, DeliveryClass::Deferred);
    let late = now + SignedDuration::from_hours(121);
    let last = after(first, &full(late));
    assert_eq!(last.class, DeliveryClass::Fallback(FallbackReason::GaveUp));
}

#[test]
fn a_full_or_disabled_mailbox_is_gave_up_when_its_window_ends() {
    for reply in ["552 5.2.2 over quota", "452 4.2.2 over quota", "550 5.2.1 disabled"] {
        let state = refused_for(30, Phase::Rcpt, "gmail", reply);
        assert_eq!(state.class, DeliveryClass::Fallback(FallbackReason::GaveUp), "{reply}");
    }
}

#[test]
fn an_outcome_survives_the_journal_and_an_older_mark_is_still_read() {
    let rules = rules();
    let end = outcome(&rules, Phase::Dot, "gmail", "421-4.7.28 unusual rate", minutes(1));
    assert_eq!(end.rule.as_deref(), Some("gmail-rate"));
    assert_eq!(decode(&encode(&end)), Some(end));
    let old = br#"{"c":450,"e":"4.2.1","p":"rcpt","q":null,"r":"deferred","t":60000000,"w":null}"#;
    let read = decode(old).unwrap();
    assert_eq!((read.class, read.rule), (None, None));
    assert_eq!((read.code, read.result), (Some(450), AttemptResult::Deferred));
    // Without a class the schedule decides, as it did when the mark was made.
    let state = after(DeliveryState::default(), &decode(old).unwrap());
    assert_eq!(state.due_at, Some(minutes(31)));
}

#[test]
fn the_longest_outcome_fits_a_mark() {
    let long = Outcome {
        code: Some(550),
        enhanced: Some("5.700.700".into()),
        class: Some(ReplyClass::Authentication),
        rule: Some("r".repeat(64)),
        queue_id: Some("q".repeat(128)),
        reply: Some(vec![7; 256]),
        ..Outcome::bare(AttemptResult::NotStarted, "greeting", Timestamp::MAX)
    };
    assert!(crate::journal::OutcomeBytes::new(encode(&long)).is_ok());
}
