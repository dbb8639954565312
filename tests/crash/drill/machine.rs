//! The machine's crash, played: what was not forced to disk is gone, and it came up again.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Result;
use forthwith::journal::boot_id;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::options::Machine;

/// What stands in a segment's header between the boot id and the checksum that ends it: the segment's
/// number (`src/journal/segment.rs`).
const NUMBER: usize = 8;
const CHECKSUM: usize = 4;
/// A boot that was.
const OTHER_BOOT: &[u8; 36] = b"00000000-0000-4000-8000-000000000000";

/// Does to all journals what this machine's death does.
pub fn die(how: Machine, journals: &Path, rng: &mut StdRng) -> Result<()> {
    for worker in fs::read_dir(journals)? {
        let folder = worker?.path();
        match how {
            Machine::Delete => fs::remove_dir_all(&folder)?,
            Machine::Truncate => truncate(&folder, rng)?,
        }
    }
    Ok(())
}

/// The newest segment ends at a random byte of what was written: cut there, or zeros from there on. All
/// are of another boot.
fn truncate(folder: &Path, rng: &mut StdRng) -> Result<()> {
    let mut segments: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "fwj"))
        .collect();
    segments.sort();
    let boot = boot_id()?;
    let mut header = 0;
    for path in &segments {
        let mut bytes = fs::read(path)?;
        // those of earlier deaths are of another boot already
        let found = bytes
            .windows(OTHER_BOOT.len())
            .take(512)
            .position(|text| text == boot.as_str().as_bytes() || text == OTHER_BOOT);
        let Some(at) = found else { continue };
        let sum_at = at + OTHER_BOOT.len() + NUMBER;
        bytes[at..at + OTHER_BOOT.len()].copy_from_slice(OTHER_BOOT);
        let sum = crc32c(&bytes[..sum_at]);
        header = sum_at + CHECKSUM;
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&bytes[..sum_at], 0)?;
        file.write_all_at(&sum.to_le_bytes(), sum_at as u64)?;
    }
    if let Some(newest) = segments.last() {
        let bytes = fs::read(newest)?;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let at = rng.random_range(header.min(end)..=end);
        let file = OpenOptions::new().write(true).open(newest)?;
        if rng.random_bool(0.5) {
            file.set_len(at as u64)?;
        } else {
            file.write_all_at(&vec![0; end - at], at as u64)?;
        }
    }
    Ok(())
}

/// CRC-32C (RFC 3720 appendix B.4), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn a_header_with_another_boot_is_still_a_header() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        let folder = tempfile::tempdir().unwrap();
        let origin =
            forthwith::journal::Origin { database_id: [1; 16], incarnation: 1, worker_id: [2; 16] };
        let boot = boot_id().unwrap();
        drop(forthwith::journal::Journal::create(folder.path(), origin, boot, 4096).unwrap());
        die(Machine::Truncate, folder.path(), &mut StdRng::seed_from_u64(1)).unwrap();
        let found = forthwith::journal::folders(folder.path()).unwrap();
        assert_eq!(found[0].origin, Some(origin), "its header is whole");
        assert_ne!(found[0].boot, Some(boot));
        die(Machine::Delete, folder.path(), &mut StdRng::seed_from_u64(1)).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
