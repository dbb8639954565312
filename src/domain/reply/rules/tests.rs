use super::*;
use crate::domain::delivery::AttemptResult;
use crate::domain::reply::{Blame, EnhancedStatus};

const SHIPPED: &str = include_str!("../../../../config/replies.toml");

fn file(text: &str) -> RuleFile {
    toml::from_str(text).unwrap()
}

fn shipped() -> ReplyRules {
    ReplyRules::new(file(SHIPPED), None).unwrap()
}

fn with(own: &str) -> Result<ReplyRules, RuleFault> {
    ReplyRules::new(file(SHIPPED), Some(file(own)))
}

fn rule(body: &str) -> String {
    format!("[[rule]]\nname = \"mine\"\nsource = \"test\"\n{body}")
}

#[test]
fn the_first_rule_that_fits_wins_and_general_rules_come_last() {
    let rules = shipped();
    for (provider, phase, reply, class, name) in [
        ("gmail", Phase::Dot, "421-4.7.28 unusual rate", "rate", "gmail-rate"),
        ("other", Phase::Dot, "421 4.7.28 flood", "rate", ""),
        ("yahoo", Phase::Mail, "451 4.3.9 later", "temporary", "yahoo-any-4yz"),
        ("other", Phase::Rcpt, "451 4.3.9 later", "temporary", ""),
        ("other", Phase::Rcpt, "450 4.2.0 Greylisted", "greylisted", "greylisted"),
        ("other", Phase::Rcpt, "550 5.1.1 gone", "address-dead", "no-such-user"),
        ("other", Phase::Mail, "550 5.1.1 gone", "sender", ""),
    ] {
        let reply = SmtpReply::parse(reply).unwrap();
        let reading = rules.read(phase, provider, &reply);
        let found = reading.rule.map_or("", Rule::name);
        assert_eq!((reading.class.word(), found), (class, name), "{provider} {phase} {reply}");
    }
    let greylisted = rules.action(ReplyClass::Greylisted, None);
    assert_eq!(greylisted.wait, Some(HumanDuration::from_secs(600)));
    assert!(rules.action(ReplyClass::Sender, None).pause);
    let rate = rules.action(ReplyClass::Rate, Some("gmail-rate"));
    assert_eq!(rate.slow.map(|slow| slow.per_minute), Some(10.0));
}

#[test]
fn own_rules_come_first_and_replace_shipped_ones_of_their_name() {
    let before = shipped().rules().count();
    let own = "[adapt]\nshare = 0.2\nof = 10\nfactor = 0.3\nfor = \"5m\"\nleast_per_minute = 6\n\
               [[rule]]\nname = \"yahoo-ts01\"\nsource = \"ours\"\ntext = \"[TS01]\"\n\
               class = \"capacity\"\nsuspend_for = \"3h\"\n";
    let rules = with(own).unwrap();
    assert_eq!(rules.rules().count(), before);
    assert_eq!((rules.adapt().of, rules.adapt().share), (10, 0.2));
    let reply = SmtpReply::parse("421 4.7.0 [ts01] slow down").unwrap();
    let reading = rules.read(Phase::Mail, "yahoo", &reply);
    assert_eq!(reading.class, ReplyClass::Capacity);
    assert_eq!(reading.action.suspend_for, Some(HumanDuration::from_secs(3 * 3600)));
}

