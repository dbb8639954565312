//! How a personal link must stand in a notice, seen in what was rendered of a sample before its lines
//! were filled.
//!
//! In the text part a link that shares its line is broken or swallows the full stop behind it; in
//! HTML one that is not an `href` is no link. Once each: a second copy is a second thing to leak.

use handlebars::html_escape;

use super::templates::Rendered;

/// The part of a notice that shows the link wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Subject,
    Text,
    Html,
}

/// What is wrong, in the words of the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) part: Part,
    pub(super) how: &'static str,
    pub(super) hint: &'static str,
}

/// What is wrong with how `link` is shown: one fault of each part.
pub(super) fn faults(rendered: &Rendered, link: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if rendered.subject.contains(link) {
        faults.push(Fault {
            part: Part::Subject,
            how: "nowhere in the subject",
            hint: "subjects are shown on locked screens",
        });
    }
    let lines = rendered.text.lines().filter(|line| line.trim_end() == link).count();
    if (lines, rendered.text.matches(link).count()) != (1, 1) {
        faults.push(Fault {
            part: Part::Text,
            how: "once, on a line of its own",
            hint: "a line `{{person.link}}` inside {{#if reset.link}}",
        });
    }
    let escaped = html_escape(link);
    let opening = format!("<a href=\"{escaped}\"");
    if (rendered.html.matches(&opening).count(), rendered.html.matches(&escaped).count()) != (1, 1)
    {
        faults.push(Fault {
            part: Part::Html,
            how: "once, as the href of an <a>",
            hint: "<a href=\"{{person.link}}\">what it does</a> inside {{#if reset.link}}",
        });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://www.northwind.example/r?a=b#fw1_x";

    fn rendered(text: &str, html: &str) -> Rendered {
        Rendered { subject: "Notice".into(), text: text.into(), html: html.into() }
    }

    fn part(text: &str, html: &str) -> Option<Part> {
        faults(&rendered(text, html), LINK).first().map(|fault| fault.part)
    }

    #[test]
    fn a_link_stands_once_in_each_part_and_nowhere_else() {
        let text = format!("Here:\n\n{LINK}\n\nbye\n");
        let html = format!("<p><a href=\"{}\">New password</a></p>", html_escape(LINK));
        assert_eq!(part(&text, &html), None);
        for bad in [
            "no link\n".to_owned(),
            format!("Open {LINK} now\n"),
            format!("{LINK}.\n"),
            format!("{text}{LINK}\n"),
            format!("  {LINK}\n"),
        ] {
            assert_eq!(part(&bad, &html), Some(Part::Text), "{bad}");
        }
        for bad in [
            "<p>no link</p>".to_owned(),
            format!("<p>{}</p>", html_escape(LINK)),
            format!("<a href=\"{LINK}\">unescaped</a>"),
            format!("{html}{html}"),
            format!("{html}<p>{}</p>", html_escape(LINK)),
        ] {
            assert_eq!(part(&text, &bad), Some(Part::Html), "{bad}");
        }
        let shown = Rendered { subject: LINK.into(), ..rendered(&text, &html) };
        assert_eq!(faults(&shown, LINK)[0].part, Part::Subject);
    }
}
