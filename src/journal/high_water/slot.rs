//! One copy of the mark as a file: two slots written in turn, each change under the file's flock.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::{HighWater, LifeMark};
use crate::journal::frame::{Fields, checked, put_crc};
use crate::journal::host::HostId;
use crate::journal::segment::Position;

const MAGIC: [u8; 4] = *b"FWHW";
const VERSION: u16 = 2;
const SLOT_LEN: usize = 146;
/// Slots lie on pages of their own: one torn page never holds both.
const SLOT_AT: [u64; 2] = [0, 4096];

/// What a slot holds. `era` counts the incarnations begun on this host: within one, batch ids
/// only rise; across two, only the era says which is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) sequence: u64,
    pub(super) era: u64,
    pub(super) mark: HighWater,
    pub(super) begun: LifeMark,
    /// The machine that wrote it.
    pub(super) host: HostId,
}

impl Slot {
    pub(super) fn progress(&self) -> (u64, i64) {
        (self.era, self.mark.batch_id)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.era.to_le_bytes());
        bytes.extend_from_slice(&self.mark.database_id);
        bytes.extend_from_slice(&self.mark.incarnation.to_le_bytes());
        bytes.extend_from_slice(&self.mark.batch_id.to_le_bytes());
        bytes.extend_from_slice(&self.mark.batch_sha256);
        bytes.extend_from_slice(&self.begun.ordinal.to_le_bytes());
        bytes.extend_from_slice(&self.begun.worker_id);
        bytes.extend_from_slice(&self.begun.reached.segment.to_le_bytes());
        bytes.extend_from_slice(&self.begun.reached.offset.to_le_bytes());
        bytes.extend_from_slice(self.host.bytes());
        put_crc(&mut bytes, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(checked(bytes)?);
        if fields.bytes()? != MAGIC || fields.u16()? != VERSION {
            return None;
        }
        let (sequence, era) = (fields.u64()?, fields.u64()?);
        let mark = HighWater {
            database_id: fields.bytes()?,
            incarnation: fields.u64()?,
            batch_id: fields.i64()?,
            batch_sha256: fields.bytes()?,
        };
        let begun = LifeMark {
            ordinal: fields.u64()?,
            worker_id: fields.bytes()?,
            reached: Position { segment: fields.u64()?, offset: fields.u64()? },
        };
        let host = HostId::from_bytes(fields.bytes()?);
        fields.end_with(Self { sequence, era, mark, begun, host })
    }
}

/// The newer slot of a copy; none where it is absent or holds nothing valid.
pub(super) fn read_copy(path: &Path) -> io::Result<Option<Slot>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.lock_shared()?;
    Ok(newest(&read_slots(&file)?))
}

fn newest(slots: &[Option<Slot>; 2]) -> Option<Slot> {
    slots.iter().flatten().max_by_key(|slot| slot.sequence).copied()
}

pub(super) fn read_slots(file: &File) -> io::Result<[Option<Slot>; 2]> {
    let read = |at| {
        let mut bytes = [0; SLOT_LEN];
        match file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(Slot::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok([read(SLOT_AT[0])?, read(SLOT_AT[1])?])
}

/// Writes the older slot of one copy, as `next` makes it of the newer one; nothing where that is `None`.
/// The slot's sequence is set here.
pub(super) fn write_copy(
    path: &Path,
    next: impl FnOnce(Option<Slot>) -> Option<Slot>,
) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    let slots = read_slots(&file)?;
    let newest = newest(&slots);
    let Some(mut slot) = next(newest) else { return Ok(()) };
    slot.sequence = newest.map_or(1, |slot| slot.sequence + 1);
    let older = match (slots[0], newest) {
        (Some(first), Some(newest)) if first.sequence == newest.sequence => SLOT_AT[1],
        _ => SLOT_AT[0],
    };
    file.write_all_at(&slot.encode(), older)
}
