//! What the relay took: notices with their links, codes, confirmations.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use mail_parser::MessageParser;

use crate::form::code_in;

/// What matters of a mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The token of its link.
    pub token: Option<String>,
    /// The code in it.
    pub code: Option<String>,
    /// Whether it says that a password was set.
    pub confirms: bool,
}

/// A Maildir, read as it grows.
pub struct Mails {
    folder: PathBuf,
    read: u64,
    by_address: HashMap<String, Vec<Mail>>,
}

impl Mails {
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), read: 0, by_address: HashMap::new() }
    }

    /// All mails to an address so far, oldest first.
    pub fn to(&mut self, address: &str) -> Result<&[Mail]> {
        self.read_on()?;
        Ok(self.by_address.get(address).map_or(&[], Vec::as_slice))
    }

    fn read_on(&mut self) -> Result<()> {
        let path = self.folder.join("accepted.log");
        let Ok(log) = std::fs::read_to_string(&path) else { return Ok(()) };
        let unread = log.get(usize::try_from(self.read)?..).unwrap_or_default();
        for line in unread.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            self.read += line.len() as u64;
            let columns: Vec<&str> = line.trim_end().split('\t').collect();
            let (id, to) = (columns.first(), columns.get(1));
            let (id, to) =
                (id.context("a line without an id")?, to.context("without a recipient")?);
            let mail = self.mail(id)?;
            self.by_address.entry((*to).to_owned()).or_default().push(mail);
        }
        Ok(())
    }

    fn mail(&self, id: &str) -> Result<Mail> {
        let name = self.folder.join("new").join(format!("{id}.1.sink"));
        let bytes = std::fs::read(&name).with_context(|| format!("no mail {id}"))?;
        let parsed =
            MessageParser::default().parse(&bytes).context("a mail that cannot be read")?;
        let text = parsed.body_text(0).unwrap_or_default().into_owned();
        let token = text.split("#fw1_").nth(1).map(|rest| {
            let is_of_it = |part: &char| part.is_ascii_alphanumeric() || matches!(part, '-' | '_');
            format!("fw1_{}", rest.chars().take_while(is_of_it).collect::<String>())
        });
        let code = code_in(&text);
        let confirms = token.is_none() && code.is_none();
        Ok(Mail { token, code, confirms })
    }
}
