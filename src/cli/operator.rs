//! `forthwith operator`.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::ask::Wanted;
use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError};
use crate::config::env::PASSWORDS;
use crate::domain::operator::may_sign;
use crate::engine::Engine;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Add an operator for whom others vouch: two and they may approve at once, one and it takes a day
    Add {
        /// The name they will sign under
        name: String,
        /// An operator who vouches for them; may be given twice
        #[arg(long = "by", value_name = "NAME", required = true)]
        by: Vec<String>,
        /// Files with the passwords, the new operator's first, then in the order of `--by`; else
        /// `FORTHWITH_PASSWORD`, `FORTHWITH_PASSWORD_1` and `_2`, else prompts
        #[arg(long = "password-file", value_name = "FILE")]
        password_file: Vec<PathBuf>,
    },
    /// Vouch for an operator who was added with one signature
    Vouch {
        /// The operator vouched for
        name: String,
        /// The operator who vouches
        #[arg(long, value_name = "NAME")]
        by: String,
        /// A file with the voucher's password; else `FORTHWITH_PASSWORD`, else a prompt
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List the operators and from when on they may approve
    List(AsJson),
}

/// One operator as listed.
#[derive(Serialize)]
struct OperatorView {
    name: String,
    founder: bool,
    added_at: String,
    added_by: Vec<String>,
    may_approve: String,
    public_key: String,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Add { name, by, password_file } => {
            context
                .with_engine(async |engine| add(&engine, &name, &by, &password_file, context).await)
                .await
        }
        Verb::Vouch { name, by, password_file } => {
            context
                .with_engine(async |engine| {
                    let wanted = Wanted::of(&by, password_file.as_ref());
                    let signer = context.signer(&engine, &wanted).await?;
                    Ok(engine.vouch(&name, &signer).await?)
                })
                .await?;
            context.printer.say(&format!("{by} vouches for {name}."));
            Ok(())
        }
        Verb::List(form) => {
            let rows = context.with_engine(async |engine| list(&engine).await).await?;
            let columns = ["name", "founder", "added_at", "added_by", "may_approve"];
            Listing::print(context.printer, &columns, form.json, &rows, "no operators")
        }
    }
}

async fn add(
    engine: &Engine,
    name: &str,
    by: &[String],
    files: &[PathBuf],
    context: &Context<'_>,
) -> Result<(), CliError> {
    if by.len() > 2 || (by.len() == 2 && by[0] == by[1]) {
        return Err(CliError::refused(
            "one or two operators vouch for a new one; hint: `--by ANN --by BOB`",
        ));
    }
    let mut signers = Vec::new();
    for (place, voucher) in by.iter().enumerate() {
        let file = files.get(place + 1).map(PathBuf::as_path);
        let variable = PASSWORDS[place + 1];
        let wanted = Wanted { name: voucher, file, variable, is_new: false };
        signers.push(context.signer(engine, &wanted).await?);
    }
    let file = files.first().map(PathBuf::as_path);
    let new = context.person(&Wanted { name, file, variable: PASSWORDS[0], is_new: true })?;
    engine.add_operator(new, signers).await?;
    let when = if by.len() == 2 { "at once" } else { "in 24 hours, and not together with them" };
    let by = by.join(" and ");
    context.printer.say(&format!("Added {name}, vouched for by {by}; may approve {when}."));
    Ok(())
}

async fn list(engine: &Engine) -> Result<Vec<OperatorView>, CliError> {
    let all = engine.operators().await?;
    let now = engine.clock.now();
    let name_of = |id: &i64| {
        let found = all.iter().find(|row| row.operator.id == *id);
        found.map(|row| row.operator.name.clone()).unwrap_or_default()
    };
    Ok(all
        .iter()
        .map(|row| {
            let operator = &row.operator;
            OperatorView {
                name: operator.name.clone(),
                founder: operator.is_founder,
                added_at: operator.added_at.to_string(),
                added_by: operator.added_by.iter().map(name_of).collect(),
                may_approve: may_sign(operator, now)
                    .map_or_else(|refusal| refusal.to_string(), |()| "now".into()),
                public_key: hex::encode(row.public_key),
            }
        })
        .collect())
}
