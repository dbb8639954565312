//! Breaks the text part into lines people can read in any program.
//!
//! Template authors keep a paragraph on one line; it is filled here, after names and dates of any
//! length are in place. Words are never broken: an address must stay one piece.

/// Characters a line, as mail has been read for decades.
const WIDTH: usize = 72;

/// What a line may be broken at. A no-break space is none: « 18 h 00 » stays together.
const BLANK: [char; 2] = [' ', '\t'];

/// Fills long lines, keeps short ones, and lets at most one blank line stand between two others.
pub(in crate::render) fn fill(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut blank_due = false;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            blank_due = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut blank_due) {
            out.push('\n');
        }
        fill_line(line, &mut out);
    }
    out
}

/// Fills one line that is not empty and ends with no blank.
pub(super) fn fill_line(line: &str, out: &mut String) {
    let body = line.trim_start();
    let margin = line.len() - body.len();
    // What follows a bullet or a number hangs under its first word.
    let bullet = body.split_once(' ').map_or(0, |(mark, _)| match mark.strip_suffix('.') {
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => mark.len() + 1,
        _ if matches!(mark, "-" | "*") => mark.len() + 1,
        _ => 0,
    });
    out.push_str(&line[..margin]);
    let mut used = margin;
    for (at, word) in body.split(BLANK).filter(|word| !word.is_empty()).enumerate() {
        let length = word.chars().count();
        if at > 0 && used + 1 + length > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', margin + bullet));
            used = margin + bullet;
        } else if at > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_paragraph_is_filled_and_loses_no_word() {
        let text = "word ".repeat(60);
        let filled = fill(&text);
        assert!(filled.lines().all(|line| line.chars().count() <= WIDTH), "{filled}");
        assert_eq!(filled.split_whitespace().count(), 60);
        assert!(filled.lines().count() > 3);
    }

    #[test]
    fn a_list_item_hangs_under_its_first_word() {
        let filled = fill(&format!("- {}", "word ".repeat(20)));
        assert!(filled.lines().skip(1).all(|line| line.starts_with("  word")), "{filled}");
        let numbered = fill(&format!("1. {}", "word ".repeat(20)));
        assert!(numbered.lines().skip(1).all(|line| line.starts_with("   word")), "{numbered}");
    }

    #[test]
    fn blank_lines_are_squeezed_and_the_edges_are_clean() {
        assert_eq!(fill("\n\n a\n\n\n\nb  \n\n"), " a\n\nb\n");
    }

    #[test]
    fn what_a_no_break_space_joins_stays_on_one_line() {
        let text = format!("{}18\u{a0}h\u{a0}00 and 24\u{202f}000", "word ".repeat(14));
        assert!(fill(&text).lines().any(|line| line.starts_with("18\u{a0}h\u{a0}00")), "{text}");
    }

    #[test]
    fn a_word_longer_than_a_line_stays_whole() {
        let long = "x".repeat(100);
        assert_eq!(fill(&format!("see {long} now")), format!("see\n{long}\nnow\n"));
    }
}
