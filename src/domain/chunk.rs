//! Chunks: about a thousand sealed people that are leased as one.
//!
//! A recipient's number says its chunk: each chunk owns a block of numbers, filled in arrival order, so
//! that a chunk is one range of keys everywhere. Unused numbers of a block stay gaps.

/// How many numbers a chunk owns.
pub const CHUNK_SIZE: u64 = 1_000;

/// The chunk that owns this number.
pub fn chunk_of(number: u64) -> u64 {
    number / CHUNK_SIZE
}

/// The first and last number of a chunk.
pub fn numbers_of(chunk: u64) -> (u64, u64) {
    let first = chunk * CHUNK_SIZE;
    (first, first + CHUNK_SIZE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_owns_exactly_its_block() {
        for chunk in [1, 2, 24_000] {
            let (first, last) = numbers_of(chunk);
            assert_eq!((chunk_of(first), chunk_of(last)), (chunk, chunk));
            assert_eq!((chunk_of(first - 1), chunk_of(last + 1)), (chunk - 1, chunk + 1));
        }
    }
}
