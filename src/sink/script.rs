//! A script of replies by address: lines that say what a named recipient hears at which step, word
//! for word, so that the texts of real providers can be replayed.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::fault::{FaultRule, Kind};
use super::fault_options::pattern;
use super::fault_text::{FaultTextError, whole_reply};
use super::phase::{Decider, Phase};
use super::reply::Refusal;
use super::spoil::Spoil;

/// Replies by address. Its text form has one reply a line:
///
/// ```text
/// line    = pattern TAB phase TAB reply      ; or empty, or a comment that opens with "#"
/// pattern = as in fault rules: "*" stands for any run of characters
/// phase   = as in fault rules; the pattern of a connection's phase is "*"
/// reply   = a whole reply, code 200 to 599, "\n" between its lines
/// ```
///
/// Example: `gmail-rate@*`, `rcpt`, `421-4.7.28 Our system has seen\n421 4.7.28 too much`. The
/// first line that fits wins, before all fault rules. A code of 400 or more refuses; any other is
/// said in place of the reply that is due, and the command is done.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct ReplyScript(Vec<FaultRule>);

/// Why a script of replies could not be taken. Never repeats an address.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file could not be read.
    #[error("cannot read {}; hint: name a text file with --replies", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A line has not three parts, or its phase is none.
    #[error(
        "replies, line {line}: no pattern, phase and reply; hint: part them with tabs, and take a \
         phase of greeting, ehlo, tls, auth, mail, rcpt, data, dot, rset or quit"
    )]
    Parts {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A connection's phase has a pattern of addresses.
    #[error(
        "replies, line {line}: no address is known at this phase; hint: write * as the pattern"
    )]
    Pattern {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A part of a line is malformed.
    #[error("replies, line {line}: {fault}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it; its own hint says what to write.
        fault: FaultTextError,
    },
}

impl ReplyScript {
    /// Reads a script from a file.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads a script from its text.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|(number, line)| rule(number, line))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Its lines as fault rules.
    pub(super) fn rules(&self) -> &[FaultRule] {
        &self.0
    }
}

impl TryFrom<String> for ReplyScript {
    type Error = ScriptError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

fn rule(number: usize, line: &str) -> Result<FaultRule, ScriptError> {
    let malformed = |fault| ScriptError::Line { line: number, fault };
    let mut parts = line.splitn(3, '\t');
    let (Some(address), Some(phase), Some(reply)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(ScriptError::Parts { line: number });
    };
    let phase = Phase::named(phase.trim()).ok_or(ScriptError::Parts { line: number })?;
    let (address, any) = (address.trim(), address.trim() == "*");
    if phase.decider() == Decider::Connection && !any {
        return Err(ScriptError::Pattern { line: number });
    }
    let pattern = if any { None } else { Some(pattern(address).map_err(malformed)?) };
    let (code, text) = whole_reply(reply.trim_end()).map_err(malformed)?;
    let kind = match code {
        400.. => Kind::Refuse(Refusal::whole(code, text)),
        _ => Kind::Spoil(Spoil::Instead(text.into())),
    };
    Ok(FaultRule { phase, kind, share: 1.0, times: None, pattern })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_reply_word_for_word() {
        let script = ReplyScript::parse(
            "# real texts\n\nrate@*\trcpt\t421-4.7.28 Slow\\n421 4.7.28 down: now\r\n\
             *\tmail\t550 Blocked, no enhanced code\nok@*\tdot\t250 OK 42 - gsmtp\n*\tehlo\t502 No\n",
        )
        .unwrap();
        let said: Vec<(Phase, String)> = script
            .rules()
            .iter()
            .map(|rule| match &rule.kind {
                Kind::Refuse(refusal) => (rule.phase, refusal.text().to_owned()),
                Kind::Spoil(Spoil::Instead(text)) => (rule.phase, text.to_string()),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            (Phase::Rcpt, "421-4.7.28 Slow\r\n421 4.7.28 down: now"),
            (Phase::Mail, "550 Blocked, no enhanced code"),
            (Phase::Dot, "250 OK 42 - gsmtp"),
            (Phase::Ehlo, "502 No"),
        ];
        assert_eq!(said, expected.map(|(phase, text)| (phase, text.to_owned())));
        assert!(script.rules()[0].pattern.as_ref().unwrap().matches("rate@example.org"));
        assert!(script.rules()[1].pattern.is_none());
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_never_by_its_address() {
        for (line, said) in [
            ("alice@b.test rcpt 550 x", "line 2: no pattern, phase and reply"),
            ("alice@b.test\tbody\t550 x", "take a phase of greeting"),
            ("alice@b.test\tehlo\t550 x", "write * as the pattern"),
            ("alice @b.test\trcpt\t550 x", "without spaces"),
            ("alice@b.test\trcpt\t55 alice@b.test", "begin each line with the same code"),
        ] {
            let error = ReplyScript::parse(&format!("\n{line}\n")).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(said) && text.contains("hint: "), "{text}");
            assert!(!text.contains("alice"), "{text}");
        }
        let missing = ReplyScript::read(Path::new("/nowhere/replies.tsv")).unwrap_err();
        assert!(missing.to_string().contains("hint: name a text file"));
    }
}
