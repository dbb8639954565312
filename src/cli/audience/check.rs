//! `forthwith audience check`.

use std::collections::BTreeMap;

use crate::cli::context::Context;
use crate::cli::listing::facts;
use crate::cli::output::{count, harmless};
use crate::cli::status::source_line;
use crate::cli::{Bars, CliError};
use crate::engine::audience::check::AudienceCheck;

/// Values of a column that are shown, the most frequent first; `--json` has them all.
const MOST_SHOWN: usize = 12;

pub(super) async fn check(
    campaign: &str,
    json: bool,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let found = context
        .with_engine(async |engine| {
            let bars = Bars::new(context.printer);
            Ok(engine.check_audience(campaign, &bars).await?)
        })
        .await?;
    if json {
        context.printer.json(&found)?;
    } else {
        context.printer.data(&text(&found))?;
    }
    say_encoding(found.rejected.contains_key("not-utf8"), context);
    if !found.differences.is_empty() {
        return Err(CliError::refused(format!(
            "the audience is not what [audience.expect] says: {}; hint: mend the source or the \
             expectation, or the notice of `{campaign}` cannot be planned",
            found.differences.join("; ")
        )));
    }
    if found.totals.sealed == 0 {
        return Err(CliError::refused(
            "nobody would be sealed; hint: see the rejected rows and `columns.account`",
        ));
    }
    context.printer.say(&format!("Nothing was kept. Next: `forthwith audience seal {campaign}`"));
    say_people(&found, campaign, context);
    Ok(())
}

/// What becomes of people whose address or name cannot be used as it is.
fn say_people(found: &AudienceCheck, campaign: &str, context: &Context<'_>) {
    if found.names_refused > 0 {
        context.printer.say(
            "hint: who has a name that may not stand in a mail is greeted without one; mend the names \
             in the source, if there are many",
        );
    }
    if found.not_queued.contains_key("fallback/address:invalid") {
        context.printer.say(&format!(
            "hint: once sealed, `forthwith delivery list {campaign} --class fallback --reason \
             address:invalid` says what is wrong with each address"
        ));
    }
}

/// What most likely is wrong where values are no UTF-8.
pub(super) fn say_encoding(has_other_bytes: bool, context: &Context<'_>) {
    if has_other_bytes {
        context.printer.say(
            "Some rows are not UTF-8. Where an older Windows program wrote the file: `encoding = \
             \"windows-1252\"` in [audience.csv].",
        );
    }
}

fn text(found: &AudienceCheck) -> String {
    let mut lines = vec![
        ("Source", found.source.clone()),
        ("Source rows", source_line(&found.totals, &found.excluded)),
        ("Names refused", count(found.names_refused)),
    ];
    let rejected = found.rejected.iter().map(|(reason, rows)| ((*reason).to_owned(), *rows));
    if let Some(path) = &found.rejects {
        lines.push(("Rejected", listed(rejected.collect())));
        lines.push(("Rejected rows", path.display().to_string()));
    }
    for (name, counts) in [
        ("Not by mail yet", &found.not_queued),
        ("Addresses", &found.addresses),
        ("Values refused", &found.fields_refused),
        ("Languages", &found.locales),
        ("Regions", &found.regions),
        ("Addressees", &found.addressees),
    ] {
        if !counts.is_empty() {
            lines.push((name, listed(counts.clone())));
        }
    }
    if !found.providers.is_empty() {
        lines.push(("Providers", listed(found.providers.iter().cloned().collect())));
    }
    facts(&lines)
}

/// `1,200 en, 30 de`, the most frequent first.
fn listed(counts: BTreeMap<String, u64>) -> String {
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let more = counts.len().saturating_sub(MOST_SHOWN);
    let shown = counts.iter().take(MOST_SHOWN);
    let shown: Vec<String> =
        shown.map(|(value, rows)| format!("{} {}", count(*rows), harmless(value))).collect();
    let more = if more > 0 { format!(", and {more} more values") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_by_how_many_have_them_and_never_all_of_many() {
        let few = BTreeMap::from([("de".to_owned(), 30), ("en".into(), 1_200), ("fr".into(), 30)]);
        assert_eq!(listed(few), "1,200 en, 30 de, 30 fr");
        let many = (0..20).map(|value| (format!("r{value:02}"), 1)).collect();
        let text = listed(many);
        assert!(
            text.starts_with("1 r00, ") && text.ends_with("1 r11, and 8 more values"),
            "{text}"
        );
    }
}
