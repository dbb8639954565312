//! The text form of fault rules. Knows the grammar written down on `FaultRule`, nothing else.

use super::fault::{Action, FaultRule, Pattern, Phase};
use super::reply::{Refusal, usual};

/// Longest reply text, octets: a reply line has at most 512 (RFC 5321 section 4.5.3.1.5).
const TEXT_LIMIT: usize = 400;

/// Why a fault rule's text was refused. Never repeats an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultTextError {
    /// The rule does not open with a known action.
    #[error(
        "fault rule: {found} is no action; hint: begin with mail:, rcpt:, data: or dot: and a \
         code, or with drop-before-dot or drop-after-dot, as in rcpt:451:share=0.1:times=1"
    )]
    Action {
        /// What stood there.
        found: String,
    },
    /// The reply code is missing or no refusal.
    #[error(
        "fault rule: {found} is no code to refuse with; hint: take 400 to 599, as in {phase}:451"
    )]
    Code {
        /// The phase it was meant for.
        phase: String,
        /// What stood there.
        found: String,
    },
    /// The share is no number from 0 to 1.
    #[error("fault rule: share {found} is not a number from 0 to 1; hint: share=0.1 is one in ten")]
    Share {
        /// What stood there.
        found: String,
    },
    /// The limit is no whole number above 0.
    #[error("fault rule: times={found}; hint: a whole number from 1, times=1 fails only once")]
    Times {
        /// What stood there.
        found: String,
    },
    /// The address pattern is empty or of the wrong side.
    #[error("fault rule: the address pattern does not fit; hint: {hint}")]
    Pattern {
        /// What to write instead.
        hint: &'static str,
    },
    /// The reply text cannot be sent.
    #[error("fault rule: the reply text does not fit; hint: {hint}")]
    Text {
        /// What to write instead.
        hint: &'static str,
    },
    /// An option stands twice.
    #[error("fault rule: {option} stands twice; hint: write two rules")]
    Twice {
        /// The option's name.
        option: &'static str,
    },
    /// A part is no option.
    #[error(
        "fault rule: {found} is no option; hint: a share such as 0.02, share=, times=, to=, from= \
         or text="
    )]
    Option {
        /// What stood there.
        found: String,
    },
}

/// What stands after the action.
#[derive(Default)]
struct Options<'a> {
    share: Option<f64>,
    times: Option<u32>,
    to: Option<Pattern>,
    from: Option<Pattern>,
    text: Option<&'a str>,
}

/// Reads one rule.
pub(super) fn parse(text: &str) -> Result<FaultRule, FaultTextError> {
    let (head, rest) = part(text.trim());
    let phase = match head {
        "mail" => Some(Phase::Mail),
        "rcpt" => Some(Phase::Rcpt),
        "data" => Some(Phase::Data),
        "dot" => Some(Phase::Dot),
        "drop-before-dot" | "drop-after-dot" => None,
        other => {
            return Err(FaultTextError::Action { found: shown(other) });
        }
    };
    let Some(phase) = phase else {
        let options = options(rest)?;
        if options.text.is_some() {
            return Err(FaultTextError::Text { hint: "a dropped connection has no reply" });
        }
        let drop_early = head == "drop-before-dot";
        let action = if drop_early { Action::DropBeforeDot } else { Action::DropAfterDot };
        return rule(action, options);
    };
    let (code_text, rest) = part(rest.unwrap_or_default());
    let Ok(code @ 400..=599) = code_text.parse::<u16>() else {
        return Err(FaultTextError::Code { phase: head.into(), found: shown(code_text) });
    };
    let options = options(rest)?;
    let text = reply_text(code, phase, options.text)?;
    rule(Action::Refuse(phase, Refusal::new(code, &text)), options)
}

fn part(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(head, rest)| (head, Some(rest)))
}

/// What the writer wrote, unless it may be an address.
fn shown(found: &str) -> String {
    if found.contains('@') {
        "an address (an address pattern is written to=PATTERN)".into()
    } else if found.is_empty() {
        "nothing".into()
    } else {
        format!("{found:?}")
    }
}

fn rule(action: Action, options: Options<'_>) -> Result<FaultRule, FaultTextError> {
    let by_sender = matches!(action, Action::Refuse(Phase::Mail, _));
    let pattern = match (by_sender, options.to, options.from) {
        (true, None, from) => from,
        (false, to, None) => to,
        (true, Some(_), _) => {
            return Err(FaultTextError::Pattern {
                hint: "at MAIL no recipient is known yet, write from=PATTERN or an rcpt: rule",
            });
        }
        (false, _, Some(_)) => {
            return Err(FaultTextError::Pattern { hint: "from= is for mail: rules, write to=" });
        }
    };
    Ok(FaultRule { action, share: options.share.unwrap_or(1.0), times: options.times, pattern })
}

fn options(mut rest: Option<&str>) -> Result<Options<'_>, FaultTextError> {
    let mut options = Options::default();
    while let Some(text) = rest {
        if let Some(reply) = text.strip_prefix("text=") {
            options.text = Some(reply);
            return Ok(options);
        }
        let (one, after) = part(text);
        rest = after;
        match one.split_once('=') {
            Some(("share", value)) => set(&mut options.share, "share", share(value)?)?,
            Some(("times", value)) => set(&mut options.times, "times=", times(value)?)?,
            Some(("to", value)) => set(&mut options.to, "to=", pattern(value)?)?,
            Some(("from", value)) => set(&mut options.from, "from=", pattern(value)?)?,
            None if one.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-') => {
                set(&mut options.share, "share", share(one)?)?;
            }
            _ => return Err(FaultTextError::Option { found: shown(one) }),
        }
    }
    Ok(options)
}

