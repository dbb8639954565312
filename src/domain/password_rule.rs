//! Which passwords people may choose: NIST SP 800-63B-4 §3.1.1.2 and OWASP ASVS 5.0 §6.2.
//!
//! Length, and what a guesser tries first; no rule of composition, which both forbid. Any character may
//! stand in a password but a control character: some log-in pages end the password there. Counted are
//! Unicode code points, as NIST counts them.

/// The most code points: four times what NIST asks to accept.
pub const LONGEST: usize = 256;
/// The fewest where the password is the only proof of who somebody is.
pub const SHORTEST: usize = 15;
/// The fewest where a second proof stands beside it that was not stolen.
pub const SHORTEST_WITH_MFA: usize = 8;

/// Guesses, as a power of ten, that somebody needs who knows the person: fewer are tried online within
/// days.
const FEWEST_GUESSES: f64 = 8.0;
/// Letters and digits beside known words that make a password of its own.
const SHORTEST_REST: usize = 8;
/// Shorter words are no hint of what a password was made of.
const SHORTEST_WORD: usize = 4;

/// What a password is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordRule {
    /// The fewest code points.
    pub shortest: usize,
    /// The most bytes that the directory's form reads, where it has a bound.
    pub longest_bytes: Option<usize>,
    /// Words of the brand: its name, its site.
    pub brand: Vec<String>,
}

/// Why a password may not be chosen. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefusal {
    /// Too few characters.
    #[error("too short: at least {least} characters")]
    TooShort {
        /// The fewest.
        least: usize,
    },
    /// Too many.
    #[error("too long: at most {most} {}", if *bytes { "bytes" } else { "characters" })]
    TooLong {
        /// The most.
        most: usize,
        /// Counted in bytes.
        bytes: bool,
    },
    /// A control character, which some log-in pages take for the end.
    #[error("holds a control character")]
    Control,
    /// It is made of the brand's words.
    #[error("made of the brand's name or address")]
    Brand,
    /// It is made of the person's own data.
    #[error("made of the person's own name or address")]
    Own,
    /// It is among what everybody tries first.
    #[error("among those that are tried first")]
    Common,
    /// It is known from a breach.
    #[error("known from a breach")]
    Breached,
    /// It is the one that was stolen.
    #[error("the one that was stolen")]
    Stolen,
}

impl PasswordRule {
    /// Whether somebody may choose this password. `own` holds words that belong to them: name, account,
    /// address.
    pub fn check(&self, password: &str, own: &[String]) -> Result<(), PasswordRefusal> {
        let characters = password.chars().count();
        if characters < self.shortest {
            return Err(PasswordRefusal::TooShort { least: self.shortest });
        }
        if characters > LONGEST {
            return Err(PasswordRefusal::TooLong { most: LONGEST, bytes: false });
        }
        if let Some(most) = self.longest_bytes.filter(|most| password.len() > *most) {
            return Err(PasswordRefusal::TooLong { most, bytes: true });
        }
        if password.chars().any(char::is_control) {
            return Err(PasswordRefusal::Control);
        }
        let (brand, own) = (words(&self.brand), words(own));
        let known: Vec<&str> = brand.iter().chain(&own).map(String::as_str).collect();
        let lower = password.to_lowercase();
        let holds = |words: &[String]| words.iter().any(|word| lower.contains(word.as_str()));
        let is_guessed = zxcvbn::zxcvbn(password, &known).guesses_log10() < FEWEST_GUESSES;
        let is_known = (holds(&own) || holds(&brand)) && rest(&lower, &known) < SHORTEST_REST;
        if !is_guessed && !is_known {
            return Ok(());
        }
        Err(if holds(&own) {
            PasswordRefusal::Own
        } else if holds(&brand) {
            PasswordRefusal::Brand
        } else {
            PasswordRefusal::Common
        })
    }
}

/// How many letters and digits are left without these words.
fn rest(password: &str, known: &[&str]) -> usize {
    let mut rest = password.to_owned();
    let mut longest_first = known.to_vec();
    longest_first.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
    for word in longest_first {
        rest = rest.replace(word, " ");
    }
    rest.chars().filter(|character| character.is_alphanumeric()).count()
}

/// The words of some texts in lower case, each text whole as well.
fn words(texts: &[String]) -> Vec<String> {
    let mut found: Vec<String> = texts
        .iter()
        .flat_map(|text| {
            let lower = text.to_lowercase();
            let parts = lower.split(|character: char| !character.is_alphanumeric());
            let parts: Vec<String> = parts.map(str::to_owned).collect();
            parts.into_iter().chain([lower])
        })
        .filter(|word| word.chars().count() >= SHORTEST_WORD)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> PasswordRule {
        PasswordRule {
            shortest: SHORTEST,
            longest_bytes: None,
            brand: vec!["Northwind Traders".into(), "www.northwind.example".into()],
        }
    }

    fn check(password: &str) -> Result<(), PasswordRefusal> {
        rule().check(password, &["Ann Lefèvre".into(), "ann.lefevre@mail.example".into()])
    }

    #[test]
    fn what_a_guesser_tries_first_is_refused_with_its_reason() {
        for (password, refusal) in [
            ("a short one", PasswordRefusal::TooShort { least: 15 }),
            ("passwordpassword", PasswordRefusal::Common),
            ("123456789012345", PasswordRefusal::Common),
            ("aaaaaaaaaaaaaaaaaaaa", PasswordRefusal::Common),
            ("northwindnorthwind", PasswordRefusal::Brand),
            ("NorthwindTraders1", PasswordRefusal::Brand),
            ("lefevre.lefevre", PasswordRefusal::Own),
            ("ann.lefevre@mail.example", PasswordRefusal::Own),
            ("harbour\u{0} lantern fig", PasswordRefusal::Control),
        ] {
            assert_eq!(check(password), Err(refusal), "{password}");
        }
        let long = "ä".repeat(300);
        assert_eq!(check(&long), Err(PasswordRefusal::TooLong { most: LONGEST, bytes: false }));
    }

    #[test]
    fn long_ones_of_any_characters_are_taken() {
        for password in [
            "harbour lantern fig",
            "grüne Äpfel im Schuppen",
            "パスワードではない十五文字の言葉です",
            "🦊🐙🌵🍋🚲🎻🧭🪁🛶🧶🪴🎈🧊🪵🐌",
            "northwind sells violet umbrellas",
        ] {
            assert_eq!(check(password), Ok(()), "{password}");
        }
        let sixty_four = "harbour lantern fig violet umbrella gravel tulip mosaic ferry, 9";
        assert_eq!((sixty_four.chars().count(), check(sixty_four)), (64, Ok(())));
    }

    #[test]
    fn a_form_that_reads_few_bytes_takes_no_longer_one() {
        let rule = PasswordRule { longest_bytes: Some(72), ..rule() };
        let long = "harbour lantern fig violet umbrella gravel tulip mosaic ferry nine stones";
        assert_eq!(rule.check(long, &[]), Err(PasswordRefusal::TooLong { most: 72, bytes: true }));
    }

    #[test]
    fn eight_are_enough_beside_a_second_proof() {
        let rule = PasswordRule { shortest: SHORTEST_WITH_MFA, ..rule() };
        assert_eq!(rule.check("vQ9#rLx2", &[]), Ok(()));
        assert_eq!(rule.check("password", &[]), Err(PasswordRefusal::Common));
    }
}
