//! What is wrong with `[directory]` by its text alone: nothing is opened.

use super::DirectorySection;
use crate::directory::sql::bind::bind_rows;
use crate::directory::sql::engine::Engine as SqlEngine;
use crate::domain::credential::CredentialKind;
use crate::domain::toml_file::Problems;

/// The most accounts in one transaction.
const LARGEST_BATCH: usize = 10_000;

impl DirectorySection {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if self.name.trim().is_empty() {
            problems.at("directory.name", "`directory.name` is empty; hint: name = \"shop\"");
        }
        if !(1..=LARGEST_BATCH).contains(&self.sql.batch) {
            problems.at(
                "directory.sql.batch",
                format!(
                    "`directory.sql.batch` must be between 1 and {LARGEST_BATCH}; hint: batch = 500"
                ),
            );
        }
        let sessions = &self.sql.sessions;
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
        for (key, sql) in self.statements() {
            if let Err(fault) = bind_rows(&key, sql, SqlEngine::Sqlite) {
                problems.at(&key, fault.to_string());
            }
        }
    }

    /// Every statement with its key.
    fn statements(&self) -> Vec<(String, &str)> {
        let of_kind = |kind: &CredentialKind| {
            let texts = self.sql.statements(*kind)?;
            let key = |verb| format!("directory.sql.{kind}.{verb}");
            Some([(key("read"), texts.read.as_str()), (key("expire"), texts.expire.as_str())])
        };
        let key = |verb| format!("directory.sql.sessions.{verb}");
        let sessions = &self.sql.sessions;
        let count = sessions.count.as_deref().map(|sql| (key("count"), sql));
        let end = sessions.end.as_deref().map(|sql| (key("end"), sql));
        let kinds = CredentialKind::ALL.iter().filter_map(of_kind).flatten();
        kinds.chain(count).chain(end).collect()
    }
}
