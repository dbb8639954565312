//! The text form of fault rules. Knows the grammar written down on `FaultRule`, nothing else.

pub use super::fault_error::FaultTextError;

use super::fault::{FaultRule, Handshake, Kind};
use super::fault_error::shown;
use super::fault_options::{Options, Text};
use super::phase::{Decider, Phase};
use super::reply::{Refusal, reply, usual};
use super::span::span;
use super::spoil::Spoil;

/// Longest reply text, octets: a reply line has at most 512 (RFC 5321 section 4.5.3.1.5).
const TEXT_LIMIT: usize = 400;

/// Longest text that is sent as it stands, octets: real servers write several lines of prose.
const RAW_LIMIT: usize = 4000;

/// The kinds of fault that a TLS server alone can play.
const OF_TLS: [&str; 4] = ["handshake-cut", "handshake-garbage", "handshake-silent", "inject"];

/// What an injecting server says behind its 220.
const INJECTED: &str = "250 injected";

/// Reads one rule.
pub(super) fn parse(text: &str) -> Result<FaultRule, FaultTextError> {
    let (head, rest) = part(text.trim());
    let dropped = match head {
        "drop-before-dot" => Some(Kind::DropBeforeDot),
        "drop-after-dot" => Some(Kind::DropAfterDot),
        _ => None,
    };
    if let Some(kind) = dropped {
        let options = Options::read(rest)?;
        no_text(&options, "a dropped connection has no reply")?;
        return rule(Phase::Dot, kind, options);
    }
    let Some(phase) = Phase::named(head) else {
        return Err(FaultTextError::Action { found: shown(head) });
    };
    let (word, rest) = part(rest.unwrap_or_default());
    let options = Options::read(rest)?;
    let kind = match word.parse::<u16>() {
        Ok(code @ 400..=599) => Kind::Refuse(refusal(code, phase, options.text.as_ref())?),
        Ok(_) => return Err(FaultTextError::Kind { phase: phase.name(), found: shown(word) }),
        Err(_) => kind(word, phase, &options)?,
    };
    rule(phase, kind, options)
}

pub(super) fn part(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(head, rest)| (head, Some(rest)))
}

/// Reads a kind of fault other than a refusal.
fn kind(word: &str, phase: Phase, options: &Options<'_>) -> Result<Kind, FaultTextError> {
    if let Some(found) = OF_TLS.into_iter().find(|known| *known == word && phase != Phase::Tls) {
        return Err(FaultTextError::TlsOnly { found });
    }
    if word == "inject" {
        return Ok(Kind::Spoil(Spoil::Behind(injected(options.text.as_ref())?.into())));
    }
    no_text(options, "only a code, and inject, have a text to say")?;
    let (name, value) = word.split_once('=').map_or((word, None), |(name, of)| (name, Some(of)));
    Ok(match (name, value) {
        ("cut", None) => Kind::Cut,
        ("silent", None) => Kind::Silent,
        ("garbage", None) => Kind::Spoil(Spoil::Garbage),
        ("half", None) => Kind::Spoil(Spoil::Half),
        ("wrong", code) => Kind::Spoil(Spoil::Wrong(wrong_code(code, phase)?)),
        ("twice", None) => Kind::Spoil(Spoil::Twice),
        ("huge", None) => Kind::Spoil(Spoil::Huge),
        ("bytewise", None) => Kind::Spoil(Spoil::Bytewise),
        ("slow", wait) => {
            let wait = wait.unwrap_or_default();
            let wait = span(wait).ok_or_else(|| FaultTextError::Slow { found: shown(wait) })?;
            Kind::Spoil(Spoil::Slow(wait))
        }
        ("handshake-cut", None) => Kind::Handshake(Handshake::Cut),
        ("handshake-garbage", None) => Kind::Handshake(Handshake::Garbage),
        ("handshake-silent", None) => Kind::Handshake(Handshake::Silent),
        _ => return Err(FaultTextError::Kind { phase: phase.name(), found: shown(word) }),
    })
}

fn no_text(options: &Options<'_>, hint: &'static str) -> Result<(), FaultTextError> {
    match options.text {
        None => Ok(()),
        Some(_) => Err(FaultTextError::Text { hint }),
    }
}

fn wrong_code(code: Option<&str>, phase: Phase) -> Result<u16, FaultTextError> {
    let Some(text) = code else {
        return Ok(phase.wrong_code());
    };
    text.parse()
        .ok()
        .filter(|code| (200..=399).contains(code))
        .ok_or_else(|| FaultTextError::Wrong { found: shown(text) })
}

