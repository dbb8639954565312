//! The one form of a page, filled in; and the code of a mail. The tests and `scripts/crash` share it.

/// What stands between two texts.
pub fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}

/// Where a page's form goes, and its hidden proof.
pub fn action(html: &str) -> Option<(&str, &str)> {
    let action = between(html, "<form method=\"post\" action=\"", "\"")?;
    Some((action, between(html, "name=\"proof\" value=\"", "\"")?))
}

/// The code in a mail's text.
pub fn code_in(mail: &str) -> Option<String> {
    let is_code = |line: &&str| {
        line.len() == 14 && line.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    mail.lines().map(str::trim).find(is_code).map(str::to_owned)
}
