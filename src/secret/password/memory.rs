//! Argon2's working memory, kept from one hash to the next on threads that do nothing else. Taking 19 MiB from
//! the system for each hash, in pages that have to be cleared first, costs a third of it; and an allocator keeps
//! such a piece for every thread that ever had one.

use std::cell::RefCell;

use argon2::{Argon2, Block};

/// More than this is given back: a stored hash may ask for a lot.
const MOST_BLOCKS: usize = 64 * 1024;

thread_local! {
    static KEPT: RefCell<Option<Vec<Block>>> = const { RefCell::new(None) };
}

/// From now on this thread keeps the memory of one hash for the next, 64 MiB at the most. For the threads of a
/// bounded pool.
pub fn keep_memory() {
    KEPT.with_borrow_mut(|kept| {
        kept.get_or_insert_default();
    });
}

/// Hashes, in the kept memory where this thread keeps some. What an earlier hash left there is never read: the
/// first pass writes each block before any is referred to (RFC 9106 §3.2).
pub(super) fn compute(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    out: &mut [u8],
) -> argon2::Result<()> {
    KEPT.with_borrow_mut(|kept| {
        let Some(kept) = kept else { return argon2.hash_password_into(password, salt, out) };
        let blocks = argon2.params().block_count();
        if kept.len() < blocks {
            kept.resize(blocks, Block::new());
        }
        let hashed =
            argon2.hash_password_into_with_memory(password, salt, out, &mut kept[..blocks]);
        if kept.len() > MOST_BLOCKS {
            *kept = Vec::new();
        }
        hashed
    })
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Params, Version};

    use super::*;

    #[test]
    fn memory_that_others_used_makes_no_difference() {
        let hash = |password: &[u8], kib: u32, lanes: u32| {
            let params = Params::new(kib, 2, lanes, Some(32)).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let mut out = [0; 32];
            compute(&argon2, password, b"a salt of sixteen", &mut out).unwrap();
            out
        };
        let all = move || {
            [(b"one".as_slice(), 256, 1), (b"two", 64, 2), (b"three", 512, 4), (b"one", 256, 1)]
                .map(|(password, kib, lanes)| hash(password, kib, lanes))
        };
        let fresh = all();
        let kept = std::thread::spawn(move || {
            keep_memory();
            all()
        });
        assert_eq!(kept.join().unwrap(), fresh);
        assert_eq!(fresh[0], fresh[3]);
    }
}