fn injected(text: Option<&Text<'_>>) -> Result<String, FaultTextError> {
    match text {
        None => Ok(INJECTED.to_owned()),
        Some(Text::Usual(text) | Text::Raw(text)) => Ok(raw(text)?.replace('\n', "\r\n")),
    }
}

/// Puts a rule together, with the pattern of the side that decides it.
fn rule(phase: Phase, kind: Kind, options: Options<'_>) -> Result<FaultRule, FaultTextError> {
    let hint = match (phase.decider(), &options.to, &options.from) {
        (Decider::Sender, Some(_), _) => {
            "at MAIL no recipient is known yet, write from=PATTERN or an rcpt: rule"
        }
        (Decider::Recipient, _, Some(_)) => "from= is for mail: rules, write to=",
        (Decider::Connection, Some(_), _) | (Decider::Connection, _, Some(_)) => {
            "this step is decided for whole connections, write share= or times="
        }
        _ => {
            let pattern = options.to.or(options.from);
            let share = options.share.unwrap_or(1.0);
            return Ok(FaultRule { phase, kind, share, times: options.times, pattern });
        }
    };
    Err(FaultTextError::Pattern { hint })
}

/// The refusal a rule asks for: with the enhanced code of its class in front, or just as written.
fn refusal(code: u16, phase: Phase, text: Option<&Text<'_>>) -> Result<Refusal, FaultTextError> {
    let (enhanced, default) = usual(code, phase);
    let text = match text {
        Some(Text::Raw(text)) => return Ok(Refusal::new(code, &raw(text)?)),
        Some(Text::Usual(text)) => text.trim(),
        None => default,
    };
    if text.is_empty() || text.len() > TEXT_LIMIT || text.contains(char::is_control) {
        return Err(FaultTextError::Text { hint: "one line of 1 to 400 octets, or raw= for more" });
    }
    match enhanced_class(text) {
        None => Ok(Refusal::new(code, &format!("{enhanced} {text}"))),
        Some(class) if enhanced.starts_with(class) => Ok(Refusal::new(code, text)),
        Some(_) => Err(FaultTextError::Text {
            hint: "the enhanced code opens with the first digit of the reply code; to say it all \
                   the same, write raw=",
        }),
    }
}

/// A text that is sent as it stands; `\n`, as two characters, ends a line.
fn raw(text: &str) -> Result<String, FaultTextError> {
    if text.is_empty() || text.len() > RAW_LIMIT || text.contains(char::is_control) {
        return Err(FaultTextError::Text {
            hint: "1 to 4000 octets, with \\n where a further line begins",
        });
    }
    Ok(text.replace("\\n", "\n"))
}

