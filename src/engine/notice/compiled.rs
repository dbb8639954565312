//! The last notice that was compiled, kept: a plan, its samples, its census and two signatures ask for the
//! same one within seconds, and checking it against every variant costs most of their time.

use std::sync::{Mutex, PoisonError};

use crate::engine::EngineError;
use crate::engine::plan::Parts;
use crate::render::{NoticeSpec, Templates};
use crate::secret::digest::{Digest, LpBuilder, sha256};

static LAST: Mutex<Option<(Digest, Templates)>> = Mutex::new(None);

/// Compiles and checks these files, unless they and the spec are the last ones' byte for byte.
pub(super) fn compiled(spec: NoticeSpec<'_>, files: &Parts) -> Result<Templates, EngineError> {
    let key = key(spec, files);
    let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = last().as_ref().filter(|(of, _)| *of == key) {
        return Ok(known.clone());
    }
    let templates = Templates::compile(spec, files)?;
    *last() = Some((key, templates.clone()));
    Ok(templates)
}

fn key(spec: NoticeSpec<'_>, files: &Parts) -> Digest {
    let all = if spec.languages.is_none() { b"all".as_slice() } else { b"only" };
    let mut key = LpBuilder::new().lp(spec.notice.as_bytes()).lp(all);
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
            key(spec, &files),
            key(spec, &other),
            key(NoticeSpec { notice: "m", ..spec }, &files),
            key(NoticeSpec { languages: Some(&["en", "fr"]), ..spec }, &files),
            key(NoticeSpec { languages: None, ..spec }, &files),
            key(NoticeSpec { fields: &fields, ..spec }, &files),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(one), "{at}");
        }
    }
}