fn set<T>(slot: &mut Option<T>, option: &'static str, value: T) -> Result<(), FaultTextError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(FaultTextError::Twice { option }),
    }
}

fn share(text: &str) -> Result<f64, FaultTextError> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| FaultTextError::Share { found: shown(text) })
}

fn times(text: &str) -> Result<u32, FaultTextError> {
    text.parse()
        .ok()
        .filter(|times| *times > 0)
        .ok_or_else(|| FaultTextError::Times { found: shown(text) })
}

fn pattern(text: &str) -> Result<Pattern, FaultTextError> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(FaultTextError::Pattern { hint: "write it without spaces: to=*@example.org" });
    }
    Ok(Pattern::new(text))
}

/// The reply's text, always opened by an enhanced code of the reply code's class.
fn reply_text(code: u16, phase: Phase, text: Option<&str>) -> Result<String, FaultTextError> {
    let (enhanced, default) = usual(code, phase);
    let text = text.unwrap_or(default).trim();
    if text.is_empty() || text.len() > TEXT_LIMIT || text.contains(char::is_control) {
        return Err(FaultTextError::Text { hint: "one line of 1 to 400 octets" });
    }
    match enhanced_class(text) {
        None => Ok(format!("{enhanced} {text}")),
        Some(class) if enhanced.starts_with(class) => Ok(text.to_owned()),
        Some(_) => Err(FaultTextError::Text {
            hint: "the enhanced code opens with the first digit of the reply code",
        }),
    }
}

/// The class of the enhanced code (RFC 3463 section 2) that `text` opens with.
fn enhanced_class(text: &str) -> Option<&str> {
    let mut digits = text.split_whitespace().next()?.split('.');
    let (class, subject, detail) = (digits.next()?, digits.next()?, digits.next()?);
    let number = |part: &str| (1..=3).contains(&part.len()) && part.parse::<u16>().is_ok();
    let all = class.len() == 1 && number(class) && number(subject) && number(detail);
    (all && digits.next().is_none()).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        match parse(text).unwrap().action {
            Action::Refuse(_, refusal) => refusal.line().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_forms_of_the_grammar_are_read() {
        let rule = parse("rcpt:451:share=0.1:times=1").unwrap();
        assert!(matches!(rule.action, Action::Refuse(Phase::Rcpt, _)));
        assert!((rule.share - 0.1).abs() < 1e-9);
        assert_eq!(rule.times, Some(1));
        let rule = parse("rcpt:550:0.02").unwrap();
        assert!((rule.share - 0.02).abs() < 1e-9);
        let rule = parse("dot:452:to=*@slow.example").unwrap();
        assert!(rule.pattern.unwrap().matches("a@slow.example"));
        assert_eq!(parse("drop-after-dot:share=0.01").unwrap().action, Action::DropAfterDot);
        assert_eq!(parse(" drop-before-dot ").unwrap().action, Action::DropBeforeDot);
        assert!(parse("mail:421:from=*").unwrap().pattern.is_some());
    }

    #[test]
    fn a_reply_always_has_a_fitting_enhanced_code() {
        assert_eq!(line("rcpt:550"), "550 5.1.1 No such user here");
        assert_eq!(line("dot:451"), "451 4.7.1 Try again later");
        assert_eq!(line("dot:552:text=Too: much"), "552 5.2.2 Too: much");
        assert_eq!(line("rcpt:452:0.5:text=4.2.2 Full"), "452 4.2.2 Full");
        assert_eq!(line("dot:554:text=1.2 is no code"), "554 5.7.1 1.2 is no code");
    }

    #[test]
    fn a_wrong_rule_says_what_to_write() {
        for (text, said) in [
            ("", "nothing is no action"),
            ("rctp:550", "\"rctp\" is no action"),
            ("rcpt", "nothing is no code"),
            ("rcpt:250", "\"250\" is no code"),
            ("rcpt:0.02", "as in rcpt:451"),
            ("rcpt:550:1.5", "from 0 to 1"),
            ("rcpt:550:share=NaN", "from 0 to 1"),
            ("rcpt:550:times=0", "times=1 fails only once"),
            ("rcpt:550:0.1:share=0.2", "stands twice"),
            ("rcpt:550:sometimes", "\"sometimes\" is no option"),
            ("rcpt:550:to=", "to=*@example.org"),
            ("mail:550:to=*@example.org", "write from=PATTERN"),
            ("rcpt:550:from=*", "write to="),
            ("drop-after-dot:text=no", "has no reply"),
            ("rcpt:550:text=4.2.2 Full", "first digit"),
            ("rcpt:550:text=a\r\n250 b", "one line"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
            assert!(error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn an_error_never_repeats_an_address() {
        for text in
            ["alice@example.org:550", "rcpt:alice@example.org", "rcpt:550:alice@example.org"]
        {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("alice"), "{error}");
        }
    }
}
