//! Which key of a table a refusal means, read from its words.

use toml::de::DeValue;

use super::Problems;
use super::tree::{self, Path};

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
        let quoted = below.iter().find(|(_, word)| message.contains(&format!("`{word}`")));
        quoted.map_or_else(|| path.clone(), |(rest, _)| path.join(rest))
    }
}
