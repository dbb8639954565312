//! The six keys together and their directory: one file a purpose, never in the database.
//!
//! It must not know what a key is used for, nor the table that fingerprints are compared with.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rand::CryptoRng;

use super::key_file::{self, KeyError};
use super::keys::{Key, KeyPurpose};

/// One key of every purpose.
#[derive(Debug)]
pub struct Keyring([Key; 6]);

impl Keyring {
    /// Draws a key for every purpose, in memory only.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(KeyPurpose::ALL.map(|purpose| Key::generate(purpose, rng)))
    }

    /// Draws a key for every purpose and writes each into its file under `dir`. Refuses if one of
    /// the files exists; after a failure none of the new ones is left.
    pub fn create(dir: &Path, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, KeyError> {
        let ring = Self::generate(rng);
        ring.write(dir)?;
        Ok(ring)
    }

    /// Writes the files of this ring into `dir` (made with mode 0700 if absent) and syncs them
    /// and the directory; for `create` and for backups. Overwrites nothing.
    ///
    /// Where `dir` is absent or empty it appears whole: a process that dies meanwhile leaves no half
    /// ring, which nobody could load and no later `init` replace.
    pub fn write(&self, dir: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::Directory { path: dir.to_owned(), source };
        let places = |dir: &Path| self.0.each_ref().map(|key| dir.join(key.purpose().file_name()));
        if let Some(path) = places(dir).into_iter().find(|path| path.symlink_metadata().is_ok()) {
            return Err(KeyError::Exists { path });
        }
        let mut unfinished = dir.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = Path::new(&unfinished);
        // made by somebody who died before anybody could use them
        let clear = || match fs::remove_dir_all(unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        clear().map_err(failed)?;
        DirBuilder::new().recursive(true).mode(0o700).create(unfinished).map_err(failed)?;
        let mut made = self.0.iter().zip(places(unfinished));
        made.try_for_each(|(key, path)| key_file::write(key, &path))
            .and_then(|()| sync(unfinished).map_err(failed))
            .and_then(|()| move_into(unfinished, dir, &places(dir)))
            .and_then(|()| sync(dir).map_err(failed))
            .inspect_err(|_| {
                // used by nobody: a retry must not find half a ring
                let _ = clear();
            })
    }

    /// Reads every key from its file under `dir`. Refuses files that others than their owner may
    /// use, that hold another purpose's key, or that are not whole.
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        let read = |purpose: KeyPurpose| key_file::read(&dir.join(purpose.file_name()), purpose);
        Ok(Self([
            read(KeyPurpose::Data)?,
            read(KeyPurpose::Digest)?,
            read(KeyPurpose::Token)?,
            read(KeyPurpose::Mail)?,
            read(KeyPurpose::Ledger)?,
            read(KeyPurpose::Portal)?,
        ]))
    }

    /// What is wrong with the key files under `dir`, each by its file's name; nothing is kept of the
    /// keys.
    pub fn faults(dir: &Path) -> Vec<(String, KeyError)> {
        let fault = |purpose: KeyPurpose| {
            let name = purpose.file_name();
            let error = key_file::read(&dir.join(&name), purpose).err()?;
            Some((name, error))
        };
        KeyPurpose::ALL.into_iter().filter_map(fault).collect()
    }

    /// The key for `purpose`.
    pub fn get(&self, purpose: KeyPurpose) -> &Key {
        &self.0[purpose.index()]
    }

    /// Every key, in the order of [`KeyPurpose::ALL`].
    pub fn iter(&self) -> std::slice::Iter<'_, Key> {
        self.0.iter()
    }

    /// The key that wraps campaign keys.
    pub fn data(&self) -> &Key {
        self.get(KeyPurpose::Data)
    }

    /// The key of the look-up digests.
    pub fn digest(&self) -> &Key {
        self.get(KeyPurpose::Digest)
    }

    /// The key of the reset tokens.
    pub fn token(&self) -> &Key {
        self.get(KeyPurpose::Token)
    }

    /// The key of the identifiers in mail.
    pub fn mail(&self) -> &Key {
        self.get(KeyPurpose::Mail)
    }

    /// The key of the ledger.
    pub fn ledger(&self) -> &Key {
        self.get(KeyPurpose::Ledger)
    }

    /// The key of the portal.
    pub fn portal(&self) -> &Key {
        self.get(KeyPurpose::Portal)
    }
}

/// Moves the files of one directory to their places in another: at once where that is absent or empty,
/// else one by one, none of them if one fails.
fn move_into(from: &Path, to: &Path, places: &[PathBuf; 6]) -> Result<(), KeyError> {
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    let mut moved = 0;
    let each = places.iter().try_for_each(|place| {
        let name = place.file_name().unwrap_or_default();
        fs::rename(from.join(name), place)
            .map_err(|source| KeyError::Write { path: place.clone(), source })?;
        moved += 1;
        Ok(())
    });
    let _ = fs::remove_dir_all(from);
    each.inspect_err(|_| {
        for place in &places[..moved] {
            let _ = fs::remove_file(place);
        }
    })
}

