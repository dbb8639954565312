//! Rows on their way into a staging file: their bytes go into one file, their digests are sorted for two more,
//! and on the way out rows of one account, or at one address, lie beside each other.

use std::io;

use super::digests::DigestWriter;
use super::numbers::Numbers;
use super::parts::Parts;
use super::rows::{Facts, Filling, RowsWriter};
use super::sorter::{Merged, Sorter};
use crate::store::seals::StagedRow;

/// Account (16), line (8), number (8), digest of the row (16), facts (1); numbers big-endian.
const ACCOUNT: usize = 49;
/// Address (16), number (8), facts (1).
const ADDRESS: usize = 25;

/// Takes rows.
pub(super) struct Intake {
    rows: RowsWriter,
    accounts: Sorter<ACCOUNT>,
    addresses: Sorter<ADDRESS>,
}

impl Intake {
    pub(super) fn create(parts: &Parts) -> io::Result<Self> {
        Ok(Self {
            rows: RowsWriter::create(&parts.rows)?,
            accounts: Sorter::new(parts.folder()),
            addresses: Sorter::new(parts.folder()),
        })
    }

    pub(super) fn push(&mut self, row: &StagedRow) -> io::Result<()> {
        let facts = Facts { reason: row.address_reason, name_refused: row.name_refused };
        self.rows.push(row, facts)?;
        let number = row.number.to_be_bytes();
        if row.copy_of.is_none() {
            let mut record = [0; ACCOUNT];
            record[..16].copy_from_slice(&row.account);
            record[16..24].copy_from_slice(&row.line.to_be_bytes());
            record[24..32].copy_from_slice(&number);
            record[32..48].copy_from_slice(&row.row_digest);
            record[48] = facts.byte();
            self.accounts.push(record)?;
        }
        if let Some(address) = &row.address {
            let mut record = [0; ADDRESS];
            record[..16].copy_from_slice(address);
            record[16..24].copy_from_slice(&number);
            record[24] = facts.byte();
            self.addresses.push(record)?;
        }
        Ok(())
    }

    /// Ends it: the rows' file, its length and its chunks, then what is left to be merged.
    pub(super) fn finish(
        self,
        parts: &Parts,
    ) -> io::Result<(u64, Vec<Filling>, Twins, Neighbours)> {
        let (length, chunks) = self.rows.finish()?;
        let twins = Twins {
            merged: self.accounts.finish()?,
            out: DigestWriter::create(&parts.accounts)?,
            first: None,
        };
        let neighbours = Neighbours {
            merged: self.addresses.finish()?,
            out: DigestWriter::create(&parts.addresses)?,
            first: None,
        };
        Ok((length, chunks, twins, neighbours))
    }
}

/// A row that something is to be noted of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) number: u64,
    pub(super) facts: Facts,
    /// 0 kept, 1 duplicate, 2 conflict.
    pub(super) fate: u8,
    /// Another row of its account has other fields.
    pub(super) is_conflict: bool,
    /// The address that other rows have too.
    pub(super) address: Option<[u8; 16]>,
    /// The row of its account that is kept in its place, by line and number; and its own line.
    pub(super) twin_of: Option<(u64, u64, u64)>,
}

/// The rows of each account, in the order of the source.
pub(super) struct Twins {
    merged: Merged<ACCOUNT>,
    out: DigestWriter,
    first: Option<Twin>,
}

/// The first row of an account.
struct Twin {
    record: [u8; ACCOUNT],
    has_conflict: bool,
}

impl Twins {
    /// Walks on over some accounts and adds their further rows, and first ones in conflict, to `noted`; false
    /// behind the last.
    pub(super) fn walk(&mut self, most: usize, noted: &mut Vec<Noted>) -> io::Result<bool> {
        for _ in 0..most {
            let Some(record) = self.merged.next()? else {
                Self::close(self.first.take(), noted)?;
                return Ok(false);
            };
            match &mut self.first {
                Some(first) if first.record[..16] == record[..16] => {
                    let is_conflict = first.record[32..48] != record[32..48];
                    first.has_conflict |= is_conflict;
                    let (line, number) = (u64_at(&first.record, 16), u64_at(&first.record, 24));
                    noted.push(Noted {
                        number: u64_at(&record, 24),
                        facts: Facts::of(record[48])?,
                        fate: 1 + u8::from(is_conflict),
                        is_conflict: false,
                        address: None,
                        twin_of: Some((line, number, u64_at(&record, 16))),
                    });
                }
                _ => {
                    self.out.push(&record[..16], &record[24..32])?;
                    let next = Twin { record, has_conflict: false };
                    Self::close(self.first.replace(next), noted)?;
                }
            }
        }
        Ok(true)
    }

    fn close(first: Option<Twin>, noted: &mut Vec<Noted>) -> io::Result<()> {
        if let Some(first) = first.filter(|first| first.has_conflict) {
            noted.push(Noted {
                number: u64_at(&first.record, 24),
                facts: Facts::of(first.record[48])?,
                fate: 0,
                is_conflict: true,
                address: None,
                twin_of: None,
            });
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<u64> {
        self.out.finish()
    }
}

/// The kept rows at each address, by number.
pub(super) struct Neighbours {
    merged: Merged<ADDRESS>,
    out: DigestWriter,
    /// The first row at the address looked at, until a second is there.
    first: Option<([u8; ADDRESS], bool)>,
}

impl Neighbours {
    /// Walks on over some rows and adds those that share their address to `noted`; false behind the last.
    pub(super) fn walk(
        &mut self,
        most: usize,
        dropped: &Numbers,
        noted: &mut Vec<Noted>,
    ) -> io::Result<bool> {
        for _ in 0..most {
            let Some(record) = self.merged.next()? else { return Ok(false) };
            if dropped.has(u64_at(&record, 16)) {
                continue;
            }
            self.out.push(&record[..16], &record[16..24])?;
            match &mut self.first {
                Some((first, is_noted)) if first[..16] == record[..16] => {
                    if !*is_noted {
                        noted.push(at_one_address(first)?);
                        *is_noted = true;
                    }
                    noted.push(at_one_address(&record)?);
                }
                _ => self.first = Some((record, false)),
            }
        }
        Ok(true)
    }

    pub(super) fn finish(self) -> io::Result<u64> {
        self.out.finish()
    }
}

fn at_one_address(record: &[u8; ADDRESS]) -> io::Result<Noted> {
    let mut address = [0; 16];
    address.copy_from_slice(&record[..16]);
    Ok(Noted {
        number: u64_at(record, 16),
        facts: Facts::of(record[24])?,
        fate: 0,
        is_conflict: false,
        address: Some(address),
        twin_of: None,
    })
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    record[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
