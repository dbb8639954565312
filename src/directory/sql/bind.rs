//! The one bind of a directory statement: finds `:rows` where it is a bind and not text, a name
//! or a comment, and puts the engine's placeholder there. It knows no values and runs nothing.

use thiserror::Error;

use super::engine::Engine;

/// Why a statement was refused. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BindError {
    /// There is no `:rows`.
    #[error(
        "{key}: the bind `:rows` is missing; hint: read the accounts from it, on SQLite as \
         `json_each(:rows)`"
    )]
    Missing {
        /// The statement's key.
        key: String,
    },
    /// `:rows` occurs again.
    #[error("{key}, line {line}, column {column}: the bind `:rows` may occur only once")]
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
    #[error("{key}, line {line}, column {column}: `{opener}` is never closed")]
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
    /// Something follows the statement's end.
    #[error("{key}, line {line}, column {column}: only one statement may stand here")]
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
    let mut scanner = Scanner { sql, at: 0, engine };
    let (mut found, mut ended) = (None, false);
    while scanner.at < sql.len() {
        let start = scanner.at;
        let (line, column) = position(sql, start);
        let key = || key.to_owned();
        let token = scanner.next().map_err(|()| BindError::Unclosed {
            key: key(),
            opener: sql[start..scanner.at].to_owned(),
            line,
            column,
        })?;
        match token {
            Token::Blank => {}
            _ if ended => {
                return Err(BindError::SecondStatement { key: key(), line, column });
            }
            Token::End => ended = true,
            Token::Bind if &sql[start..scanner.at] != ":rows" => {
                let bind = sql[start..scanner.at].to_owned();
                return Err(BindError::Foreign { key: key(), bind, line, column });
            }
            Token::Bind if found.is_some() => {
                return Err(BindError::Twice { key: key(), line, column });
            }
            Token::Bind => found = Some(start..scanner.at),
            Token::Other => {}
        }
    }
    let range = found.ok_or_else(|| BindError::Missing { key: key.to_owned() })?;
    let mut bound = sql.to_owned();
    bound.replace_range(range, engine.placeholder());
    Ok(bound)
}

fn position(sql: &str, at: usize) -> (usize, usize) {
    let before = &sql[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// White space or a comment.
    Blank,
    /// A semicolon.
    End,
    /// Any bind, `:rows` among them.
    Bind,
    /// Everything else: words, numbers, quoted text, operators.
    Other,
}

/// Walks byte by byte; every boundary it stops at lies beside an ASCII byte or a whole word.
struct Scanner<'a> {
    sql: &'a str,
    at: usize,
    engine: Engine,
}

