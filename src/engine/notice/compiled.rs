//! The last notice that was compiled, kept by the engine: a plan, its samples, its census and two signatures
//! ask for the same one within seconds, and checking it against every variant costs most of their time.

use std::sync::{Mutex, PoisonError};

use crate::engine::EngineError;
use crate::engine::plan::Parts;
use crate::render::{NoticeSpec, Templates};
use crate::secret::digest::{Digest, LpBuilder, sha256};

/// The last notice that was compiled and checked, with a digest of all it was made of.
#[derive(Debug, Default)]
pub struct LastNotice(Mutex<Option<(Digest, Templates)>>);

impl LastNotice {
    /// Compiles and checks these files, unless they and the spec are the last ones' byte for byte;
    /// `with_links`, how they show a personal link too.
    pub(super) fn compiled(
        &self,
        spec: NoticeSpec<'_>,
        files: &Parts,
        with_links: bool,
    ) -> Result<Templates, EngineError> {
        let key = key(spec, files, with_links);
        let last = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = last().as_ref().filter(|(of, _)| *of == key) {
            return Ok(known.clone());
        }
        let templates = Templates::compile(spec, files)?;
        if with_links {
            templates.check_links()?;
        }
        *last() = Some((key, templates.clone()));
        Ok(templates)
    }
}

fn key(spec: NoticeSpec<'_>, files: &Parts, with_links: bool) -> Digest {
    let all = if spec.languages.is_none() { b"all".as_slice() } else { b"only" };
    let links = if with_links { b"links".as_slice() } else { b"no links" };
    let mut key = LpBuilder::new().lp(spec.notice.as_bytes()).lp(all).lp(links);
    for language in spec.languages.unwrap_or_default() {
        key = key.lp(b"language").lp(language.as_bytes());
    }
    for (name, kind) in spec.fields {
        key = key.lp(b"field").lp(name.as_bytes()).lp(format!("{kind:?}").as_bytes());
    }
    for (name, bytes) in files {
        key = key.lp(b"file").lp(name.as_bytes()).lp(bytes);
    }
    sha256(&key.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::field::FieldType;

    #[test]
    fn whatever_a_notice_is_compiled_from_changes_the_key() {
        let none = BTreeMap::new();
        let fields = BTreeMap::from([("product".to_owned(), FieldType::Text)]);
        let files = Parts::from([("a".to_owned(), b"b".to_vec())]);
        let spec = NoticeSpec { notice: "n", languages: Some(&["en"]), fields: &none };
        let other = Parts::from([("a".to_owned(), b"c".to_vec())]);
        let keys = [
            key(spec, &files, false),
            key(spec, &files, true),
            key(spec, &other, false),
            key(NoticeSpec { notice: "m", ..spec }, &files, false),
            key(NoticeSpec { languages: Some(&["en", "fr"]), ..spec }, &files, false),
            key(NoticeSpec { languages: None, ..spec }, &files, false),
            key(NoticeSpec { fields: &fields, ..spec }, &files, false),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(one), "{at}");
        }
    }
}
