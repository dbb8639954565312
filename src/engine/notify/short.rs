//! An outcome as a shrunk journal keeps it: what a recovery decides a class by, and nothing else. An accepted
//! notice takes 10 bytes.

use jiff::Timestamp;

use super::outcome::decode;
use crate::domain::delivery::{AttemptResult, Outcome};
use crate::domain::reply::ReplyClass;

/// The first byte; the long form is JSON and begins with a brace.
pub(super) const SHORT: u8 = 1;
/// Bytes of an instant: milliseconds since the Unix epoch, until the year 10,889.
const INSTANT: usize = 6;

/// The words of results, by their number in the file. Only ever added to.
const RESULTS: [AttemptResult; 8] = [
    AttemptResult::Accepted,
    AttemptResult::Deferred,
    AttemptResult::Refused,
    AttemptResult::Policy,
    AttemptResult::Broken,
    AttemptResult::InDoubt,
    AttemptResult::NotStarted,
    AttemptResult::Unsendable,
];

/// The short form of an encoded outcome; `None` for a doubt, of which everything is kept, and for bytes that
/// are no outcome of ours.
pub(in crate::engine) fn shortened(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.first() == Some(&SHORT) {
        return Some(bytes.to_vec());
    }
    let outcome = decode(bytes)?;
    if outcome.result == AttemptResult::InDoubt {
        return None;
    }
    let result = RESULTS.iter().position(|result| *result == outcome.result)?;
    let mut short = vec![SHORT, u8::try_from(result).ok()?];
    let instant = outcome.ended_at.as_millisecond().max(0).to_le_bytes();
    short.extend_from_slice(&instant[..INSTANT]);
    short.extend_from_slice(&outcome.code.unwrap_or(0).to_le_bytes());
    if outcome.result != AttemptResult::Accepted {
        short.extend_from_slice(outcome.phase.as_bytes());
        short.push(0);
        short.extend_from_slice(outcome.class.map_or("", ReplyClass::word).as_bytes());
    }
    Some(short)
}

/// Reads [`shortened`]'s bytes.
pub(super) fn read(bytes: &[u8]) -> Option<Outcome> {
    let (&[SHORT, result], rest) = bytes.split_first_chunk::<2>()? else { return None };
    let (instant, rest) = rest.split_first_chunk::<INSTANT>()?;
    let (code, words) = rest.split_first_chunk::<2>()?;
    let mut millis = [0; 8];
    millis[..INSTANT].copy_from_slice(instant);
    let ended_at = Timestamp::from_millisecond(i64::from_le_bytes(millis)).ok()?;
    let result = *RESULTS.get(usize::from(result))?;
    let code = Some(u16::from_le_bytes(*code)).filter(|code| *code > 0);
    let mut outcome = Outcome { code, ..Outcome::bare(result, "dot", ended_at) };
    if result != AttemptResult::Accepted {
        let (phase, class) = std::str::from_utf8(words).ok()?.split_once('\0')?;
        phase.clone_into(&mut outcome.phase);
        outcome.class = ReplyClass::parse(class);
    }
    Some(outcome)
}

#[cfg(test)]
mod tests {
    use super::super::outcome::encode;
    use super::*;

    #[test]
    fn every_result_but_a_doubt_is_shortened_and_read_back() {
        let at = Timestamp::from_millisecond(1_534_888_680_123).unwrap();
        for result in RESULTS {
            let long = Outcome {
                code: Some(450),
                class: (result == AttemptResult::Deferred).then_some(ReplyClass::MailboxBusy),
                queue_id: Some("4XyZ".into()),
                ..Outcome::bare(result, "dot", at)
            };
            let Some(short) = shortened(&encode(&long)) else {
                assert_eq!(result, AttemptResult::InDoubt);
                continue;
            };
            assert_eq!(decode(&short), Some(Outcome { queue_id: None, ..long }));
            assert_eq!(shortened(&short).as_ref(), Some(&short));
            assert!(result != AttemptResult::Accepted || short.len() == 10);
        }
        assert_eq!(shortened(b"no outcome"), None);
        assert_eq!(decode(&[SHORT, 99]), None);
    }
}
