//! Which key of a table a refusal means, read from its words.

use toml::de::DeValue;

use super::Problems;
use super::tree::{self, OURS, Path};

impl Problems<'_> {
    /// The key a refusal of a whole table speaks of, as far as its words name one.
    pub(super) fn narrowed(&self, path: &Path, message: &str) -> Path {
        let root = self.root.as_ref();
        let Some(value) = root.and_then(|root| tree::find(root, path)).map(|found| found.value)
        else {
            return path.clone();
        };
        if !matches!(value, None | Some(DeValue::Table(_) | DeValue::Array(_))) {
            return path.clone();
        }
        // the hint speaks of what should be, not of what is
        let message = message.split("; hint: ").next().unwrap_or(message);
        let is_end = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-' || c == '.');
        let tokens = message.split(is_end).map(|word| word.trim_matches('.'));
        let words: Vec<&str> = tokens.filter(|word| !word.is_empty()).collect();
        let exists = |path: &Path| root.and_then(|root| tree::find(root, path)).is_some();
        let of_word = |word: &&str| {
            let below = path.join(&Path::read(word));
            [below, Path::read(word)]
                .into_iter()
                .find(|way| path != way && path.covers(way) && exists(way))
        };
        let named = words.iter().filter_map(of_word).max_by_key(|way| way.0.len());
        let way = named.unwrap_or_else(|| path.clone());
        self.item_named(&way, message)
    }

    /// A text or key below a path that the message quotes.
    fn item_named(&self, path: &Path, message: &str) -> Path {
        let root = self.root.as_ref();
        let found = root.and_then(|root| tree::find(root, path));
        let below = match found.and_then(|found| found.value) {
            Some(value) => tree::below(value),
            None => Vec::new(),
        };
        let is_quoted = |(_, word): &&(Path, String)| message.contains(&format!("`{word}`"));
        let quoted: Vec<Path> =
            below.iter().filter(is_quoted).map(|(rest, _)| path.join(rest)).collect();
        // a list's item that we put in may quarrel with one that was there before
        let is_ours = |path: &&Path| {
            root.and_then(|root| tree::find(root, path)).is_some_and(|found| found.span == OURS)
        };
        quoted.iter().find(is_ours).or(quoted.first()).unwrap_or(path).clone()
    }
}
