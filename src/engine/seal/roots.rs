//! The Merkle roots of a seal: one over each chunk's leaves, one over the chunks.

use std::collections::BTreeMap;

use crate::domain::chunk::chunk_of;
use crate::engine::EngineError;
use crate::ledger::merkle::{TreeHasher, leaf};
use crate::secret::digest::{Digest, LpBuilder};
use crate::store::seals::Staging;

/// The root of each chunk over its leaves, and the seal's root over the chunks: leaf data of the upper
/// tree is `number ‖ count ‖ root`, numbers as 8 bytes big-endian.
pub(super) async fn roots(
    staging: &mut dyn Staging,
) -> Result<(Digest, BTreeMap<u64, [u8; 32]>), EngineError> {
    let mut chunk_roots = BTreeMap::new();
    let mut upper = TreeHasher::new();
    let mut current: Option<(u64, TreeHasher)> = None;
    let mut after = None;
    let mut close = |chunk: u64, tree: &TreeHasher| {
        let root = tree.root();
        let record =
            LpBuilder::new().number(chunk).number(tree.count()).raw(root.as_bytes()).finish();
        upper.push(leaf(&record));
        chunk_roots.insert(chunk, *root.as_bytes());
    };
    loop {
        let leaves = staging.leaves(after).await?;
        let Some((last, _)) = leaves.last() else { break };
        after = Some(*last);
        for (number, hash) in leaves {
            let chunk = chunk_of(number);
            match &mut current {
                Some((open, tree)) if *open == chunk => tree.push(Digest::from_bytes(hash)),
                _ => {
                    if let Some((open, tree)) = current.take() {
                        close(open, &tree);
                    }
                    let mut tree = TreeHasher::new();
                    tree.push(Digest::from_bytes(hash));
                    current = Some((chunk, tree));
                }
            }
        }
    }
    if let Some((open, tree)) = current {
        close(open, &tree);
    }
    Ok((upper.root(), chunk_roots))
}
