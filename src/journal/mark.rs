//! A mark and its bytes: kind (1), length (2), payload, CRC-32C (4), seal (1).
//!
//! The seal is never zero, so in space that was zeros before, a mark whose last byte is there was
//! written to its end: half a mark is *not written*, a whole one that fails its check is *broken*.
//! Without it a rotten last mark could pass for a torn one, and a `dot` for one never made.

use std::fmt;

use super::frame::{Fields, checked, put_crc};
use super::pack::unpacked;

const BEGIN: u8 = 1;
const DOT: u8 = 2;
const END: u8 = 3;
const ROLLED: u8 = 4;
const CLOSED: u8 = 5;
const PACK: u8 = 6;
const SEAL: u8 = 0x2E;

const HEAD_LEN: usize = 3;
const TAIL_LEN: usize = 5;
const KEY_LEN: usize = 24;
const MAX_OUTCOME: usize = 1024;

/// Bytes of the note that closes a full segment.
pub(super) const ROLLED_LEN: usize = HEAD_LEN + 8 + TAIL_LEN;
/// Bytes of the longest mark.
pub(super) const MAX_MARK_LEN: usize = HEAD_LEN + KEY_LEN + MAX_OUTCOME + TAIL_LEN;

/// One attempt: the key of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkKey {
    /// The campaign's row id.
    pub campaign: i64,
    /// The recipient's number in the campaign.
    pub number: u64,
    /// The generation of the notice, from 1.
    pub generation: u32,
    /// The attempt within the generation, from 1.
    pub n: u32,
}

/// An encoded outcome, at most 1 KiB, opaque to the journal. The caller keeps addresses and
/// reply texts that hold them out of it; `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct OutcomeBytes(Vec<u8>);

/// An encoded outcome over 1 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an encoded outcome has {0} bytes; the journal takes at most {MAX_OUTCOME}")]
pub struct OutcomeTooLong(pub usize);

impl OutcomeBytes {
    /// Takes an encoded outcome of at most 1 KiB.
    pub fn new(bytes: Vec<u8>) -> Result<Self, OutcomeTooLong> {
        if bytes.len() > MAX_OUTCOME { Err(OutcomeTooLong(bytes.len())) } else { Ok(Self(bytes)) }
    }

    /// The bytes as the caller encoded them.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for OutcomeBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutcomeBytes({} bytes)", self.0.len())
    }
}

/// What the wire task notes before it acts, or after it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The SMTP transaction is about to start.
    Begin {
        /// Whose attempt.
        key: MarkKey,
        /// The message's Date: microseconds since the Unix epoch.
        dated_at: i64,
        /// SHA-256 of the message's bytes.
        content: [u8; 32],
    },
    /// Body and final dot are about to be written.
    Dot {
        /// Whose attempt.
        key: MarkKey,
    },
    /// The transaction is over, with this outcome.
    End {
        /// Whose attempt.
        key: MarkKey,
        /// The engine's encoded outcome.
        outcome: OutcomeBytes,
    },
}

impl Mark {
    /// Whose attempt the mark is about.
    pub fn key(&self) -> MarkKey {
        match self {
            Self::Begin { key, .. } | Self::Dot { key } | Self::End { key, .. } => *key,
        }
    }

    /// Replaces what `buffer` holds by this mark's bytes.
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        self.append(buffer);
    }

    /// Puts this mark's bytes behind what `buffer` holds.
    pub(super) fn append(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        match self {
            Self::Begin { key, dated_at, content } => {
                put_head(buffer, BEGIN, KEY_LEN + 40);
                put_key(buffer, key);
                buffer.extend_from_slice(&dated_at.to_le_bytes());
                buffer.extend_from_slice(content);
            }
            Self::Dot { key } => {
                put_head(buffer, DOT, KEY_LEN);
                put_key(buffer, key);
            }
            Self::End { key, outcome } => {
                put_head(buffer, END, KEY_LEN + outcome.0.len());
                put_key(buffer, key);
                buffer.extend_from_slice(&outcome.0);
            }
        }
        put_tail(buffer, start);
    }
}

/// Replaces what `buffer` holds by the note that marks go on in segment `next`.
pub(super) fn encode_rolled(next: u64, buffer: &mut Vec<u8>) {
    buffer.clear();
    put_head(buffer, ROLLED, 8);
    buffer.extend_from_slice(&next.to_le_bytes());
    put_tail(buffer, 0);
}

/// Replaces what `buffer` holds by the note that this life is over and all its marks are on the disk.
pub(super) fn encode_closed(buffer: &mut Vec<u8>) {
    buffer.clear();
    put_head(buffer, CLOSED, 0);
    put_tail(buffer, 0);
}

/// Replaces what `buffer` holds by a pack of ended attempts (`pack`).
pub(super) fn encode_pack(payload: &[u8], buffer: &mut Vec<u8>) {
    buffer.clear();
    put_head(buffer, PACK, payload.len());
    buffer.extend_from_slice(payload);
    put_tail(buffer, 0);
}

fn put_head(buffer: &mut Vec<u8>, kind: u8, length: usize) {
    buffer.push(kind);
    // the longest payload is 1,048 bytes: OutcomeBytes sees to it
    buffer.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
}

fn put_key(buffer: &mut Vec<u8>, key: &MarkKey) {
    buffer.extend_from_slice(&key.campaign.to_le_bytes());
    buffer.extend_from_slice(&key.number.to_le_bytes());
    buffer.extend_from_slice(&key.generation.to_le_bytes());
    buffer.extend_from_slice(&key.n.to_le_bytes());
}

