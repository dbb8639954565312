//! The one bind of a directory statement: finds `:rows` where it is a bind and not text, a name
//! or a comment, and puts the engine's placeholder there. It knows no values and runs nothing.

use thiserror::Error;

use crate::domain::database::Engine;
use crate::domain::database::token::{Scanner, Token, Unclosed};

/// Why a statement was refused. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BindError {
    /// There is no `:rows`.
    #[error(
        "{key}: the bind `:rows` is missing, so it would be for everybody; hint: read the accounts from \
         it, on SQLite as `json_each(:rows)`, on PostgreSQL as `jsonb_to_recordset(:rows)`, on MariaDB \
         as `JSON_TABLE(:rows, ...)`"
    )]
    Missing {
        /// The statement's key.
        key: String,
    },
    /// `:rows` occurs again.
    #[error(
        "{key}, line {line}, column {column}: the bind `:rows` may occur only once; hint: give \
         the rows a name with AS, and use that"
    )]
    Twice {
        /// The statement's key.
        key: String,
        /// Line of the second one.
        line: usize,
        /// Column of the second one.
        column: usize,
    },
    /// Another bind than `:rows`.
    #[error(
        "{key}, line {line}, column {column}: `{bind}` is a bind, and only `:rows` may be one; \
         hint: take the value from the rows, on SQLite as `r.value ->> 'account'`"
    )]
    Foreign {
        /// The statement's key.
        key: String,
        /// The bind as written.
        bind: String,
        /// Its line.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// A quote, bracket or comment without an end.
    #[error("{key}, line {line}, column {column}: `{opener}` is never closed; hint: close it")]
    Unclosed {
        /// The statement's key.
        key: String,
        /// What was opened.
        opener: String,
        /// Its line.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// A comment that the engine runs.
    #[error(
        "{key}, line {line}, column {column}: MariaDB runs what stands in this comment; hint: write it \
         outside, or as `/* … */`"
    )]
    Executed {
        /// The statement's key.
        key: String,
        /// Its line.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// Something follows the statement's end.
    #[error(
        "{key}, line {line}, column {column}: only one statement may stand here; hint: leave \
         the other out"
    )]
    SecondStatement {
        /// The statement's key.
        key: String,
        /// Line where the second one begins.
        line: usize,
        /// Column where the second one begins.
        column: usize,
    },
}

/// The statement with the engine's placeholder in place of `:rows`; `key` is for messages.
pub fn bind_rows(key: &str, sql: &str, engine: Engine) -> Result<String, BindError> {
    let mut scanner = Scanner::new(sql, engine);
    let (mut found, mut ended) = (None, false);
    while !scanner.is_done() {
        let start = scanner.at();
        let (line, column) = position(sql, start);
        let key = || key.to_owned();
        let token = scanner.token().map_err(|Unclosed| BindError::Unclosed {
            key: key(),
            opener: sql[start..scanner.at()].to_owned(),
            line,
            column,
        })?;
        match token {
            Token::Blank => {}
            _ if ended => {
                return Err(BindError::SecondStatement { key: key(), line, column });
            }
            Token::End => ended = true,
            Token::Bind if &sql[start..scanner.at()] != ":rows" => {
                let bind = sql[start..scanner.at()].to_owned();
                return Err(BindError::Foreign { key: key(), bind, line, column });
            }
            Token::Bind if found.is_some() => {
                return Err(BindError::Twice { key: key(), line, column });
            }
            Token::Bind => found = Some(start..scanner.at()),
            Token::Executed => return Err(BindError::Executed { key: key(), line, column }),
            Token::Word | Token::Other => {}
        }
    }
    let range = found.ok_or_else(|| BindError::Missing { key: key.to_owned() })?;
    let mut bound = sql.to_owned();
    bound.replace_range(range, placeholder(engine));
    Ok(bound)
}

/// What stands for `:rows`. `PostgreSQL` takes text nowhere by itself where JSON is wanted.
fn placeholder(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "?1",
        Engine::Postgres => "($1::text::jsonb)",
        Engine::MariaDb => "?",
    }
}

