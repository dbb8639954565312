//! SQL text cut into the few sorts of token that matter to whoever must find a bind or the end of a
//! statement in it, as each engine reads quotes, comments and dollars. It knows no grammar.

use super::Engine;

/// What a piece of SQL text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// White space or a comment.
    Blank,
    /// A comment that the engine runs: MariaDB's `/*!` and `/*M!`.
    Executed,
    /// A semicolon.
    End,
    /// Any bind, `:rows` among them.
    Bind,
    /// A name, key word or number.
    Word,
    /// Everything else: quoted text and names, operators.
    Other,
}

/// Walks byte by byte; every boundary it stops at lies beside an ASCII byte or a whole word.
#[derive(Debug)]
pub struct Scanner<'a> {
    sql: &'a str,
    at: usize,
    engine: Engine,
}

/// A quote, bracket or comment that is never closed; the scanner stands behind its opener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclosed;

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `sql`. On MariaDB backslashes escape and `"` quotes text: whoever
    /// runs the statement sets `sql_mode` so.
    pub fn new(sql: &'a str, engine: Engine) -> Self {
        Self { sql, at: 0, engine }
    }

    /// Where it stands, in bytes: behind the token that was read last.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether all was read.
    pub fn is_done(&self) -> bool {
        self.at >= self.sql.len()
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.sql.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next token.
    pub fn token(&mut self) -> Result<Token, Unclosed> {
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
            (b'/', b'*') if self.is_executed() => self.until("/*", "*/", Token::Executed),
            (b'/', b'*') => self.until("/*", "*/", Token::Blank),
            (b'$', _) => self.dollar(),
            (b':', _) => Ok(self.colon()),
            (b'?', _) if engine != Engine::Postgres => Ok(self.named(1)),
            (b'@', next) if engine == Engine::Sqlite && is_word(next) => Ok(self.named(1)),
            (first, _) if is_word(first) => self.word(),
            _ => Ok(self.take(1, Token::Other)),
        }
    }

    fn is_executed(&self) -> bool {
        let inside = &self.sql.as_bytes()[self.at + 2..];
        self.engine == Engine::MariaDb && (inside.starts_with(b"!") || inside.starts_with(b"M!"))
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
    fn word(&mut self) -> Result<Token, Unclosed> {
        let start = self.at;
        self.named(0);
        let escapes = self.engine == Engine::Postgres
            && self.sql[start..self.at].eq_ignore_ascii_case("e")
            && self.byte(0) == b'\'';
        if escapes { self.quoted(b'\'', true) } else { Ok(Token::Word) }
    }

    /// Quoted text; the quote inside it is doubled, or escaped where `backslash` says so.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Result<Token, Unclosed> {
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
        Err(Unclosed)
    }

    /// Everything from `opener` to `closer`.
    fn until(&mut self, opener: &str, closer: &str, token: Token) -> Result<Token, Unclosed> {
        self.at += opener.len();
        let length = self.sql[self.at..].find(closer).ok_or(Unclosed)?;
        Ok(self.take(length + closer.len(), token))
    }

    /// A comment to the end of its line.
    fn line(&mut self) -> Token {
        let rest = &self.sql[self.at..];
        let length = rest.find('\n').unwrap_or(rest.len());
        self.take(length, Token::Blank)
    }

    fn nested_comment(&mut self) -> Result<Token, Unclosed> {
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
        Err(Unclosed)
    }

    /// `$1` or `$name` is a bind, `$tag$…$tag$` is text on Postgres.
    fn dollar(&mut self) -> Result<Token, Unclosed> {
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

    #[test]
    fn odd_bytes_at_any_cut_never_panic() {
        let text = "E'\\é' $é$ :é \"é [é /* é -- é\n `é ?é @é #é /*!é */";
        for engine in [Sqlite, Postgres, MariaDb] {
            for (from, _) in text.char_indices() {
                for (to, _) in text[from..].char_indices() {
                    let mut scanner = Scanner::new(&text[from..from + to], engine);
                    while !scanner.is_done() && scanner.token().is_ok() {}
                }
            }
        }
    }

    #[test]
    fn a_comment_that_mariadb_runs_is_no_blank() {
        for (text, engine, token) in [
            ("/*! ; DROP TABLE t */", MariaDb, Token::Executed),
            ("/*M!100100 x */", MariaDb, Token::Executed),
            ("/* ! */", MariaDb, Token::Blank),
            ("/*+ hint */", MariaDb, Token::Blank),
            ("/*! x */", Sqlite, Token::Blank),
            ("/*! x */", Postgres, Token::Blank),
        ] {
            assert_eq!(Scanner::new(text, engine).token(), Ok(token), "{text}");
        }
    }
}