fn put_tail(buffer: &mut Vec<u8>, start: usize) {
    put_crc(buffer, start);
    buffer.push(SEAL);
}

/// What stands at one place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A mark and how many bytes it takes.
    Mark(Mark, usize),
    /// The note that marks go on in segment `next`.
    Rolled { next: u64, len: usize },
    /// A pack of ended attempts, and how many bytes it takes.
    Pack(Vec<Mark>, usize),
    /// The note that the life is over, and its length.
    Closed(usize),
    /// Nothing but zeros from here on.
    Nothing,
    /// The start of a mark, then nothing but zeros: it was not written.
    Torn,
    /// Bytes that are no mark and no torn one.
    Broken,
}

/// Reads what stands at the start of `written`: the bytes from one place of a segment up to its
/// last one that is not zero.
pub(super) fn find(written: &[u8]) -> Found {
    let Some(&kind) = written.first() else {
        return Found::Nothing;
    };
    if !(BEGIN..=PACK).contains(&kind) {
        return Found::Broken;
    }
    let Some(payload_len) = written.get(1..HEAD_LEN).and_then(|len| Fields(len).u16()) else {
        return Found::Torn;
    };
    let payload_len = usize::from(payload_len);
    if !payload_fits(kind, payload_len) {
        return Found::Broken;
    }
    let len = HEAD_LEN + payload_len + TAIL_LEN;
    let Some((&SEAL, framed)) = written.get(..len).and_then(|mark| mark.split_last()) else {
        return if written.len() < len { Found::Torn } else { Found::Broken };
    };
    checked(framed).and_then(|body| decode(kind, &body[HEAD_LEN..], len)).unwrap_or(Found::Broken)
}

fn payload_fits(kind: u8, len: usize) -> bool {
    match kind {
        BEGIN => len == KEY_LEN + 40,
        DOT => len == KEY_LEN,
        END => (KEY_LEN..=KEY_LEN + MAX_OUTCOME).contains(&len),
        CLOSED => len == 0,
        PACK => len >= 8,
        _ => len == 8,
    }
}

fn decode(kind: u8, payload: &[u8], len: usize) -> Option<Found> {
    let mut fields = Fields(payload);
    if kind == ROLLED {
        let next = fields.u64()?;
        return fields.end_with(Found::Rolled { next, len });
    }
    if kind == CLOSED {
        return fields.end_with(Found::Closed(len));
    }
    if kind == PACK {
        return unpacked(payload).map(|ended| Found::Pack(ended, len));
    }
    let key = MarkKey {
        campaign: fields.i64()?,
        number: fields.u64()?,
        generation: fields.u32()?,
        n: fields.u32()?,
    };
    let mark = match kind {
        BEGIN => Mark::Begin { key, dated_at: fields.i64()?, content: fields.bytes()? },
        DOT => Mark::Dot { key },
        _ => Mark::End { key, outcome: OutcomeBytes::new(fields.rest().to_vec()).ok()? },
    };
    Some(Found::Mark(mark, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MarkKey = MarkKey { campaign: -7, number: u64::MAX, generation: 2, n: 3 };

    fn marks() -> [Mark; 5] {
        let end = |len| Mark::End { key: KEY, outcome: OutcomeBytes::new(vec![0; len]).unwrap() };
        let begin = Mark::Begin { key: KEY, dated_at: -1, content: [0; 32] };
        [begin, Mark::Dot { key: KEY }, end(0), end(300), end(1024)]
    }

    fn trimmed(bytes: &[u8]) -> &[u8] {
        let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        &bytes[..end]
    }

    #[test]
    fn every_mark_is_read_as_it_was_written_and_fits_the_stated_limit() {
        for mark in marks() {
            let mut bytes = Vec::new();
            mark.encode(&mut bytes);
            assert!(bytes.len() <= MAX_MARK_LEN);
            assert_eq!(find(trimmed(&bytes)), Found::Mark(mark, bytes.len()));
        }
        let mut bytes = Vec::new();
        encode_rolled(9, &mut bytes);
        assert_eq!(bytes.len(), ROLLED_LEN);
        assert_eq!(find(&bytes), Found::Rolled { next: 9, len: ROLLED_LEN });
    }

    #[test]
    fn a_mark_cut_anywhere_is_torn_and_never_a_mark_or_broken() {
        for mark in marks() {
            let mut bytes = Vec::new();
            mark.encode(&mut bytes);
            assert_eq!(find(trimmed(&bytes[..0])), Found::Nothing);
            for cut in 1..bytes.len() {
                assert_eq!(find(trimmed(&bytes[..cut])), Found::Torn, "{mark:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_whole_mark_with_a_changed_bit_is_never_read_as_a_mark() {
        let mut bytes = Vec::new();
        Mark::Dot { key: KEY }.encode(&mut bytes);
        for bit in 0..bytes.len() * 8 {
            let mut rotten = bytes.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(find(trimmed(&rotten)), Found::Broken, "bit {bit}");
        }
    }

    #[test]
    fn an_outcome_over_one_kibibyte_is_refused_and_debug_hides_the_bytes() {
        assert_eq!(OutcomeBytes::new(vec![0; 1025]), Err(OutcomeTooLong(1025)));
        let shown = format!("{:?}", OutcomeBytes::new(b"rose@example.com".to_vec()).unwrap());
        assert_eq!(shown, "OutcomeBytes(16 bytes)");
    }
}
