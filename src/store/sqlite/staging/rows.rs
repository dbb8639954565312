//! The rows of a seal under construction: a file of blocks, each a few rows of one chunk.
//!
//! Rows come in the order of the source and are copied in the order of their numbers, with many chunks
//! being filled at the same time: a block names the block of its chunk before it, so that a chunk is read
//! from its last block backwards and nothing is ever sorted.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::parts::new_file;
use crate::domain::address::AddressReason;
use crate::domain::chunk::{CHUNK_SIZE, chunk_of, numbers_of};
use crate::store::seals::StagedRow;

/// Bytes after which a block is written.
const BLOCK: usize = 16 * 1024;
/// Bytes after which all blocks are written, however many chunks are open.
const BUFFERED: usize = 8 * 1024 * 1024;
/// A block's head: where the block before it starts, + 1 (8), chunk (8), bytes (8).
const HEAD: usize = 24;
/// A row's head: facts (1), place in its chunk (2), salt (16), leaf (32), bytes of its body (4).
const ROW_HEAD: usize = 55;

/// What the seal of a row depends on besides its content: the address's reason, and whether a name was
/// refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::sqlite) struct Facts {
    pub(in crate::store::sqlite) reason: AddressReason,
    pub(in crate::store::sqlite) name_refused: bool,
}

impl Facts {
    pub(super) fn byte(self) -> u8 {
        self.reason as u8 | u8::from(self.name_refused) << 7
    }

    pub(super) fn of(byte: u8) -> io::Result<Self> {
        let reason = AddressReason::ALL.get(usize::from(byte & 0x7F)).copied();
        let reason = reason.ok_or_else(|| damaged("a row of no known kind"))?;
        Ok(Self { reason, name_refused: byte & 0x80 != 0 })
    }
}

/// A chunk while its rows come in.
#[derive(Debug, Default)]
pub(super) struct Filling {
    /// Where its last block starts, + 1; 0 where none is written.
    pub(super) last: u64,
    pub(super) rows: u64,
    /// How many of its rows are of which kind.
    pub(super) born: Vec<(Facts, u64)>,
    /// The block being filled, its head left free.
    block: Vec<u8>,
}

/// Takes rows in.
pub(super) struct RowsWriter {
    file: File,
    end: u64,
    buffered: usize,
    /// By number.
    chunks: Vec<Filling>,
    /// The memory of blocks whose chunks are full.
    spare: Vec<Vec<u8>>,
}

impl RowsWriter {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = new_file(path)?;
        Ok(Self { file, end: 0, buffered: 0, chunks: Vec::new(), spare: Vec::new() })
    }

    pub(super) fn push(&mut self, row: &StagedRow, facts: Facts) -> io::Result<()> {
        let number = chunk_of(row.number);
        let at = usize::try_from(number).map_err(io::Error::other)?;
        if self.chunks.len() <= at {
            self.chunks.resize_with(at + 1, Filling::default);
        }
        let slot = row.number % CHUNK_SIZE;
        let chunk = &mut self.chunks[at];
        if chunk.block.is_empty() {
            if chunk.block.capacity() == 0 {
                chunk.block = self.spare.pop().unwrap_or_default();
            }
            chunk.block.resize(HEAD, 0);
            self.buffered += HEAD;
        }
        let block = &mut chunk.block;
        block.push(facts.byte());
        block.extend_from_slice(&u16::try_from(slot).unwrap_or(u16::MAX).to_le_bytes());
        block.extend_from_slice(&row.salt);
        block.extend_from_slice(&row.leaf);
        let length = u32::try_from(row.body.len()).map_err(io::Error::other)?;
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(&row.body);
        chunk.rows += 1;
        match chunk.born.iter_mut().find(|(kind, _)| *kind == facts) {
            Some((_, count)) => *count += 1,
            None => chunk.born.push((facts, 1)),
        }
        self.buffered += ROW_HEAD + row.body.len();
        if slot + 1 == CHUNK_SIZE {
            self.write(at)?;
            self.spare.push(std::mem::take(&mut self.chunks[at].block));
        } else if self.chunks[at].block.len() >= BLOCK {
            self.write(at)?;
        } else if self.buffered >= BUFFERED {
            self.write_all()?;
        }
        Ok(())
    }

    /// Writes what is left; gives its length and its chunks.
    pub(super) fn finish(mut self) -> io::Result<(u64, Vec<Filling>)> {
        self.write_all()?;
        Ok((self.end, self.chunks))
    }

    fn write_all(&mut self) -> io::Result<()> {
        (0..self.chunks.len()).try_for_each(|at| self.write(at))
    }

    fn write(&mut self, at: usize) -> io::Result<()> {
        let chunk = &mut self.chunks[at];
        if chunk.block.is_empty() {
            return Ok(());
        }
        let bytes = chunk.block.len();
        for (place, value) in [chunk.last, at as u64, bytes as u64].into_iter().enumerate() {
            chunk.block[place * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
        self.file.write_all_at(&chunk.block, self.end)?;
        chunk.last = self.end + 1;
        chunk.block.clear();
        self.end += bytes as u64;
        self.buffered -= bytes;
        Ok(())
    }
}

/// A row as it lies in the file.
pub(in crate::store::sqlite) struct RowRef<'a> {
    pub(in crate::store::sqlite) number: u64,
    pub(in crate::store::sqlite) facts: Facts,
    pub(in crate::store::sqlite) salt: &'a [u8; 16],
    pub(in crate::store::sqlite) leaf: &'a [u8; 32],
    pub(in crate::store::sqlite) body: &'a [u8],
}

