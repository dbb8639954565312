//! A file as UTF-8, piece by piece; the tap sees its own bytes, in order and once.
//!
//! Offsets are those of the UTF-8 text. Going back costs nothing kept for a UTF-8 file; for others
//! one mark is kept a piece, some 16 bytes for each 64 KiB.

use std::io::{self, Read, Seek, SeekFrom};

use super::Tap;
use super::encoding::{Decoder, Encoding, EncodingFault, Utf8Watch};

/// How much is read at a time, in bytes.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Why no further piece can be read.
#[derive(Debug)]
pub(super) enum InputError {
    Read(io::Error),
    Encoding(EncodingFault),
}

impl From<io::Error> for InputError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// A file being read.
pub(super) struct Input<R> {
    reader: R,
    encoding: Encoding,
    /// Known once the first bytes are.
    decoder: Option<Decoder>,
    /// Where in the file the next byte is read.
    position: u64,
    /// How much of the file the tap has seen.
    tapped: u64,
    raw: Vec<u8>,
    /// Bytes at the end of `raw` that are less than a character.
    carried: usize,
    /// Where in the text the next piece starts.
    text: u64,
    /// (offset in the text, offset in the file) of the pieces so far, where the two differ.
    marks: Vec<(u64, u64)>,
    /// How much of the next piece lies before the offset gone back to.
    skip: usize,
    /// Whether a file that is said to be Windows-1252 is UTF-8 all the same: its first letters beyond ASCII
    /// may stand millions of rows into it.
    watch: Option<Utf8Watch>,
}

impl<R: Read + Seek> Input<R> {
    /// The text of `reader`, which stands at its beginning.
    pub(super) fn new(reader: R, encoding: Encoding) -> Self {
        Self {
            reader,
            encoding,
            decoder: None,
            position: 0,
            tapped: 0,
            raw: Vec::new(),
            carried: 0,
            text: 0,
            marks: Vec::new(),
            skip: 0,
            watch: (encoding == Encoding::Windows1252).then(Utf8Watch::default),
        }
    }

    /// How much of the file was ever read, in its own bytes.
    pub(super) fn tapped(&self) -> u64 {
        self.tapped
    }

    /// Whether offsets in the text are those in the file.
    pub(super) fn is_plain(&self) -> bool {
        self.encoding == Encoding::Utf8
    }

    /// Puts the next piece into `piece`; an empty one at the end.
    pub(super) fn fill(&mut self, piece: &mut Vec<u8>, tap: Tap<'_>) -> Result<(), InputError> {
        piece.clear();
        if self.decoder == Some(Decoder::Utf8) {
            self.read(piece, tap)?;
            return Ok(());
        }
        loop {
            let mut raw = std::mem::take(&mut self.raw);
            raw.drain(..raw.len() - self.carried);
            let start = self.position - self.carried as u64;
            let is_end = self.read(&mut raw, tap)? == 0;
            if self.decoder.is_none() {
                let known = Decoder::of(self.encoding, &raw).map_err(InputError::Encoding)?;
                self.decoder = Some(known);
            }
            if is_end && self.watch.as_ref().is_some_and(Utf8Watch::is_utf8) {
                return Err(InputError::Encoding(EncodingFault::LooksLikeUtf8));
            }
            let decoder = self.decoder.unwrap_or(Decoder::Utf8);
            let taken = decoder.decode(&raw, is_end, piece);
            self.carried = raw.len() - taken;
            self.raw = raw;
            if decoder != Decoder::Utf8 && self.marks.last().is_none_or(|last| last.0 < self.text) {
                self.marks.push((self.text, start));
            }
            self.text += piece.len() as u64;
            let before = self.skip.min(piece.len());
            self.skip -= before;
            piece.drain(..before);
            if is_end || !piece.is_empty() {
                return Ok(());
            }
        }
    }

    /// Adds the next bytes of the file to `raw` and tells how many there were.
    fn read(&mut self, raw: &mut Vec<u8>, tap: Tap<'_>) -> io::Result<usize> {
        let before = raw.len();
        let read = self.reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(raw)?;
        let end = self.position + read as u64;
        if end > self.tapped {
            let seen = usize::try_from(self.tapped.saturating_sub(self.position));
            let news = &raw[before + seen.unwrap_or(read)..];
            tap(news);
            if let Some(watch) = &mut self.watch {
                watch.see(news);
            }
            self.tapped = end;
        }
        self.position = end;
        Ok(read)
    }

    /// The next piece will start at this offset of the text, which was read before.
    pub(super) fn go_back(&mut self, offset: u64) -> io::Result<()> {
        let (text, file) = if self.decoder == Some(Decoder::Utf8) {
            (offset, offset)
        } else {
            let after = self.marks.partition_point(|mark| mark.0 <= offset);
            after.checked_sub(1).map_or((0, 0), |at| self.marks[at])
        };
        self.reader.seek(SeekFrom::Start(file))?;
        (self.position, self.text, self.carried) = (file, text, 0);
        self.skip = usize::try_from(offset - text).map_err(io::Error::other)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn rest(input: &mut Input<Cursor<Vec<u8>>>, seen: &mut Vec<u8>) -> Vec<u8> {
        let (mut text, mut piece) = (Vec::new(), Vec::new());
        loop {
            input.fill(&mut piece, &mut |bytes| seen.extend_from_slice(bytes)).unwrap();
            if piece.is_empty() {
                return text;
            }
            text.extend_from_slice(&piece);
        }
    }

    #[test]
    fn every_encoding_reads_alike_and_the_tap_sees_the_files_own_bytes_once() {
        let letters = "Żółć 🎁 é,\n".repeat(20_000);
        let western = "Straße, é\n".repeat(20_000);
        let utf_16 = || {
            let units = "\u{FEFF}".encode_utf16().chain(letters.encode_utf16());
            units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
        };
        let latin: Vec<u8> =
            western.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
        for (encoding, raw, expected) in [
            (Encoding::Utf8, letters.clone().into_bytes(), letters.clone()),
            (Encoding::Utf16, utf_16(), format!("\u{FEFF}{letters}")),
            (Encoding::Windows1252, latin, western.clone()),
        ] {
            let mut input = Input::new(Cursor::new(raw.clone()), encoding);
            let mut seen = Vec::new();
            assert!(rest(&mut input, &mut seen) == expected.as_bytes(), "{encoding:?}");
            for offset in [0, 1, 7, 65_535, 65_536, 65_537, 131_075, expected.len() - 1] {
                input.go_back(offset as u64).unwrap();
                let again = rest(&mut input, &mut seen);
                assert!(again == expected.as_bytes()[offset..], "{encoding:?} from {offset}");
            }
            assert!(seen == raw, "{encoding:?}");
            assert_eq!(input.tapped(), raw.len() as u64);
        }
    }
}