#[test]
fn a_fault_names_the_rule_and_what_is_wrong_with_it() {
    for (body, word) in [
        ("class = \"policy\"", "match every reply"),
        ("class = \"accepted\"\ncode = \"4yz\"", "no rule makes an acceptance"),
        ("class = \"policy\"\ncode = \"250\"", "`250` is no code"),
        ("class = \"policy\"\nstatus = \"2.0.0\"", "`2.0.0` is no status"),
        ("class = \"policy\"\nstatus = \"5.*\"", "`5.*` is no status"),
        ("class = \"policy\"\nphase = \"helo\"\ncode = \"4yz\"", "`helo` is no phase"),
        ("class = \"policy\"\ntext = [\" \"]", "`text` is empty"),
        ("class = \"rate\"\ncode = \"421\"\nstatus = \"5.7.1\"", "can never match"),
        ("class = \"rate\"\ncode = \"421\"\nsuspend_for = \"0s\"", "`suspend_for`"),
        ("class = \"rate\"\ncode = \"421\"\nwait = \"0m\"", "`wait`"),
        ("class = \"rate\"\ncode = \"421\"\nslow = { per_minute = 0, for = \"1m\" }", "`slow`"),
        (
            "class = \"rate\"\ncode = \"421\"\nafter = { count = 2, within = \"1h\" }",
            "`after` has nothing to do",
        ),
    ] {
        let fault = with(&rule(body)).unwrap_err();
        assert_eq!(fault.rule, Some((0, "mine".into())), "{body}");
        let told = fault.to_string();
        assert!(told.starts_with("rule `mine`: ") && told.contains(word), "{body}: {told}");
    }
    let twice = format!("{0}{0}", rule("class = \"rate\"\ncode = \"421\"\n"));
    assert_eq!(with(&twice).unwrap_err().rule, Some((1, "mine".into())));
    let adapt = "[adapt]\nshare = 1.5\nof = 10\nfactor = 0.3\nfor = \"5m\"\nleast_per_minute = 1\n";
    assert!(with(adapt).unwrap_err().to_string().starts_with("[adapt]: `share`"));
    for (text, word) in [
        (rule("class = \"rate\"\ncodes = \"421\""), "codes"),
        (rule("class = \"dead\"\ncode = \"421\""), "dead"),
        (rule("class = \"rate\"\ncode = 421"), "a text in quotes"),
        ("[[rules]]\n".to_owned(), "rules"),
    ] {
        let told = toml::from_str::<RuleFile>(&text).unwrap_err().to_string();
        assert!(told.contains(word), "{text}: {told}");
    }
}

#[test]
fn a_dead_address_is_refused_for_anything_but_an_address() {
    let dead = |body: &str| with(&rule(&format!("class = \"address-dead\"\n{body}")));
    for body in [
        "status = \"5.1.1\"",
        "status = [\"5.1.1\", \"5.1.10\"]\ncode = \"5yz\"",
        "code = [\"550\", \"553\"]\nphase = \"rcpt\"",
    ] {
        assert!(dead(body).is_ok(), "{body}");
    }
    for body in [
        "code = \"5yz\"",
        "code = \"4yz\"",
        "code = \"550\"",
        "code = \"554\"\nphase = \"rcpt\"",
        "code = \"550\"\nphase = [\"rcpt\", \"dot\"]",
        "code = \"450\"\nphase = \"rcpt\"",
        "status = \"4.1.1\"",
        "status = \"5.1.*\"",
        "status = \"5.1.8\"",
        "status = [\"5.1.1\", \"5.7.1\"]",
        "status = \"5.2.1\"",
        "text = \"gone\"",
        "text = \"gone\"\nphase = \"rcpt\"",
    ] {
        let told = dead(body).unwrap_err().to_string();
        assert!(told.contains("no dead address"), "{body}: {told}");
    }
}

/// Every code, phase and a status of every subject, with words of every kind.
fn all_replies() -> Vec<(Phase, SmtpReply)> {
    let codes = [250, 354, 421, 450, 451, 452, 454, 500, 521, 535, 550, 551, 552, 553, 554, 556];
    let words = ["", "no such user", "spam", "Sender address rejected", "mailbox full", "[BL21]"];
    let mut all = Vec::new();
    for code in codes {
        for subject in 0..8 {
            for detail in [0, 1, 7, 8, 10, 26] {
                for said in words {
                    let class = code / 100;
                    let text = match subject {
                        0 => said.to_owned(),
                        _ => format!("{class}.{subject}.{detail} {said}"),
                    };
                    let reply = SmtpReply::new(code, &text);
                    all.extend(Phase::ALL.map(|phase| (phase, reply.clone())));
                }
            }
        }
    }
    all
}

