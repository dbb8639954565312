//! What lists of breached passwords know a password by: its SHA-1, as Have I Been Pwned publishes it. Nothing is
//! protected by it; it only finds a password that is on a list.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The first 64 bits of a password's SHA-1: as much of it as a filter keeps or is asked for.
pub fn breach_key(password: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest(&SHA1_FOR_LEGACY_USE_ONLY, password).as_ref()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_published_lists_say() {
        // 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8
        assert_eq!(breach_key(b"password"), 0x5BAA_61E4_C9B9_3F3F);
    }
}
