//! `forthwith key`.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::listing::Listing;
use super::{AsJson, CliError};
use crate::app::App;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Draw the keys of a workspace that has none and whose database knows none
    Init,
    /// Check that the key files are whole and are those the database was written under
    Check(AsJson),
}

/// One key as listed.
#[derive(Serialize)]
struct KeyView {
    purpose: String,
    id: String,
    fingerprint: String,
    file: String,
}

const COLUMNS: [&str; 4] = ["purpose", "id", "fingerprint", "file"];

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    match verb {
        Verb::Init => {
            context.config()?;
            let keys = App::make_keys(&context.workspace).await?;
            let rows = crate::engine::founding::key_rows(&keys);
            let rows: Vec<_> = rows.into_iter().map(|key| view(key, context)).collect();
            print(context, &rows, false)?;
            context.printer.say("Copy these files to a safe place before anything is sealed.");
            Ok(())
        }
        Verb::Check(form) => {
            let keys = context.with_engine(async |engine| Ok(engine.check_keys().await?)).await?;
            let rows: Vec<_> = keys.into_iter().map(|key| view(key, context)).collect();
            print(context, &rows, form.json)?;
            context.printer.say("They are the keys this database was written under.");
            Ok(())
        }
    }
}

fn print(context: &Context<'_>, rows: &[KeyView], json: bool) -> Result<(), CliError> {
    Listing::print(context.printer, &COLUMNS, json, rows, "")
}

fn view(key: crate::store::campaigns::KeyRow, context: &Context<'_>) -> KeyView {
    let file = context.workspace.keys().join(format!("{}.key", key.purpose));
    KeyView {
        purpose: key.purpose,
        id: key.id,
        fingerprint: key.fingerprint,
        file: file.display().to_string(),
    }
}