/// Reads a whole reply as a server writes it, lines parted by `\n` as two characters, each with
/// its code: the code, and the reply without its last CRLF.
pub(super) fn whole_reply(text: &str) -> Result<(u16, String), FaultTextError> {
    let malformed = FaultTextError::Text {
        hint: "begin each line with the same code of 200 to 599, with a hyphen behind it on all \
               lines but the last, as in 421-4.7.28 Too much\\n421 4.7.28 Try later",
    };
    let lines = raw(text)?;
    let code = lines.get(..3).and_then(|code| code.parse::<u16>().ok());
    let Some(code @ 200..=599) = code else {
        return Err(malformed);
    };
    let front = code.to_string();
    let bare: Option<Vec<&str>> =
        lines.split('\n').map(|line| line.strip_prefix(&front)?.strip_prefix(['-', ' '])).collect();
    let rebuilt = bare.map(|bare| reply(code, &bare.join("\n")));
    rebuilt
        .filter(|rebuilt| *rebuilt == lines.replace('\n', "\r\n"))
        .map(|rebuilt| (code, rebuilt))
        .ok_or(malformed)
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
        match parse(text).unwrap().kind {
            Kind::Refuse(refusal) => refusal.text().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_forms_of_the_grammar_are_read() {
        let rule = parse("rcpt:451:share=0.1:times=1").unwrap();
        assert!(rule.phase == Phase::Rcpt && matches!(rule.kind, Kind::Refuse(_)));
        assert!((rule.share - 0.1).abs() < 1e-9);
        assert_eq!(rule.times, Some(1));
        let rule = parse("rcpt:550:0.02").unwrap();
        assert!((rule.share - 0.02).abs() < 1e-9);
        let rule = parse("dot:452:to=*@slow.example").unwrap();
        assert!(rule.pattern.unwrap().matches("a@slow.example"));
        assert_eq!(parse("drop-after-dot:share=0.01").unwrap().kind, Kind::DropAfterDot);
        assert_eq!(parse(" drop-before-dot ").unwrap().kind, Kind::DropBeforeDot);
        assert!(parse("mail:421:from=*").unwrap().pattern.is_some());
    }

    #[test]
    fn every_kind_of_fault_stands_at_every_phase() {
        for phase in Phase::ALL {
            for (word, kind) in [
                ("cut", Kind::Cut),
                ("silent", Kind::Silent),
                ("garbage", Kind::Spoil(Spoil::Garbage)),
                ("half", Kind::Spoil(Spoil::Half)),
                ("wrong", Kind::Spoil(Spoil::Wrong(phase.wrong_code()))),
                ("wrong=251", Kind::Spoil(Spoil::Wrong(251))),
                ("twice", Kind::Spoil(Spoil::Twice)),
                ("huge", Kind::Spoil(Spoil::Huge)),
                ("bytewise", Kind::Spoil(Spoil::Bytewise)),
                ("slow=2s", Kind::Spoil(Spoil::Slow(std::time::Duration::from_secs(2)))),
            ] {
                let rule = parse(&format!("{}:{word}:share=0.5:times=3", phase.name())).unwrap();
                assert_eq!((rule.phase, rule.kind, rule.times), (phase, kind, Some(3)));
            }
            let rule = parse(&format!("{}:454", phase.name())).unwrap();
            assert!(matches!(rule.kind, Kind::Refuse(refusal) if refusal.code() == 454));
        }
        for (word, how) in [
            ("handshake-cut", Handshake::Cut),
            ("handshake-garbage", Handshake::Garbage),
            ("handshake-silent", Handshake::Silent),
        ] {
            assert_eq!(parse(&format!("tls:{word}")).unwrap().kind, Kind::Handshake(how));
        }
        for (text, behind) in
            [("tls:inject", "250 injected"), ("tls:inject:text=250-a\\n250 b", "250-a\r\n250 b")]
        {
            assert_eq!(parse(text).unwrap().kind, Kind::Spoil(Spoil::Behind(behind.into())));
        }
    }

    #[test]
    fn every_rule_of_the_manual_is_read() {
        let manual = include_str!("../../docs/sink.md");
        let listed = manual.split("```rules\n").nth(1).unwrap().split("```").next().unwrap();
        let mut rules = 0;
        for row in listed.lines() {
            // The first forty columns are the rule, the rest says what it plays.
            let rule = row.get(..40).unwrap_or(row).trim_end();
            parse(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
            rules += 1;
        }
        assert!(rules > 30, "{rules}");
    }

    #[test]
    fn a_raw_text_is_said_as_it_stands() {
        for (text, said) in [
            (
                "rcpt:421:raw=4.7.28 Slow: down\\n4.7.28 now",
                "421-4.7.28 Slow: down\r\n421 4.7.28 now",
            ),
            ("dot:550:raw=Spam", "550 Spam"),
            ("rcpt:550:raw=4.2.2 Full", "550 4.2.2 Full"),
        ] {
            assert_eq!(line(text), said);
        }
    }

    #[test]
    fn a_whole_reply_is_read_with_its_code_on_each_line() {
        let (code, text) = whole_reply("421-4.7.0 a\\n421-\\n421 4.7.0 b").unwrap();
        assert_eq!((code, text.as_str()), (421, "421-4.7.0 a\r\n421-\r\n421 4.7.0 b"));
        for text in
            ["", "abc", "150 a", "421-a", "421 a\\n421 b", "421-a\\n422 b", "421a", "421 a\nb"]
        {
            assert!(whole_reply(text).is_err(), "{text}");
        }
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
            ("rcpt:550:text=4.2.2 Full", "write raw="),
            ("rcpt:sometimes", "\"sometimes\" is no code to refuse with and no other fault"),
            ("rcpt:cut=1", "\"cut=1\" is no code"),
            ("ehlo:slow", "slow=nothing is no length of time; hint: write a whole number"),
            ("ehlo:slow=2", "as in 250ms, 2s or 5m"),
            ("dot:wrong=550", "wrong=\"550\"; hint: take 200 to 399"),
            ("mail:inject", "write tls:inject"),
            ("ehlo:handshake-cut", "write tls:handshake-cut"),
            ("ehlo:cut:to=*", "decided for whole connections"),
            ("quit:421:from=*", "decided for whole connections"),
            ("dot:half:text=x", "only a code"),
            ("rcpt:550:raw=", "1 to 4000 octets"),
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