impl Scanner<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.sql.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next token. On `Err` something is never closed, and `at` stands behind its opener.
    fn next(&mut self) -> Result<Token, ()> {
        let engine = self.engine;
        let backslash = engine == Engine::MariaDb;
        match (self.byte(0), self.byte(1)) {
            (space, _) if space.is_ascii_whitespace() => Ok(self.take(1, Token::Blank)),
            (b';', _) => Ok(self.take(1, Token::End)),
            (b'\'', _) => self.quoted(b'\'', backslash),
            (b'"', _) => self.quoted(b'"', backslash),
            (b'`', _) if engine != Engine::Postgres => self.quoted(b'`', false),
            (b'[', _) if engine == Engine::Sqlite => self.until("[", "]", Token::Other),
            (b'-', b'-') if engine != Engine::MariaDb || self.byte(2) <= b' ' => Ok(self.line()),
            (b'#', _) if engine == Engine::MariaDb => Ok(self.line()),
            (b'/', b'*') if engine == Engine::Postgres => self.nested_comment(),
            (b'/', b'*') => self.until("/*", "*/", Token::Blank),
            (b'$', _) => self.dollar(),
            (b':', _) => Ok(self.colon()),
            (b'?', _) if engine != Engine::Postgres => Ok(self.named(1)),
            (b'@', next) if engine == Engine::Sqlite && is_word(next) => Ok(self.named(1)),
            (first, _) if is_word(first) => self.word(),
            _ => Ok(self.take(1, Token::Other)),
        }
    }

    fn take(&mut self, bytes: usize, token: Token) -> Token {
        self.at += bytes;
        token
    }

    /// A bind: its sigil and the word behind it.
    fn named(&mut self, sigil: usize) -> Token {
        self.at += sigil;
        while is_word(self.byte(0)) || self.byte(0) == b'$' {
            self.at += 1;
        }
        Token::Bind
    }

    /// A name, key word or number, whole, so that no dollar sign inside it looks like a bind.
    fn word(&mut self) -> Result<Token, ()> {
        let start = self.at;
        self.named(0);
        let escapes = self.engine == Engine::Postgres
            && self.sql[start..self.at].eq_ignore_ascii_case("e")
            && self.byte(0) == b'\'';
        if escapes { self.quoted(b'\'', true) } else { Ok(Token::Other) }
    }

    /// Quoted text; the quote inside it is doubled, or escaped where `backslash` says so.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Result<Token, ()> {
        self.at += 1;
        let opened = self.at;
        while self.at < self.sql.len() {
            match self.byte(0) {
                b'\\' if backslash => self.at += 2,
                byte if byte == quote && self.byte(1) == quote => self.at += 2,
                byte if byte == quote => return Ok(self.take(1, Token::Other)),
                _ => self.at += 1,
            }
        }
        self.at = opened;
        Err(())
    }

    /// Everything from `opener` to `closer`.
    fn until(&mut self, opener: &str, closer: &str, token: Token) -> Result<Token, ()> {
        self.at += opener.len();
        let length = self.sql[self.at..].find(closer).ok_or(())?;
        Ok(self.take(length + closer.len(), token))
    }

    /// A comment to the end of its line.
    fn line(&mut self) -> Token {
        let rest = &self.sql[self.at..];
        let length = rest.find('\n').unwrap_or(rest.len());
        self.take(length, Token::Blank)
    }

    fn nested_comment(&mut self) -> Result<Token, ()> {
        let opened = self.at + 2;
        let mut depth = 0_usize;
        while self.at < self.sql.len() {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => (self.at, depth) = (self.at + 2, depth + 1),
                (b'*', b'/') => {
                    (self.at, depth) = (self.at + 2, depth - 1);
                    if depth == 0 {
                        return Ok(Token::Blank);
                    }
                }
                _ => self.at += 1,
            }
        }
        self.at = opened;
        Err(())
    }

    /// `$1` or `$name` is a bind, `$tag$…$tag$` is text on Postgres.
    fn dollar(&mut self) -> Result<Token, ()> {
        if self.engine == Engine::Postgres && !self.byte(1).is_ascii_digit() {
            let rest = &self.sql[self.at + 1..];
            let tag = rest.bytes().take_while(|byte| is_word(*byte)).count();
            if rest.as_bytes().get(tag) != Some(&b'$') {
                return Ok(self.take(1, Token::Other));
            }
            let fence = &self.sql[self.at..self.at + tag + 2];
            return self.until(fence, fence, Token::Other);
        }
        match self.engine {
            Engine::MariaDb => self.word(),
            _ => Ok(self.named(1)),
        }
    }

    /// `::` casts, `:=` assigns, a digit is the upper bound of a slice; a word makes a bind.
    fn colon(&mut self) -> Token {
        match self.byte(1) {
            b':' | b'=' => self.take(2, Token::Other),
            next if next.is_ascii_digit() && self.engine != Engine::Sqlite => {
                self.take(1, Token::Other)
            }
            next if is_word(next) => self.named(1),
            _ => self.take(1, Token::Other),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
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
                engine.placeholder(),
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

    #[test]
    fn odd_bytes_at_any_cut_never_panic() {
        let text = "E'\\é' $é$ :é \"é [é /* é -- é\n `é ?é @é #é";
        for engine in [Sqlite, Postgres, MariaDb] {
            for (from, _) in text.char_indices() {
                for (to, _) in text[from..].char_indices() {
                    let _ = bind_rows("k", &text[from..from + to], engine);
                }
            }
        }
    }
}