#[test]
fn no_table_can_break_the_iron_rules() {
    // An own file that would write off everybody as far as it is let.
    let greedy = "[[rule]]\nname = \"a\"\nsource = \"t\"\nclass = \"address-dead\"\n\
                  phase = \"rcpt\"\ncode = [\"550\", \"551\", \"553\"]\n\
                  [[rule]]\nname = \"b\"\nsource = \"t\"\nclass = \"address-dead\"\n\
                  status = [\"5.1.0\", \"5.1.1\", \"5.1.10\"]\n";
    for rules in [shipped(), with(greedy).unwrap()] {
        for (phase, reply) in all_replies() {
            let reading = rules.read(phase, "gmail", &reply);
            let what = format!("{phase} {} {}: {}", reply.code(), reply.text(), reading.class);
            let is_taken = phase == Phase::Dot && reply.code() == 250;
            assert_eq!(reading.class == ReplyClass::Accepted, is_taken, "{what}");
            if reading.class != ReplyClass::AddressDead {
                continue;
            }
            assert_eq!(reply.code() / 100, 5, "{what}");
            assert!(!phase.is_before_recipient(), "{what}");
            let bare = phase == Phase::Rcpt && matches!(reply.code(), 550 | 551 | 553);
            let names_address =
                |status: EnhancedStatus| status.subject == 1 && !matches!(status.detail, 7 | 8);
            assert!(reply.enhanced().map_or(bare, names_address), "{what}");
            assert!(!reply.text().contains("Sender"), "{what}");
        }
    }
}

#[test]
fn a_4yz_or_a_mailbox_never_suspends_a_lane_by_its_result() {
    let rules = shipped();
    for (phase, reply) in all_replies() {
        let reading = rules.read(phase, "other", &reply);
        let result = reading.class.result(reply.code());
        if reading.class.blame() == Blame::Person && reading.class != ReplyClass::AddressDead {
            assert_eq!(result, AttemptResult::Deferred);
        }
        if reply.code() / 100 == 4 {
            assert_eq!(result, AttemptResult::Deferred);
        }
    }
}

#[test]
fn every_rule_of_the_shipped_table_has_a_source_and_can_be_reached() {
    let rules = shipped();
    for rule in rules.rules() {
        assert!(rule.source().len() > 8, "{}", rule.name());
    }
    // what a rule says of itself comes back from it, unless an earlier one takes it
    for rule in rules.rules() {
        let pattern = &rule.pattern;
        let provider = pattern.providers.first().map_or("other", String::as_str);
        let is_reached = Phase::ALL.into_iter().any(|phase| {
            samples_of(rule).iter().any(|reply| {
                rules.read(phase, provider, reply).rule.is_some_and(|found| found == rule)
            })
        });
        assert!(is_reached, "{} is hidden by an earlier rule", rule.name());
    }
}

/// Replies made of what a rule asks for.
fn samples_of(rule: &Rule) -> Vec<SmtpReply> {
    let [_, codes, statuses, texts] = rule.matches_shown();
    let split = |text: &str| -> Vec<String> {
        text.split(", ").filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let mut statuses = split(&statuses);
    if statuses.is_empty() {
        statuses.push(String::new());
    }
    let mut codes = split(&codes);
    if codes.is_empty() {
        codes = vec!["450".into(), "550".into()];
    }
    let text = split(&texts).first().cloned().unwrap_or_default();
    let mut samples = Vec::new();
    for code in codes {
        for status in &statuses {
            let code = code.replace("yz", "50");
            let status = status.replace('*', "9");
            samples.push(SmtpReply::parse(&format!("{code} {status} {text}")).unwrap());
        }
    }
    samples
}
