//! MariaDB's tables outside transactions. A rollback leaves what was written to them, so that nothing
//! that is promised about a batch would hold: a statement that writes through one is refused.
//!
//! The engine does not say which tables a statement touches. So every name in it that is a table's is
//! looked at, and what stands in the views and triggers behind them likewise.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::mysql::MySqlConnection;

use crate::directory::DirectoryError;
use crate::domain::database::Engine;
use crate::domain::database::token::{Scanner, Token};

/// How deep views may lie over each other.
const DEEPEST: usize = 16;

/// What the names are, by the engine's own account: `name`, `how` (`table`, `view` or `kept`, a table
/// that is outside transactions) and `text`, what a view reads or a trigger runs.
const LOOK_UP: &str = "\
    SELECT CONVERT(t.table_name USING utf8mb4) AS name, \
        CASE WHEN t.table_type = 'VIEW' THEN 'view' WHEN e.transactions = 'YES' THEN 'table' \
             ELSE 'kept' END AS how, \
        CONVERT(COALESCE(v.view_definition, '') USING utf8mb4) AS text \
    FROM information_schema.tables AS t \
    LEFT JOIN information_schema.engines AS e ON e.engine = t.engine \
    LEFT JOIN information_schema.views AS v \
        ON v.table_schema = t.table_schema AND v.table_name = t.table_name \
    WHERE t.table_schema NOT IN ('information_schema', 'performance_schema', 'sys') \
        AND (t.table_schema = DATABASE() OR t.table_schema IN (SELECT s.word FROM \
            JSON_TABLE(?, '$[*]' COLUMNS (word VARCHAR(64) PATH '$')) AS s)) \
        AND t.table_name IN (SELECT w.word FROM \
            JSON_TABLE(?, '$[*]' COLUMNS (word VARCHAR(64) PATH '$')) AS w) \
    UNION ALL \
    SELECT CONVERT(g.trigger_name USING utf8mb4), 'trigger', \
        CONVERT(g.action_statement USING utf8mb4) \
    FROM information_schema.triggers AS g \
    WHERE g.event_object_schema = DATABASE() AND g.event_object_table IN (SELECT w.word FROM \
        JSON_TABLE(?, '$[*]' COLUMNS (word VARCHAR(64) PATH '$')) AS w)";

/// Refuses a statement that may write to a table outside transactions.
pub async fn check(
    connection: &mut MySqlConnection,
    key: &str,
    sql: &str,
) -> Result<(), DirectoryError> {
    let mut seen = BTreeSet::new();
    let mut fresh = names(sql);
    for _ in 0..DEEPEST {
        fresh.retain(|name| !seen.contains(name));
        if fresh.is_empty() {
            return Ok(());
        }
        let words = serde_json::json!(fresh).to_string();
        let schemas = serde_json::json!(fresh.union(&seen).collect::<Vec<_>>()).to_string();
        let found = sqlx::query(LOOK_UP)
            .persistent(false)
            .bind(schemas)
            .bind(&words)
            .bind(&words)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| DirectoryError::Statement {
                key: format!("the look-up of the tables in {key}"),
                cause: error.to_string(),
            })?;
        seen.append(&mut fresh);
        for row in found {
            let text = |column: &str| {
                let bytes: Option<&[u8]> = row.try_get_unchecked(column).ok().flatten();
                String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
            };
            let (table, how, definition) = (text("name"), text("how"), text("text"));
            match how.as_str() {
                "kept" => {
                    return Err(DirectoryError::NotTransactional { key: key.to_owned(), table });
                }
                "view" if definition.is_empty() => {
                    return Err(DirectoryError::HiddenView { key: key.to_owned(), view: table });
                }
                _ => fresh.append(&mut names(&definition)),
            }
        }
    }
    Ok(())
}

/// Every word and every quoted name.
fn names(sql: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut scanner = Scanner::new(sql, Engine::MariaDb);
    while !scanner.is_done() {
        let start = scanner.at();
        let Ok(token) = scanner.token() else { break };
        let text = &sql[start..scanner.at()];
        match (token, text.strip_prefix('`').and_then(|text| text.strip_suffix('`'))) {
            (Token::Word, _) => names.insert(text.to_owned()),
            (Token::Other, Some(name)) => names.insert(name.replace("``", "`")),
            _ => false,
        };
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_name_is_found_however_it_is_written() {
        let sql =
            "UPDATE shop.`cus``tomer` AS c, Login SET c.x = 'session' -- audit\n WHERE c.y = ?";
        let found = names(sql);
        for name in ["shop", "cus`tomer", "Login", "c", "x", "y"] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        assert!(!found.contains("session") && !found.contains("audit"), "{found:?}");
    }
}
