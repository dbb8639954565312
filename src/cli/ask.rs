//! Questions: passwords, and whether to go on. A password comes from a file, the environment or a
//! prompt, never from the command line.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::count;
use super::{CliError, context::Context};
use crate::config::env::PASSWORDS;
use crate::engine::Engine;
use crate::engine::launch::Typed;
use crate::engine::operators::{Person, Signer};
use crate::secret::password::Password;

/// Whose password is wanted, and where it may come from besides a prompt.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) file: Option<&'a Path>,
    pub(super) variable: &'static str,
    /// A new password is typed twice.
    pub(super) is_new: bool,
}

impl<'a> Wanted<'a> {
    /// The password of the one operator a command asks for.
    pub(super) fn of(name: &'a str, file: Option<&'a PathBuf>) -> Self {
        Self { name, file: file.map(PathBuf::as_path), variable: PASSWORDS[0], is_new: false }
    }
}

/// The operator whose signature a command needs.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// The operator who signs
    #[arg(long, value_name = "NAME")]
    operator: String,
    /// A file with the operator's password; else `FORTHWITH_PASSWORD`, else a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Signing {
    /// Whose password the command asks for.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted::of(&self.operator, self.password_file.as_ref())
    }
}

/// An act that is signed with its reason, after a question.
#[derive(Debug, Args)]
pub(super) struct SignedAct {
    /// Why; kept with the signature
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) signing: Signing,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

impl Context<'_> {
    /// A person with their password.
    pub(super) fn person(&self, wanted: &Wanted<'_>) -> Result<Person, CliError> {
        let name = wanted.name.to_owned();
        if let Some(path) = wanted.file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| CliError::File { path: path.display().to_string(), source })?;
            return Ok(Person { name, password: first_line(text, path)? });
        }
        if let Some(text) = self.variables.get(wanted.variable) {
            return Ok(Person { name, password: Password::new(text.to_owned()) });
        }
        Ok(Person { name, password: typed(wanted)? })
    }

    /// An operator whose password opened their key.
    pub(super) async fn signer(
        &self,
        engine: &Engine,
        wanted: &Wanted<'_>,
    ) -> Result<Signer, CliError> {
        Ok(engine.signer(self.person(wanted)?).await?)
    }

    /// Goes on if the answer is yes; `yes` answers beforehand.
    pub(super) fn confirm(&self, question: &str, yes: bool) -> Result<(), CliError> {
        if yes {
            return Ok(());
        }
        let answer = self.answer(&format!("{question} [y/N] "), "`--yes`")?;
        if matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes") {
            Ok(())
        } else {
            Err(CliError::Declined)
        }
    }

    /// Before the living are touched, the campaign's name and head count are typed (promise 14).
    pub(super) fn confirm_live(
        &self,
        name: &str,
        heads: u64,
        act: &str,
        yes: bool,
    ) -> Result<(), CliError> {
        if yes {
            return Ok(());
        }
        self.printer.say(&format!("This is LIVE: it will {act} for {} people.", count(heads)));
        let answer =
            self.answer("Type the campaign's name and the head count to go on: ", "`--yes`")?;
        if is_name_and_count(&answer, name, heads) { Ok(()) } else { Err(CliError::Declined) }
    }

    /// What somebody types to let a live campaign loose. `--yes` is no answer to this.
    pub(super) fn typed_launch(&self, heads: u64, act: &str) -> Result<Typed, CliError> {
        self.printer.say(&format!("This is LIVE: it will {act} for {} people.", count(heads)));
        let answer = self.answer(
            "Type the campaign's name and the head count to go on: ",
            "`--launch \"NAME COUNT\"`",
        )?;
        answer.parse().map_err(|problem: String| CliError::refused(problem))
    }

    fn answer(&self, question: &str, instead: &str) -> Result<String, CliError> {
        if !io::stdin().is_terminal() {
            return Err(CliError::refused(format!(
                "this asks before it acts, and there is no terminal to ask on; hint: {instead}"
            )));
        }
        self.printer.ask(question);
        read_line()
    }

    /// Who is meant: as named, or for `-` as typed, so that an address need not stand on the command
    /// line, where every process of the machine can read it.
    pub(super) fn who(&self, named: &str) -> Result<String, CliError> {
        self.typed_if_dash(named, "Number, account or address: ")
    }

    /// What was named, or for `-` what is typed.
    pub(super) fn typed_if_dash(&self, named: &str, question: &str) -> Result<String, CliError> {
        if named != "-" {
            return Ok(named.to_owned());
        }
        if io::stdin().is_terminal() {
            self.printer.ask(question);
        }
        read_line()
    }
}

