//! `forthwith audience diff` and `reconcile`.

use clap::Args;
use serde::Serialize;

use super::ReconcileArgs;
use crate::cli::context::Context;
use crate::cli::listing::{Listing, facts};
use crate::cli::output::count;
use crate::cli::{Bars, CliError};
use crate::engine::audience::compare::AccountList;
use crate::source::Encoding;
use crate::store::audiences::Difference;

#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// A campaign
    a: String,
    /// Another
    b: String,
    /// List the accounts that differ, masked
    #[arg(long)]
    list: bool,
    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

/// An account that differs.
#[derive(Serialize)]
struct Differing<'a> {
    account: &'a str,
    difference: &'a str,
}

pub(super) async fn diff(args: &DiffArgs, context: &Context<'_>) -> Result<(), CliError> {
    let DiffArgs { a, b, list, json } = args;
    let mut compared = context
        .with_engine(async |engine| {
            let bars = Bars::new(context.printer);
            Ok(engine.diff_audiences(a, b, &bars).await?)
        })
        .await?;
    let totals = compared.totals;
    let (only_a, only_b) = (format!("only in {a}"), format!("only in {b}"));
    if *json {
        context.printer.json_line(&serde_json::json!({
            "a": a, "b": b, "only_a": totals.only_a, "only_b": totals.only_b,
            "changed": totals.changed, "same": totals.same,
        }))?;
    } else {
        context.printer.data(&facts(&[
            (&*format!("{a} is"), compared.a.clone()),
            (&*format!("{b} is"), compared.b.clone()),
            (&*only_a, count(totals.only_a)),
            (&*only_b, count(totals.only_b)),
            ("in both, other fields", count(totals.changed)),
            ("in both alike", count(totals.same)),
        ]))?;
    }
    for (name, rejected) in [(a, compared.rejected.0), (b, compared.rejected.1)] {
        if rejected > 0 {
            context.printer.say(&format!(
                "{} rows of `{name}` name no account: `forthwith audience check {name}` keeps them",
                count(rejected)
            ));
        }
    }
    if *list {
        let mut listing = Listing::new(context.printer, &["account", "difference"], *json);
        for (difference, name) in [
            (Difference::OnlyA, &*only_a),
            (Difference::OnlyB, &*only_b),
            (Difference::Changed, "other fields"),
        ] {
            compared
                .list(difference, |accounts| {
                    let rows: Vec<Differing<'_>> = accounts
                        .iter()
                        .map(|account| Differing { account, difference: name })
                        .collect();
                    listing.page(&rows)
                })
                .await?;
        }
        listing.finish("no account differs");
    }
    Ok(())
}

pub(super) async fn reconcile(args: ReconcileArgs, context: &Context<'_>) -> Result<(), CliError> {
    let encoding = Encoding::parse(&args.encoding).ok_or_else(|| {
        CliError::refused(format!(
            "`{}` is no encoding; hint: utf-8, windows-1252 or utf-16",
            args.encoding
        ))
    })?;
    let list =
        AccountList { path: args.with, column: args.column, delimiter: args.delimiter, encoding };
    let campaign = &args.campaign;
    let found = context
        .with_engine(async |engine| {
            let bars = Bars::new(context.printer);
            Ok(engine.reconcile(campaign, list, &bars).await?)
        })
        .await?;
    if args.json {
        context.printer.json_line(&serde_json::json!({
            "campaign": campaign, "same": found.totals.same, "only_here": found.totals.only_a,
            "only_there": found.totals.only_b, "rejected_there": found.rejected,
            "files": found.files,
        }))?;
    } else {
        context.printer.data(&facts(&[
            ("in both", count(found.totals.same)),
            ("only here", count(found.totals.only_a)),
            ("only there", count(found.totals.only_b)),
            ("rejected there", count(found.rejected)),
        ]))?;
    }
    for file in &found.files {
        context.printer.say(&format!("Written: {}", file.display()));
    }
    if args.expect_equal && !found.is_equal() {
        return Err(CliError::refused(format!(
            "the list and the sealed people of `{campaign}` are not the same: {} only here, {} only \
             there, {} rows without an account; hint: people are frozen, so who is missing needs a \
             campaign of their own, and who is too many an amendment",
            found.totals.only_a, found.totals.only_b, found.rejected
        )));
    }
    Ok(())
}