/// Gives a chunk's rows back, in the order of their numbers.
pub(in crate::store::sqlite) struct RowsReader {
    file: File,
    bytes: Vec<u8>,
    /// Where in `bytes` each block's rows lie, the last block first.
    blocks: Vec<Range<usize>>,
    chunk: u64,
}

impl RowsReader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, bytes: Vec::new(), blocks: Vec::new(), chunk: 0 })
    }

    /// Reads the chunk of that number, whose last block starts at `last` - 1 and which has that many rows.
    pub(in crate::store::sqlite) fn chunk(
        &mut self,
        number: u64,
        last: u64,
        rows: u64,
    ) -> io::Result<()> {
        self.bytes.clear();
        self.blocks.clear();
        self.chunk = number;
        let mut next = last;
        while let Some(start) = next.checked_sub(1) {
            let mut head = [0; HEAD];
            self.file.read_exact_at(&mut head, start)?;
            let [before, chunk, bytes] = [0, 8, 16]
                .map(|at| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or_default()));
            // a block lies behind the one before it: a damaged file never makes it read in a circle
            if chunk != number || before >= next || bytes < HEAD as u64 {
                return Err(damaged("a block of no known form"));
            }
            let from = self.bytes.len();
            let length = usize::try_from(bytes).map_err(io::Error::other)? - HEAD;
            self.bytes.resize(from + length, 0);
            self.file.read_exact_at(&mut self.bytes[from..], start + HEAD as u64)?;
            self.blocks.push(from..from + length);
            next = before;
        }
        let mut found = 0;
        self.each(|_| {
            found += 1;
            Ok(())
        })?;
        if found == rows { Ok(()) } else { Err(damaged("a chunk that lost or gained rows")) }
    }

    /// Walks over the rows of the chunk read last.
    pub(in crate::store::sqlite) fn each<'a>(
        &'a self,
        mut see: impl FnMut(RowRef<'a>) -> io::Result<()>,
    ) -> io::Result<()> {
        for block in self.blocks.iter().rev() {
            let mut rest = &self.bytes[block.clone()];
            while !rest.is_empty() {
                let (row, behind) =
                    parse(rest, self.chunk).ok_or_else(|| damaged("a row that is cut off"))?;
                see(row?)?;
                rest = behind;
            }
        }
        Ok(())
    }
}

fn parse(bytes: &[u8], chunk: u64) -> Option<(io::Result<RowRef<'_>>, &[u8])> {
    let (&[kind], rest) = bytes.split_first_chunk::<1>()?;
    let (slot, rest) = rest.split_first_chunk::<2>()?;
    let (salt, rest) = rest.split_first_chunk::<16>()?;
    let (leaf, rest) = rest.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let number = numbers_of(chunk).0 + u64::from(u16::from_le_bytes(*slot));
    let row = Facts::of(kind).map(|facts| RowRef { number, facts, salt, leaf, body });
    Some((row, rest))
}

fn damaged(what: &str) -> io::Error {
    let what = format!("holds {what}; hint: remove the staging files and seal again");
    io::Error::new(io::ErrorKind::InvalidData, what)
}
