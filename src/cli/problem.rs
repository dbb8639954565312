//! How problems of files are shown: the line with a caret, and what to do.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
    SourceCode, ThemeCharacters, ThemeStyles,
};

use crate::domain::problem::{Problem, ProblemList};

/// How wide a line may get on a terminal; elsewhere nothing is wrapped.
const TERMINAL_WIDTH: usize = 100;

/// What the reader can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// A person looks at it: messages are wrapped.
    pub is_terminal: bool,
    /// Lines may be drawn in other letters than ASCII.
    pub unicode: bool,
    /// In colour.
    pub colour: bool,
}

/// All problems, one below the other.
pub fn shown(list: &ProblemList, look: Look) -> String {
    drawn(list, look, Severity::Error)
}

/// All remarks, likewise: marked as what may be meant so.
pub fn remarks(list: &ProblemList, look: Look) -> String {
    drawn(list, look, Severity::Warning)
}

fn drawn(list: &ProblemList, look: Look, severity: Severity) -> String {
    let theme = GraphicalTheme {
        characters: if look.unicode {
            ThemeCharacters::unicode()
        } else {
            ThemeCharacters::ascii()
        },
        styles: if look.colour { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_context_lines(1)
        .with_width(if look.is_terminal { TERMINAL_WIDTH } else { usize::MAX });
    let mut text = String::new();
    for (at, problem) in list.iter().enumerate() {
        let shown = Shown { severity, ..Shown::of(problem, list.text(&problem.place)) };
        let start = text.len();
        if at > 0 {
            text.push('\n');
        }
        if handler.render_report(&mut text, &shown).is_err() {
            text.truncate(start);
            text.push_str(&problem.to_string());
            text.push('\n');
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// One problem as the library wants it.
#[derive(Debug)]
struct Shown {
    severity: Severity,
    message: String,
    hint: Option<String>,
    source: Option<(NamedSource<String>, std::ops::Range<usize>)>,
}

impl Shown {
    fn of(problem: &Problem, text: Option<&str>) -> Self {
        let source = text
            .zip(problem.span.clone())
            .map(|(text, span)| (NamedSource::new(harmless(&problem.place), harmless(text)), span));
        let message = if source.is_some() {
            harmless(&problem.message)
        } else {
            let place = [problem.line, problem.column].into_iter().flatten();
            let place = place.fold(problem.place.clone(), |place, n| format!("{place}:{n}"));
            harmless(&format!("{place}: {}", problem.message))
        };
        let hint = problem.hint.as_deref().map(harmless);
        Self { severity: Severity::Error, message, hint, source }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.source.as_ref()?;
        let label = LabeledSpan::new(None, span.start, span.len().max(1));
        Some(Box::new(std::iter::once(label)))
    }
}

/// A text that cannot steer the terminal, byte for byte as long as before, so that places in it hold.
fn harmless(text: &str) -> String {
    let tame = |c: char| match c {
        '\n' => '\n',
        '\t' | '\r' => ' ',
        c if c.is_control() && c.len_utf8() == 1 => '?',
        c if c.is_control() => '\u{B7}',
        '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{2069}'
        | '\u{FEFF}' => '\u{FFFD}',
        c => c,
    };
    text.chars().map(tame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> ProblemList {
        let text = "[relay]\nhots = \"relay.example\"\nport = 25\n";
        let mut list = ProblemList::default();
        list.keep("forthwith.toml", text);
        let what = "there is no key `relay.hots`; hint: did you mean `relay.host`?";
        list.push(Problem::at("forthwith.toml", text, 8..12, what));
        list.push(Problem::of(
            "FORTHWITH_RELAY__PORT",
            "`relay.port` is odd; hint: its default is 25",
        ));
        list
    }

    #[test]
    fn without_a_terminal_all_is_ascii_and_the_caret_stands_below_the_key() {
        assert_eq!(
            shown(&list(), Look::default()),
            "  x there is no key `relay.hots`\n   ,-[forthwith.toml:2:1]\n 1 | [relay]\n \
             2 | hots = \"relay.example\"\n   : ^^^^\n 3 | port = 25\n   `----\n  \
             help: did you mean `relay.host`?\n\n  \
             x FORTHWITH_RELAY__PORT: `relay.port` is odd\n  help: its default is 25"
        );
    }

    #[test]
    fn a_terminal_gets_lines_and_colours_if_it_can_show_them() {
        let drawn = Look { is_terminal: true, unicode: true, colour: false };
        let text = shown(&list(), drawn);
        assert!(text.contains('│') && !text.contains('\u{1B}'), "{text}");
        assert!(shown(&list(), Look { colour: true, ..drawn }).contains('\u{1B}'));
    }

    #[test]
    fn what_stands_in_a_file_does_not_steer_the_terminal() {
        for text in ["a\u{1B}[2Jb", "x\u{202E}y", "c\u{85}d", "e\r\n\tf"] {
            let tame = harmless(text);
            assert_eq!(tame.len(), text.len(), "{text:?}");
            assert!(!tame.contains(['\u{1B}', '\u{202E}', '\u{85}', '\r']), "{text:?}");
        }
    }
}
