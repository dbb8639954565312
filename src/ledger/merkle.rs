//! The Merkle tree of RFC 6962 §2.1: roots, inclusion paths and their verification.
//!
//! Works on leaf *hashes*: a seal's leaf is hashed with its salt where the row is at hand
//! ([`crate::secret::person::leaf_hash`]), so the tree never sees a row.

use crate::secret::{Digest, Sha256Stream, sha256};

/// The hash of a leaf without a salt: `SHA-256(0x00 ‖ data)`.
pub fn leaf(data: &[u8]) -> Digest {
    let mut stream = Sha256Stream::new();
    stream.update(&[0]);
    stream.update(data);
    stream.finish()
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    let mut stream = Sha256Stream::new();
    stream.update(&[1]);
    stream.update(left.as_bytes());
    stream.update(right.as_bytes());
    stream.finish()
}

/// Takes leaf hashes in order and gives the root, holding one hash for each bit of the count.
#[derive(Debug, Clone, Default)]
pub struct TreeHasher {
    count: u64,
    /// The roots of the full subtrees so far, the largest first.
    peaks: Vec<Digest>,
}

impl TreeHasher {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next leaf hash.
    pub fn push(&mut self, leaf_hash: Digest) {
        let mut hash = leaf_hash;
        // as many full subtrees of equal size meet as the count has ones at its end
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.count += 1;
    }

    /// How many leaves were added.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The root over the leaves so far; of none it is the SHA-256 of the empty string.
    pub fn root(&self) -> Digest {
        let right_to_left = self.peaks.iter().rev().copied();
        right_to_left.reduce(|right, left| node(&left, &right)).unwrap_or_else(|| sha256(b""))
    }
}

impl Extend<Digest> for TreeHasher {
    fn extend<I: IntoIterator<Item = Digest>>(&mut self, leaf_hashes: I) {
        for leaf_hash in leaf_hashes {
            self.push(leaf_hash);
        }
    }
}

/// The root over `leaves`, as [`TreeHasher`] gives it.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut tree = TreeHasher::new();
    tree.extend(leaves.iter().copied());
    tree.root()
}

/// The hashes that lead from the leaf at `index` to the root, lowest first (RFC 6962 §2.1.1).
/// `None` if there is no such leaf.
pub fn inclusion_path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    let (mut within, mut at) = (leaves, index);
    while within.len() > 1 {
        let (left, right) = within.split_at(largest_power_below(within.len()));
        if at < left.len() {
            path.push(root(right));
            within = left;
        } else {
            path.push(root(left));
            at -= left.len();
            within = right;
        }
    }
    path.reverse();
    Some(path)
}

/// The largest power of two smaller than `count`, which is at least 2.
const fn largest_power_below(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

/// Whether `path` proves that `leaf_hash` stands at `index` in the tree of `size` leaves that has
/// this `root`.
pub fn verify_inclusion(
    leaf_hash: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: &Digest,
) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf_hash);
    let mut path = path.iter();
    while last > 0 {
        // a last node without a sibling rises unchanged
        if at < last || at & 1 == 1 {
            let Some(sibling) = path.next() else {
                return false;
            };
            hash = if at & 1 == 1 { node(sibling, &hash) } else { node(&hash, sibling) };
        }
        at >>= 1;
        last >>= 1;
    }
    path.next().is_none() && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight entries and nine roots that Certificate Transparency's own tests use.
    const ENTRIES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    /// RFC 6962 §2.1, word for word.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => sha256(b""),
            [only] => *only,
            many => {
                let mut k = 1;
                while k * 2 < many.len() {
                    k *= 2;
                }
                node(&by_definition(&many[..k]), &by_definition(&many[k..]))
            }
        }
    }

    #[test]
    fn the_known_trees_have_their_known_roots() {
        let mut tree = TreeHasher::new();
        assert_eq!(tree.root().to_string(), ROOTS[0]);
        for (entry, known) in ENTRIES.iter().zip(&ROOTS[1..]) {
            tree.push(leaf(&hex::decode(entry).unwrap()));
            assert_eq!(tree.root().to_string(), *known);
        }
        assert_eq!(tree.count(), 8);
    }

    #[test]
    fn streaming_agrees_with_the_recursive_definition() {
        for count in 0..=70 {
            let leaves = leaves(count);
            assert_eq!(root(&leaves), by_definition(&leaves), "{count} leaves");
        }
    }

    #[test]
    fn the_hasher_holds_one_hash_for_each_bit_of_the_count() {
        let mut tree = TreeHasher::new();
        tree.extend(leaves(1000));
        assert_eq!(tree.peaks.len(), 1000usize.count_ones() as usize);
    }

    #[test]
    fn every_leaf_of_every_tree_is_proved_and_no_other_place_is() {
        for count in 1..=34usize {
            let leaves = leaves(count);
            let (size, root) = (count as u64, root(&leaves));
            for (at, hash) in leaves.iter().enumerate() {
                let path = inclusion_path(&leaves, at).unwrap();
                for index in 0..=size {
                    let proved = verify_inclusion(hash, index, size, &path, &root);
                    assert_eq!(proved, index == at as u64, "leaf {at} of {count} at {index}");
                }
            }
        }
    }

    #[test]
    fn an_altered_cut_or_longer_path_proves_nothing() {
        let leaves = leaves(13);
        let root = root(&leaves);
        for (at, hash) in leaves.iter().enumerate() {
            let path = inclusion_path(&leaves, at).unwrap();
            let holds = |path: &[Digest]| verify_inclusion(hash, at as u64, 13, path, &root);
            for step in 0..path.len() {
                let mut altered = path.clone();
                altered[step] = sha256(b"altered");
                assert!(!holds(&altered));
                assert!(!holds(&path[..step]));
            }
            let longer: Vec<_> = path.iter().copied().chain([sha256(b"more")]).collect();
            assert!(!holds(&longer));
            assert!(!verify_inclusion(&sha256(b"other"), at as u64, 13, &path, &root));
        }
    }

    #[test]
    fn there_is_no_path_to_a_leaf_that_is_not_there() {
        assert_eq!(inclusion_path(&[], 0), None);
        assert_eq!(inclusion_path(&leaves(3), 3), None);
        assert_eq!(inclusion_path(&leaves(1), 0), Some(Vec::new()));
    }

    #[test]
    fn the_known_path_of_rfc_6962_is_given() {
        let leaves: Vec<_> =
            ENTRIES[..7].iter().map(|entry| leaf(&hex::decode(entry).unwrap())).collect();
        // RFC 6962 §2.1.3: the path of d6 in its tree of seven is [i, k]
        let i = by_definition(&leaves[4..6]);
        let k = by_definition(&leaves[..4]);
        assert_eq!(inclusion_path(&leaves, 6).unwrap(), [i, k]);
    }
}