fn position(sql: &str, at: usize) -> (usize, usize) {
    let before = &sql[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Engine::{MariaDb, Postgres, Sqlite};

    /// Statements in which exactly the `:rows` between guillemets is the bind.
    const BOUND: &[(Engine, &str)] = &[
        (Sqlite, "SELECT 1 FROM json_each(«:rows»)"),
        (Postgres, "SELECT 1 FROM jsonb_to_recordset(«:rows») AS r(account text)"),
        (MariaDb, "SELECT 1 FROM JSON_TABLE(«:rows», '$[*]' COLUMNS (a TEXT PATH '$.account')) r"),
        (Sqlite, "«:rows»"),
        (Sqlite, "SELECT ':rows', «:rows»"),
        (Sqlite, "SELECT 'it''s :rows', «:rows»"),
        (Sqlite, r"SELECT 'a\', «:rows», ':x'"),
        (Sqlite, "SELECT \"a \"\" :rows\", «:rows»"),
        (Sqlite, "SELECT `a `` :rows`, «:rows»"),
        (Sqlite, "SELECT [a :rows ' ], «:rows»"),
        (Sqlite, "SELECT 1 -- :rows, it's ?\n, «:rows» -- ; SELECT 2"),
        (Sqlite, "SELECT /* :rows ' ? /* */ «:rows»"),
        (Postgres, "SELECT /* a /* :rows */ :other */ «:rows»"),
        (Postgres, "SELECT («:rows»)::jsonb, x::text"),
        (Postgres, "SELECT «:rows»::jsonb"),
        (Postgres, "SELECT $$ :rows ' $$, «:rows»"),
        (Postgres, "SELECT $q$ :rows $$ $1 $q$, «:rows»"),
        (Postgres, "SELECT a$1, cost$x FROM t, f(«:rows»)"),
        (Postgres, r"SELECT E'it\'s :rows', «:rows»"),
        (Postgres, r"SELECT 'a\', «:rows», ':x'"),
        (Postgres, "SELECT a[1:2], b ? 'k', @ -5, f(n := 1), «:rows»"),
        (Postgres, "SELECT a[':rows'], «:rows»"),
        (MariaDb, r"SELECT 'it\'s :rows', «:rows»"),
        (MariaDb, "SELECT 1 # :rows ?\n, «:rows»"),
        (MariaDb, "SELECT 5--3, @x := 1, a$1, «:rows»"),
        (MariaDb, "SELECT 1 -- :rows\n, «:rows»"),
        (MariaDb, r#"SELECT "a\" :rows", `b\`, «:rows»"#),
        (MariaDb, "SELECT `a``:rows`, 'it''s :rows', «:rows»"),
        (MariaDb, "SELECT /* :rows */ /*+ NO_ICP(t) */ «:rows»"),
        (Sqlite, "SELECT r.value ->> '$.account' FROM json_each( «:rows» ) AS r ;  -- done"),
        (Sqlite, "SELECT größe, «:rows»"),
        (Sqlite, "SELECT a-«:rows»-b"),
        (Sqlite, "SELECT '', «:rows»"),
    ];

    #[test]
    fn the_bind_is_found_and_nothing_else_is_taken_for_it() {
        for (engine, marked) in BOUND {
            let sql = marked.replace(['«', '»'], "");
            let open = marked.find('«').unwrap();
            let wanted = format!(
                "{}{}{}",
                &marked[..open],
                placeholder(*engine),
                &marked[marked.find('»').unwrap() + '»'.len_utf8()..]
            );
            assert_eq!(bind_rows("k", &sql, *engine).as_deref(), Ok(wanted.as_str()), "{engine:?}");
        }
    }

    /// Statements that are refused, and what is said about them.
    const REFUSED: &[(Engine, &str, &str)] = &[
        (Sqlite, "SELECT 1", "k: the bind `:rows` is missing"),
        (Sqlite, "", "k: the bind `:rows` is missing"),
        (Sqlite, "SELECT ':rows' -- :rows", "k: the bind `:rows` is missing"),
        (Sqlite, "SELECT :rows,\n  :rows", "k, line 2, column 3: the bind `:rows` may occur"),
        (Sqlite, "SELECT :rows, :other", "k, line 1, column 15: `:other` is a bind"),
        (Sqlite, "SELECT 'ß', :rowsx", "k, line 1, column 13: `:rowsx` is a bind"),
        (Sqlite, "SELECT :ROWS", "k, line 1, column 8: `:ROWS` is a bind"),
        (Sqlite, "SELECT ?, :rows", "k, line 1, column 8: `?` is a bind"),
        (Sqlite, "SELECT ?12, :rows", "k, line 1, column 8: `?12` is a bind"),
        (Sqlite, "SELECT @a, :rows", "k, line 1, column 8: `@a` is a bind"),
        (Sqlite, "SELECT $a, :rows", "k, line 1, column 8: `$a` is a bind"),
        (Sqlite, "SELECT :1, :rows", "k, line 1, column 8: `:1` is a bind"),
        (Postgres, "SELECT $1, :rows", "k, line 1, column 8: `$1` is a bind"),
        (MariaDb, "SELECT ?, :rows", "k, line 1, column 8: `?` is a bind"),
        (Sqlite, "SELECT :rows, 'a", "k, line 1, column 15: `'` is never closed"),
        (Sqlite, "SELECT :rows, [a", "k, line 1, column 15: `[` is never closed"),
        (Sqlite, "SELECT :rows /* a", "k, line 1, column 14: `/*` is never closed"),
        (Postgres, "SELECT /* /* */ :rows", "k, line 1, column 8: `/*` is never closed"),
        (Postgres, "SELECT :rows, $q$ a $$", "k, line 1, column 15: `$q$` is never closed"),
        (MariaDb, r"SELECT :rows, 'a\'", "k, line 1, column 15: `'` is never closed"),
        (MariaDb, "SELECT :rows /*! ; DELETE FROM t */", "k, line 1, column 14: MariaDB runs what"),
        (MariaDb, "SELECT :rows /*M!100100 , 1 */", "k, line 1, column 14: MariaDB runs what"),
        (MariaDb, "SELECT :rows, \"a\\\"", "k, line 1, column 15: `\"` is never closed"),
        (Sqlite, "SELECT :rows; DELETE FROM t", "k, line 1, column 15: only one statement"),
        (Sqlite, "SELECT 1;\nSELECT :rows", "k, line 2, column 1: only one statement"),
        (Sqlite, "SELECT :rows;;", "k, line 1, column 14: only one statement"),
    ];

    #[test]
    fn any_other_bind_or_shape_is_refused_with_its_place() {
        for (engine, sql, said) in REFUSED {
            let error = bind_rows("k", sql, *engine).expect_err(sql).to_string();
            assert!(error.starts_with(said), "{sql}\n{error}\n{said}");
        }
    }
}
