//! What is wrong with `[directory.sql]` by its text alone: nothing is opened.

use std::path::Path;

use crate::directory::sql::bind::bind_rows;
use crate::directory::sql::{SqlDirectorySettings, Statements};
use crate::domain::credential::CredentialKind;
use crate::domain::database::{Engine, Place};
use crate::domain::toml_file::Problems;

/// The most accounts in one transaction.
const LARGEST_BATCH: usize = 10_000;

pub(super) fn check(sql: &SqlDirectorySettings, problems: &mut Problems<'_>) {
    if !(1..=LARGEST_BATCH).contains(&sql.batch) {
        problems.at(
            "directory.sql.batch",
            format!(
                "`directory.sql.batch` must be between 1 and {LARGEST_BATCH}; hint: batch = 1000"
            ),
        );
    }
    let sessions = &sql.sessions;
    if sessions.end.is_some() && sessions.count.is_none() {
        problems.at_all(
            &["directory.sql.sessions.end", "directory.sql.sessions.count"],
            "`directory.sql.sessions.end` is not provable without `count`; hint: the statement \
             that counts the accounts' sessions",
        );
    }
    if sessions.lapse_within.is_some_and(|span| span.is_negative()) {
        problems.at(
            "directory.sql.sessions.lapse_within",
            "`directory.sql.sessions.lapse_within` is negative; hint: lapse_within = \"12h\"",
        );
    }
    let engine = engine_of(sql);
    let filled = match sql.filled(engine) {
        Ok(filled) => filled,
        Err(fault) => {
            problems.at("directory.sql.preset", fault.to_string());
            return;
        }
    };
    for (key, text) in statements(&filled) {
        if let Err(fault) = bind_rows(&key, text, engine) {
            problems.at(&key, fault.to_string());
        }
    }
}

/// The engine reads quotes, comments and binds its own way; a URL that names none is refused where it is
/// opened.
fn engine_of(sql: &SqlDirectorySettings) -> Engine {
    Place::parse(&sql.url, Path::new("")).map_or(Engine::Sqlite, |at| at.engine())
}

/// Every statement after its key, the preset's among them.
pub(super) fn text(sql: &SqlDirectorySettings) -> Option<String> {
    let filled = sql.filled(engine_of(sql)).ok()?;
    let all = statements(&filled).into_iter().map(|(key, sql)| format!("{key}\n{}\n", sql.trim()));
    Some(all.collect())
}

/// Every statement with its key.
fn statements(sql: &SqlDirectorySettings) -> Vec<(String, &str)> {
    let of_kind = |kind: &CredentialKind| {
        let texts = sql.statements(*kind)?;
        let key = |verb| format!("directory.sql.{kind}.{verb}");
        let set = texts.set.as_deref().map(|sql| (key("set"), sql));
        let own = [(key("read"), texts.read.as_str()), (key("expire"), texts.expire.as_str())];
        Some(own.into_iter().chain(set))
    };
    let archive = sql.archive.iter().flat_map(|texts| {
        let key = |verb| format!("directory.sql.archive.{verb}");
        [(key("keep"), &texts.keep), (key("read"), &texts.read), (key("forget"), &texts.forget)]
    });
    let archive = archive.map(|(key, sql)| (key, sql.as_str()));
    let key = |verb| format!("directory.sql.sessions.{verb}");
    let sessions = &sql.sessions;
    let count = sessions.count.as_deref().map(|sql| (key("count"), sql));
    let end = sessions.end.as_ref().map(Statements::all).unwrap_or_default();
    let end = end.iter().map(|sql| (key("end"), sql.as_str()));
    let kinds = CredentialKind::ALL.iter().filter_map(of_kind).flatten();
    kinds.chain(count).chain(end).chain(archive).collect()
}
