//! The machine's crash, played: what was not forced to disk is gone, and it came up again.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Result;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::options::Machine;

/// Where a segment's header holds the boot id, and its length (`src/journal/segment.rs`).
const BOOT_AT: usize = 54;
const BOOT_LEN: usize = 36;
/// The header with its checksum.
const HEADER: usize = 102;
/// A boot that was.
const OTHER_BOOT: &[u8; BOOT_LEN] = b"00000000-0000-4000-8000-000000000000";

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
    for path in &segments {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut header = [0; HEADER];
        if file.read_exact_at(&mut header, 0).is_ok() {
            header[BOOT_AT..BOOT_AT + BOOT_LEN].copy_from_slice(OTHER_BOOT);
            let sum = crc32c(&header[..HEADER - 4]);
            header[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
            file.write_all_at(&header, 0)?;
        }
    }
    if let Some(newest) = segments.last() {
        let bytes = fs::read(newest)?;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let at = rng.random_range(HEADER.min(end)..=end);
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
        let boot = forthwith::journal::boot_id().unwrap();
        let journal =
            forthwith::journal::Journal::create(folder.path(), origin, boot, 4096).unwrap();
        drop(journal);
        die(Machine::Truncate, folder.path(), &mut StdRng::seed_from_u64(1)).unwrap();
        let journals = forthwith::journal::Journals::under(folder.path());
        let survey = journals.scan(&origin, |_, _| {}).unwrap();
        let told = survey.segments().values().next().unwrap().boot.clone().unwrap();
        assert_ne!(told, boot_id_of_this_machine());
        die(Machine::Delete, folder.path(), &mut StdRng::seed_from_u64(1)).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    fn boot_id_of_this_machine() -> forthwith::journal::BootId {
        forthwith::journal::boot_id().unwrap()
    }
}