fn read_line() -> Result<String, CliError> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|source| CliError::File { path: "standard input".into(), source })?;
    Ok(line.trim().to_owned())
}

fn is_name_and_count(answer: &str, name: &str, heads: u64) -> bool {
    let mut words = answer.split_whitespace();
    let named = words.next() == Some(name);
    let counted = words.next().map(|word| word.replace([',', '.', '_'], ""));
    named && counted.as_deref() == Some(heads.to_string().as_str()) && words.next().is_none()
}

/// A file's one line without its end; spaces belong to the password.
fn first_line(mut text: String, path: &Path) -> Result<Password, CliError> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    // The text moves into the password, which is wiped; a refused one is wiped the same way.
    let password = Password::new(text);
    if password.expose().is_empty() || password.expose().contains('\n') {
        return Err(CliError::refused(format!(
            "`{}` does not hold a password on one line; hint: the password alone, on its first line",
            path.display()
        )));
    }
    Ok(password)
}

fn typed(wanted: &Wanted<'_>) -> Result<Password, CliError> {
    let prompt = |text: String| {
        rpassword::prompt_password(text).map(Password::new).map_err(|error| {
            CliError::refused(format!(
                "cannot ask for the password of `{}` here ({error}); hint: `--password-file FILE`, \
                 or {}",
                wanted.name, wanted.variable
            ))
        })
    };
    if !wanted.is_new {
        return prompt(format!("Password of {}: ", wanted.name));
    }
    let first = prompt(format!("New password of {}: ", wanted.name))?;
    let second = prompt(format!("Once more, the password of {}: ", wanted.name))?;
    if first.expose() == second.expose() {
        Ok(first)
    } else {
        Err(CliError::refused("the two were not the same; hint: try again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Printer;
    use crate::config::Variables;

    #[test]
    fn a_password_is_taken_from_its_file_then_from_its_variable() {
        let (printer, _) = Printer::recording();
        let variables = Variables::of([("FORTHWITH_PASSWORD", "from the air")]).unwrap();
        let context = Context::new(None, variables, &printer);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " from the file \r\n").unwrap();
        let path = file.path().to_owned();
        let read = context.person(&Wanted::of("ann", Some(&path))).unwrap();
        assert_eq!((read.name.as_str(), read.password.expose()), ("ann", " from the file "));
        let read = context.person(&Wanted::of("ann", None)).unwrap();
        assert_eq!(read.password.expose(), "from the air");
        std::fs::write(file.path(), "one\ntwo\n").unwrap();
        let refused = context.person(&Wanted::of("ann", Some(&path))).unwrap_err().to_string();
        assert!(refused.contains("one line") && !refused.contains("two"), "{refused}");
    }

    #[test]
    fn the_living_are_confirmed_by_name_and_number() {
        for (answer, is_it) in [
            ("spring 9950", true),
            ("spring 9,950", true),
            ("spring", false),
            ("9950", false),
            ("spring 9951", false),
            ("spring 9950 yes", false),
            ("y", false),
        ] {
            assert_eq!(is_name_and_count(answer, "spring", 9_950), is_it, "{answer}");
        }
    }
}
