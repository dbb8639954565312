//! Whether a query is one SELECT and nothing else, as its engine reads it. It runs nothing.

use crate::domain::database::Engine;
use crate::domain::database::token::{Scanner, Token, Unclosed};

const UNCLOSED: &str = "has a quote or comment without an end; hint: close it";
const SEVERAL: &str = "holds more than one statement; hint: leave the SELECT alone in it";
const NO_SELECT: &str =
    "is not a SELECT; hint: begin it with SELECT or WITH, since the database is only read";

/// The query without its closing semicolon, if it is one SELECT, with or without a WITH.
pub fn one_select(query: &str, engine: Engine) -> Result<&str, &'static str> {
    let (mut first, mut end) = (None, None);
    let mut scanner = Scanner::new(query, engine);
    while !scanner.is_done() {
        let start = scanner.at();
        let token = scanner.token().map_err(|Unclosed| UNCLOSED)?;
        match token {
            Token::Blank => {}
            Token::End => {
                end.get_or_insert(start);
            }
            _ if end.is_some() => return Err(SEVERAL),
            Token::Bind => return Err("has a parameter; hint: write the value into the query"),
            Token::Executed => {
                return Err("has a comment that MariaDB runs; hint: write it as /* … */");
            }
            Token::Word | Token::Other => {
                first.get_or_insert(&query[start..scanner.at()]);
            }
        }
    }
    match first.map(str::to_ascii_lowercase).as_deref() {
        Some("select" | "with") => Ok(query[..end.unwrap_or(query.len())].trim()),
        _ => Err(NO_SELECT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Engine::{MariaDb, Postgres, Sqlite};

    #[test]
    fn one_select_and_nothing_else() {
        let (unclosed, several) = (Err(UNCLOSED), Err(SEVERAL));
        for (engine, query, taken) in [
            (Sqlite, "SELECT 1", Ok("SELECT 1")),
            (
                Sqlite,
                "  with x as (select 1) select * from x ;; ",
                Ok("with x as (select 1) select * from x"),
            ),
            (Sqlite, "-- a; b\nSELECT ';' /* ; */ -- ;", Ok("-- a; b\nSELECT ';' /* ; */ -- ;")),
            (
                Sqlite,
                "SELECT 'it''s; x', \"a;b\", [c;d], `e;f`",
                Ok("SELECT 'it''s; x', \"a;b\", [c;d], `e;f`"),
            ),
            (Sqlite, "SELECT é", Ok("SELECT é")),
            (Sqlite, "(SELECT 1)", Err(NO_SELECT)),
            (Sqlite, "SELECTED", Err(NO_SELECT)),
            (Sqlite, "-- SELECT 1", Err(NO_SELECT)),
            (Sqlite, "", Err(NO_SELECT)),
            (Sqlite, "; SELECT 1", several),
            (Sqlite, "SELECT 1; 'x'", several),
            (Sqlite, "SELECT 'x\\'; DELETE FROM y --'", several),
            (MariaDb, "SELECT 'x\\'; DELETE FROM y --'", Ok("SELECT 'x\\'; DELETE FROM y --'")),
            (MariaDb, "SELECT 1 # ; DELETE", Ok("SELECT 1 # ; DELETE")),
            (Sqlite, "SELECT 'x", unclosed),
            (Postgres, "SELECT $x$ ; $x$, a::text", Ok("SELECT $x$ ; $x$, a::text")),
            (Postgres, "SELECT $$;$$ ; SELECT 2", several),
            (Postgres, "SELECT E'\\'; DELETE FROM y --'", Ok("SELECT E'\\'; DELETE FROM y --'")),
            (Postgres, "SELECT '\\'; DELETE FROM y --'", several),
        ] {
            assert_eq!(one_select(query, engine), taken, "{engine:?}: {query}");
        }
        for (engine, query) in [
            (Sqlite, "SELECT ?"),
            (Sqlite, "SELECT :id"),
            (Postgres, "SELECT $1"),
            (MariaDb, "SELECT ?"),
        ] {
            let said = one_select(query, engine).unwrap_err();
            assert!(said.starts_with("has a parameter"), "{query}: {said}");
        }
        let said = one_select("SELECT 1 /*! ; COMMIT; DELETE FROM y */", MariaDb).unwrap_err();
        assert!(said.starts_with("has a comment that MariaDB runs"), "{said}");
    }
}
