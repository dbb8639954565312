//! A segment file: its name, its header, and how one comes to be. Knows nothing of marks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::boot::{BOOT_ID_LEN, BootId};
use super::frame::{Fields, checked, put_crc};

/// Bytes of a segment unless the caller asks for another size: about 10,000 notices.
pub const DEFAULT_SEGMENT_SIZE: u64 = 2 << 20;
/// The smallest segment: room for the longest mark several times over.
pub(super) const MIN_SEGMENT_SIZE: u64 = 4 << 10;
/// The largest segment: a reader holds one in memory.
pub(super) const MAX_SEGMENT_SIZE: u64 = 64 << 20;
/// Bytes of a header; the first mark follows at once.
pub(super) const HEADER_LEN: usize = 190;

const MAGIC: [u8; 4] = *b"FWJ1";
const VERSION: u16 = 2;
const SUFFIX: &str = ".fwj";

/// Which worker of which database wrote a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The database's id.
    pub database_id: [u8; 16],
    /// The database's incarnation: `recover` draws a new one.
    pub incarnation: u64,
    /// The worker's id: one life of one process.
    pub worker_id: [u8; 16],
}

/// How far a journal's marks reach. Later ones are greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment, from 1; 0 before the first mark.
    pub segment: u64,
    /// Bytes from the start of its file.
    pub offset: u64,
}

/// One life of one worker among all of them, and what it tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Life {
    /// Its place among all lives of this database, from 1; 0 = not counted.
    pub ordinal: u64,
    /// The worker id of the life before it; zeros for the first. So the lives form a chain, and a journal
    /// that is gone is missed.
    pub previous: [u8; 16],
    /// How far that life's marks reached at least: a journal that ends before is an older copy of itself.
    pub previous_reached: Position,
    /// The campaign's own id. Row ids are given anew after a restored backup, this is not.
    pub campaign: [u8; 16],
    /// Root of the campaign's seal: the numbers of another seal are other people's.
    pub seal: [u8; 32],
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size: u64,
    pub(super) origin: Origin,
    pub(super) life: Life,
    pub(super) boot: BootId,
    pub(super) number: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes.extend_from_slice(&self.origin.database_id);
        bytes.extend_from_slice(&self.origin.incarnation.to_le_bytes());
        bytes.extend_from_slice(&self.origin.worker_id);
        bytes.extend_from_slice(&self.life.ordinal.to_le_bytes());
        bytes.extend_from_slice(&self.life.previous);
        bytes.extend_from_slice(&self.life.previous_reached.segment.to_le_bytes());
        bytes.extend_from_slice(&self.life.previous_reached.offset.to_le_bytes());
        bytes.extend_from_slice(&self.life.campaign);
        bytes.extend_from_slice(&self.life.seal);
        bytes.extend_from_slice(self.boot.bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        put_crc(&mut bytes, 0);
        bytes
    }

    /// The header at the start of `segment`; `None` if it is short, damaged or of another version.
    pub(super) fn decode(segment: &[u8]) -> Option<Self> {
        let mut fields = Fields(checked(segment.get(..HEADER_LEN)?)?);
        if fields.bytes()? != MAGIC || fields.u16()? != VERSION {
            return None;
        }
        let size = fields.u64()?;
        let origin = Origin {
            database_id: fields.bytes()?,
            incarnation: fields.u64()?,
            worker_id: fields.bytes()?,
        };
        let life = Life {
            ordinal: fields.u64()?,
            previous: fields.bytes()?,
            previous_reached: Position { segment: fields.u64()?, offset: fields.u64()? },
            campaign: fields.bytes()?,
            seal: fields.bytes()?,
        };
        let boot = BootId::from_bytes(fields.bytes::<BOOT_ID_LEN>()?)?;
        let number = fields.u64()?;
        fields.end_with(Self { size, origin, life, boot, number })
    }
}

/// The file name of segment `number`.
pub(super) fn name(number: u64) -> String {
    format!("{number:08}{SUFFIX}")
}

/// The numbers of all segments in `folder`, ascending. A segment still being made has another
/// name and is not among them.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file_name = entry?.file_name();
        let number = file_name
            .to_str()
            .and_then(|text| text.strip_suffix(SUFFIX)?.parse().ok())
            .filter(|number| file_name == *name(*number));
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a segment: header and zeros written and fsynced under another name, then renamed, then
/// the folder fsynced. So a segment under its own name always has its header and its space.
pub(super) fn create(folder: &Path, header: &Header) -> io::Result<File> {
    let path = folder.join(name(header.number));
    let unfinished = path.with_extension("fwj.new");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(|error| naming(&unfinished, &error))?;
    let filled = fill(&mut file, header)
        .and_then(|()| fs::rename(&unfinished, &path))
        .and_then(|()| sync_folder(folder));
    match filled {
        Ok(()) => Ok(file),
        Err(error) => {
            fs::remove_file(&unfinished).ok();
            Err(naming(&path, &error))
        }
    }
}

fn fill(file: &mut File, header: &Header) -> io::Result<()> {
    let zeros = vec![0; 64 << 10];
    let mut block = header.encode();
    let mut left = header.size;
    while left > 0 {
        block.resize(zeros.len(), 0);
        let step = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        file.write_all(&block[..step])?;
        left -= step as u64;
        block.clone_from(&zeros);
    }
    file.sync_all()
}

/// Fsyncs a folder, so that the names in it survive the machine.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The same error, saying which file it was about.
pub(super) fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            size: 100_000,
            origin: Origin { database_id: [1; 16], incarnation: 2, worker_id: [3; 16] },
            life: Life {
                ordinal: 5,
                previous: [6; 16],
                previous_reached: Position { segment: 2, offset: 9 },
                campaign: [7; 16],
                seal: [8; 32],
            },
            boot: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap(),
            number: 4,
        }
    }

    #[test]
    fn a_new_segment_has_its_header_its_whole_space_and_no_leftover_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), &header()).unwrap();
        let bytes = fs::read(dir.path().join("00000004.fwj")).unwrap();
        assert_eq!(bytes.len(), 100_000);
        assert_eq!(Header::decode(&bytes), Some(header()));
        assert!(bytes[HEADER_LEN..].iter().all(|b| *b == 0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_changed_byte_of_the_header_makes_it_invalid() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        for at in 0..HEADER_LEN {
            let mut rotten = bytes.clone();
            rotten[at] ^= 0x10;
            assert_eq!(Header::decode(&rotten), None, "byte {at}");
            assert_eq!(Header::decode(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn only_finished_segments_under_their_own_name_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let others = ["3.fwj", "00000009.fwj.new", "owner.lock", "+0000004.fwj", ".fwj"];
        for file in ["00000002.fwj", "00000001.fwj", "100000000.fwj"].iter().chain(&others) {
            fs::write(dir.path().join(file), "").unwrap();
        }
        assert_eq!(numbers(dir.path()).unwrap(), [1, 2, 100_000_000]);
    }
}
