//! From approved bytes to parsed templates: which files belong to a notice, which languages it has, and how
//! partials are laid into their templates.

use std::collections::BTreeMap;

use handlebars::Template;
use handlebars::template::TemplateElement;

use super::error::{Place, RenderError};
use super::lint;

/// The parts of a notice, and whether a part is HTML.
pub(super) const PARTS: [(&str, bool); 3] =
    [("subject.txt.hbs", false), ("body.txt.hbs", false), ("body.html.hbs", true)];

/// The notice's own files and all partials, but for the folders of these languages.
pub(super) fn parse_all(
    files: &BTreeMap<String, Vec<u8>>,
    own: &str,
    unwanted: &[&String],
) -> Result<BTreeMap<String, Template>, RenderError> {
    let is_wanted = |name: &str| {
        let rest = name.strip_prefix(own).or_else(|| name.strip_prefix(lint::PARTIALS));
        let folder = rest.map(|rest| rest.split_once('/').map_or("", |(folder, _)| folder));
        folder.is_some_and(|folder| unwanted.iter().all(|locale| *locale != folder))
    };
    let wanted = files.iter().filter(|(name, _)| is_wanted(name));
    wanted.map(|(name, bytes)| Ok((name.clone(), parse(name, bytes)?))).collect()
}

pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Template, RenderError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|source| RenderError::Encoding { template: name.to_owned(), source })?;
    // A file saved on Windows must give the same notice.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    Template::compile_with_name(text, name.to_owned()).map_err(|source| {
        let (line, column) = source.pos().unwrap_or((1, 1));
        RenderError::Syntax {
            place: Place { template: name.to_owned(), line, column },
            message: source.reason().to_string(),
        }
    })
}

/// Whether a file of a notice, named from its folder on, is a part of one of its languages.
pub(super) fn is_part(rest: &str) -> bool {
    rest.split_once('/').is_some_and(|(_, part)| PARTS.iter().any(|(known, _)| *known == part))
}

/// The languages among the notice's files; a file that is no part of one is refused.
pub(super) fn locale_names(
    files: &BTreeMap<String, Vec<u8>>,
    own: &str,
) -> Result<Vec<String>, RenderError> {
    let mut names = Vec::new();
    for file in files.keys() {
        let Some(rest) = file.strip_prefix(own) else {
            continue;
        };
        match rest.split_once('/') {
            Some((locale, _)) if is_part(rest) => names.push(locale.to_owned()),
            _ => return Err(RenderError::StrayFile { template: file.clone() }),
        }
    }
    names.dedup();
    Ok(names)
}

/// A copy with every `{{> partial}}` replaced by what it stands for; the lint has already refused
/// missing and endless ones. Indentation before a partial is dropped.
pub(super) fn with_partials(template: &Template, parsed: &BTreeMap<String, Template>) -> Template {
    let mut out = Template::new();
    out.name.clone_from(&template.name);
    for (at, element) in template.elements.iter().enumerate() {
        let mut element = element.clone();
        match &mut element {
            TemplateElement::PartialExpression(partial) => {
                let file = lint::partial_file(partial.name.as_name().unwrap_or_default());
                if let Some(partial) = parsed.get(&file) {
                    let laid_in = with_partials(partial, parsed);
                    out.elements.extend(laid_in.elements);
                    out.mapping.extend(laid_in.mapping);
                    continue;
                }
            }
            TemplateElement::HelperBlock(block) => {
                for body in [&mut block.template, &mut block.inverse].into_iter().flatten() {
                    *body = with_partials(body, parsed);
                }
            }
            _ => {}
        }
        out.elements.push(element);
        out.mapping.extend(template.mapping.get(at).cloned());
    }
    out
}