/// Makes the names of the files last, and that of the directory itself.
fn sync(dir: &Path) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    File::open(&dir)?.sync_all()?;
    // a parent that may not be read was not written by us either
    match dir.parent().map(File::open) {
        Some(Ok(parent)) => parent.sync_all(),
        Some(Err(_)) | None => Ok(()),
    }
}

impl<'a> IntoIterator for &'a Keyring {
    type Item = &'a Key;
    type IntoIter = std::slice::Iter<'a, Key>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::os::unix::fs::PermissionsExt;

    fn ring(dir: &Path) -> Keyring {
        Keyring::create(dir, &mut StdRng::seed_from_u64(1)).unwrap()
    }

    fn rewrite(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_ring_that_was_written_is_read_back_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("etc/keys");
        let made = ring(&keys);
        let read = Keyring::load(&keys).unwrap();
        for (made, read) in made.iter().zip(&read) {
            assert_eq!((made.id(), made.purpose()), (read.id(), read.purpose()));
            assert_eq!(made.secret(), read.secret());
        }
        for purpose in KeyPurpose::ALL {
            assert_eq!(read.get(purpose).purpose(), purpose);
            let mode = fs::metadata(keys.join(purpose.file_name())).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
        }
        assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_key_file_that_exists_is_never_overwritten_and_no_other_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail.key");
        rewrite(&path, "somebody's");
        let error = Keyring::create(dir.path(), &mut StdRng::seed_from_u64(1)).unwrap_err();
        assert!(matches!(&error, KeyError::Exists { path: named } if *named == path), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_ring_whose_writer_died_leaves_nothing_that_stands_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, unfinished) = (dir.path().join("keys"), dir.path().join("keys.unfinished"));
        fs::create_dir(&unfinished).unwrap();
        rewrite(&unfinished.join("data.key"), "forthwith-key-v1 da");
        ring(&keys);
        Keyring::load(&keys).unwrap();
        assert!(!unfinished.exists());
        let beside = dir.path().join("beside");
        fs::create_dir(&beside).unwrap();
        rewrite(&beside.join("note"), "mine");
        ring(&beside);
        Keyring::load(&beside).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_group_or_others_may_use_is_refused_by_name() {
        for mode in [0o640, 0o604, 0o620, 0o601] {
            let dir = tempfile::tempdir().unwrap();
            ring(dir.path());
            let path = dir.path().join("token.key");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Keyring::load(dir.path()).unwrap_err();
            assert!(matches!(error, KeyError::TooOpen { mode: seen, .. } if seen == mode));
            assert!(error.to_string().contains("token.key"), "{error}");
            assert!(error.to_string().contains("forthwith key check"), "{error}");
        }
    }

    #[test]
    fn an_absent_file_points_to_key_init() {
        let dir = tempfile::tempdir().unwrap();
        let error = Keyring::load(dir.path()).unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }));
        assert!(error.to_string().contains("data.key"), "{error}");
        assert!(error.to_string().contains("forthwith key init"), "{error}");
    }

    #[test]
    fn a_key_in_the_place_of_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        ring(dir.path());
        fs::copy(dir.path().join("mail.key"), dir.path().join("token.key")).unwrap();
        let error = Keyring::load(dir.path()).unwrap_err();
        assert!(
            matches!(
                error,
                KeyError::WrongPurpose { wanted: KeyPurpose::Token, found: KeyPurpose::Mail, .. }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused_and_its_text_not_shown() {
        let made = ring(tempfile::tempdir().unwrap().path());
        let whole = key_file::to_text(made.data()).to_string();
        let bad = [
            String::new(),
            whole.trim_end().to_owned(),
            whole.replace("-v1", "-v2"),
            whole.replace(" data ", " dada "),
            whole.replace(" data ", " data  "),
            whole.replace('\n', " more\n"),
            whole.replace('\n', "\n\n"),
            whole.replace("=\n", "\n"),
            "forthwith-key-v1 data é 00\n".to_owned(),
            "forthwith-key-v1 data AB QUJD\n".to_owned(),
            "x".repeat(5000),
        ];
        for text in bad {
            let dir = tempfile::tempdir().unwrap();
            ring(dir.path());
            rewrite(&dir.path().join("data.key"), &text);
            let error = Keyring::load(dir.path()).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{text:?} gave {error}");
            let secret = whole.split(' ').next_back().unwrap().trim();
            assert!(!format!("{error} {error:?}").contains(secret));
        }
    }

    #[test]
    fn neither_debug_nor_fingerprint_shows_the_key() {
        let ring = Keyring::generate(&mut StdRng::seed_from_u64(1));
        let shown = format!("{ring:?}");
        for key in &ring {
            assert!(!shown.contains(&hex::encode(key.secret())));
            assert!(shown.contains(&format!("Key({} {}, redacted)", key.purpose(), key.id())));
            assert_ne!(key.fingerprint(), hex::encode(&key.secret()[..16]));
        }
    }
}
