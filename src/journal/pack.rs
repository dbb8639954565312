//! Many ended attempts in few bytes: what is left of them in a shrunk segment. About 16 bytes each, beside
//! the checksum of the whole pack.
//!
//! A pack is the payload of one mark: the campaign (8), then of each attempt its number as the difference
//! from the one before, generation, n and the length of its outcome, all as variable-length integers, and
//! the outcome.

use super::frame::Fields;
use super::mark::{Mark, MarkKey, OutcomeBytes};

/// Bytes of a pack's payload at most: its length has 16 bits.
const MAX_PACK: usize = 60_000;

/// Payloads of packs that hold these attempts, each ended with its outcome, in their order.
pub(super) fn packed(ended: &[(MarkKey, OutcomeBytes)]) -> Vec<Vec<u8>> {
    let mut packs: Vec<Vec<u8>> = Vec::new();
    let (mut campaign, mut before) = (None, 0_u64);
    for (key, outcome) in ended {
        let is_full = packs.last().is_none_or(|pack| pack.len() > MAX_PACK - 1_100);
        if is_full || campaign != Some(key.campaign) {
            campaign = Some(key.campaign);
            before = 0;
            packs.push(key.campaign.to_le_bytes().to_vec());
        }
        let Some(pack) = packs.last_mut() else { continue };
        put(pack, zigzag(key.number.wrapping_sub(before)));
        put(pack, u64::from(key.generation));
        put(pack, u64::from(key.n));
        put(pack, outcome.as_slice().len() as u64);
        pack.extend_from_slice(outcome.as_slice());
        before = key.number;
    }
    packs
}

/// The ends that a payload holds; `None` where it is none.
pub(super) fn unpacked(payload: &[u8]) -> Option<Vec<Mark>> {
    let mut fields = Fields(payload);
    let campaign = fields.i64()?;
    let (mut rest, mut number, mut marks) = (fields.rest(), 0_u64, Vec::new());
    while !rest.is_empty() {
        number = number.wrapping_add(unzigzag(take(&mut rest)?));
        let key = MarkKey {
            campaign,
            number,
            generation: u32::try_from(take(&mut rest)?).ok()?,
            n: u32::try_from(take(&mut rest)?).ok()?,
        };
        let length = usize::try_from(take(&mut rest)?).ok()?;
        let (outcome, after) = rest.split_at_checked(length)?;
        rest = after;
        marks.push(Mark::End { key, outcome: OutcomeBytes::new(outcome.to_vec()).ok()? });
    }
    Some(marks)
}

/// A difference with its sign in the lowest bit.
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ if difference >> 63 == 1 { u64::MAX } else { 0 }
}

fn unzigzag(written: u64) -> u64 {
    (written >> 1) ^ if written & 1 == 1 { u64::MAX } else { 0 }
}

/// Seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(0x80 | (value & 0x7F) as u8);
        value >>= 7;
    }
    bytes.push((value & 0x7F) as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_in_few_bytes() {
        let key = |campaign, number| MarkKey { campaign, number, generation: 1, n: 2 };
        let outcome = || OutcomeBytes::new(vec![1; 10]).unwrap();
        let numbers = [1, 5, 3, u64::MAX, 0, 24_000_000_000];
        let mut ended: Vec<_> = numbers.map(|number| (key(7, number), outcome())).into();
        ended.extend((0..10_000).map(|number| (key(8, 1_000 + number), outcome())));
        let packs = packed(&ended);
        assert!(packs.iter().all(|pack| pack.len() <= MAX_PACK));
        let size: usize = packs.iter().map(Vec::len).sum();
        assert!(size < ended.len() * 15, "{size}");
        let read: Vec<Mark> = packs.iter().flat_map(|pack| unpacked(pack).unwrap()).collect();
        let written: Vec<Mark> =
            ended.into_iter().map(|(key, outcome)| Mark::End { key, outcome }).collect();
        assert_eq!(read, written);
        let first = &packs[0];
        assert!((1..8).all(|cut| unpacked(&first[..cut]).is_none()));
        assert!(unpacked(&first[..first.len() - 1]).is_none());
    }
}
