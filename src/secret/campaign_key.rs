//! The random key each campaign has: it seals addresses and fields, and the killing derives its
//! values from it. Destroying it is that campaign's erasure.
//!
//! Owns the wrapped form and the sealed form of a blob. It must not know tables beyond the names
//! it is given to bind.

use std::fmt;

use rand::CryptoRng;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::digest::{Digest, DigestError, Expander, LpBuilder, MacKey};
use super::keys::{Key, KeyId, KeyPurpose};
use super::xchacha::{NONCE, TAG, XChaCha20Poly1305};

/// Version, key id, nonce, the 32 bytes and their tag.
const WRAPPED: usize = 1 + 2 + NONCE + 32 + TAG;
const WRAP_VERSION: u8 = 1;

/// Why a wrapped campaign key or a sealed blob could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CampaignKeyError {
    /// The bytes are not a wrapped campaign key.
    #[error("the stored campaign key is damaged: {0} bytes of no known form")]
    WrappedForm(usize),
    /// Another data key wrapped it.
    #[error(
        "the campaign key was wrapped under data key {wrapped_under}, the loaded one is {loaded}; hint: put the key file back, see `forthwith key check`"
    )]
    OtherDataKey {
        /// The id of the key it was wrapped under.
        wrapped_under: KeyId,
        /// The id of the key at hand.
        loaded: KeyId,
    },
    /// The wrapped key was altered, or belongs to another campaign.
    #[error("the stored key of campaign {campaign} was altered or belongs to another campaign")]
    Unwrap {
        /// The campaign it was to be for.
        campaign: Uuid,
    },
    /// A sealed blob is shorter than its nonce and tag.
    #[error("a sealed value of {0} bytes is cut off")]
    BlobForm(usize),
    /// A sealed blob was altered, moved to another row, or sealed under another key.
    #[error("a sealed value was altered or stands in another place than it was sealed for")]
    Open,
}

/// The place a sealed value stands in; it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aad<'a> {
    /// The campaign.
    pub campaign: Uuid,
    /// The table.
    pub table: &'a str,
    /// The recipient's number, or the table's own.
    pub number: u64,
    /// The column.
    pub column: &'a str,
    /// The amendment's id, 0 for the sealed row.
    pub amendment: u64,
}

impl Aad<'_> {
    /// `lp(campaign) ‖ lp(table) ‖ number ‖ lp(column) ‖ amendment`, numbers as 8 bytes big-endian.
    pub fn encode(&self) -> Vec<u8> {
        LpBuilder::new()
            .lp(self.campaign.as_bytes())
            .lp(self.table.as_bytes())
            .number(self.number)
            .lp(self.column.as_bytes())
            .number(self.amendment)
            .finish()
    }
}

/// One campaign's key with everything derived from it made ready: it is used millions of times.
pub struct CampaignKey {
    bytes: Zeroizing<[u8; 32]>,
    blobs: XChaCha20Poly1305,
    seen: MacKey,
    lots: MacKey,
    expander: Expander,
}

impl CampaignKey {
    /// Draws a new campaign key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut bytes[..]);
        Self::from_secret(bytes)
    }

    fn from_secret(bytes: Zeroizing<[u8; 32]>) -> Self {
        let expander = Expander::new(&bytes[..]);
        let blobs = XChaCha20Poly1305::new(&sub_key(&expander, b"blob"));
        let seen = MacKey::new(&sub_key(&expander, b"seen")[..]);
        let lots = MacKey::new(&sub_key(&expander, b"lot")[..]);
        Self { bytes, blobs, seen, lots, expander }
    }

    /// The key encrypted under the data key, as it is stored on the campaign.
    pub fn wrap(
        &self,
        data_key: &Key,
        campaign: &Uuid,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Vec<u8> {
        let mut head = Vec::with_capacity(WRAPPED);
        head.push(WRAP_VERSION);
        head.extend_from_slice(data_key.id().as_bytes());
        let aad = wrap_aad(data_key, campaign);
        seal(&wrapper(data_key), head, &aad, &self.bytes[..], rng)
    }

    /// Opens what [`CampaignKey::wrap`] made, under the same data key and for the same campaign.
    pub fn unwrap(
        wrapped: &[u8],
        data_key: &Key,
        campaign: &Uuid,
    ) -> Result<Self, CampaignKeyError> {
        let form = CampaignKeyError::WrappedForm(wrapped.len());
        if wrapped.len() != WRAPPED || wrapped[0] != WRAP_VERSION {
            return Err(form);
        }
        let wrapped_under = KeyId::from_bytes([wrapped[1], wrapped[2]]).map_err(|_| form)?;
        if wrapped_under != data_key.id() {
            return Err(CampaignKeyError::OtherDataKey { wrapped_under, loaded: data_key.id() });
        }
        let aad = wrap_aad(data_key, campaign);
        let opened = open(&wrapper(data_key), &aad, &wrapped[3..])
            .map_err(|_| CampaignKeyError::Unwrap { campaign: *campaign })?;
        let opened = Zeroizing::new(opened);
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&opened);
        Ok(Self::from_secret(bytes))
    }

    /// Seals a value for its place: a fresh random 24-byte nonce, the ciphertext, its tag.
    pub fn seal_blob(
        &self,
        aad: &Aad<'_>,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Vec<u8> {
        let out = Vec::with_capacity(NONCE + plaintext.len() + TAG);
        seal(&self.blobs, out, &aad.encode(), plaintext, rng)
    }

    /// Opens a value sealed for this very place.
    pub fn open_blob(&self, aad: &Aad<'_>, blob: &[u8]) -> Result<Vec<u8>, CampaignKeyError> {
        open(&self.blobs, &aad.encode(), blob)
    }

    /// What is kept of a credential's current value: an HMAC that tells later whether it changed,
    /// and nothing else.
    pub fn seen(&self, current: &[u8]) -> Digest {
        self.seen.mac(&[current])
    }

    /// An account's lot in the draw of the canary: evenly spread, the same each time, and nobody's to
    /// choose without the key.
    pub fn lot(&self, account: &[u8]) -> u64 {
        let digest = self.lots.mac(&[account]);
        digest.as_bytes().iter().take(8).fold(0, |lot, byte| lot << 8 | u64::from(*byte))
    }

    /// Fills `out` with the bytes the replacement of an expired credential is made of: always the
    /// same for the same account, kind and value seen, so that a retry never writes another one.
    pub fn expiry_bytes(
        &self,
        account: &[u8],
        kind: &str,
        seen: &Digest,
        out: &mut [u8],
    ) -> Result<(), DigestError> {
        let info = LpBuilder::new().raw(b"expire").lp(account).lp(kind.as_bytes());
        self.expander.fill(&info.raw(seen.as_bytes()).finish(), out)
    }
}

impl fmt::Debug for CampaignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CampaignKey(redacted)")
    }
}

fn sub_key(expander: &Expander, label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    expander.fill(label, &mut out[..]).expect("32 bytes are one HKDF block");
    out
}

fn wrapper(data_key: &Key) -> XChaCha20Poly1305 {
    debug_assert_eq!(data_key.purpose(), KeyPurpose::Data, "campaign keys go under the data key");
    XChaCha20Poly1305::new(data_key.secret())
}

fn wrap_aad(data_key: &Key, campaign: &Uuid) -> Vec<u8> {
    LpBuilder::new()
        .lp(b"forthwith campaign key v1")
        .lp(campaign.as_bytes())
        .lp(data_key.id().as_bytes())
        .finish()
}

/// Appends nonce, ciphertext and tag to `out`.
fn seal(
    cipher: &XChaCha20Poly1305,
    mut out: Vec<u8>,
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    out.extend_from_slice(&nonce);
    let start = out.len();
    out.extend_from_slice(plaintext);
    let tag = cipher.seal(&nonce, aad, &mut out[start..]);
    out.extend_from_slice(&tag);
    out
}

fn open(cipher: &XChaCha20Poly1305, aad: &[u8], blob: &[u8]) -> Result<Vec<u8>, CampaignKeyError> {
    let cut = CampaignKeyError::BlobForm(blob.len());
    let (nonce, rest) = blob.split_first_chunk::<NONCE>().ok_or(cut)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(cut)?;
    let mut plain = ciphertext.to_vec();
    cipher.open(nonce, aad, &mut plain, *tag).map_err(|_| CampaignKeyError::Open)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const CAMPAIGN: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
    const PLACE: Aad<'static> =
        Aad { campaign: CAMPAIGN, table: "recipient", number: 42, column: "blob", amendment: 0 };

    fn rng() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    fn fixed() -> CampaignKey {
        CampaignKey::from_secret(Zeroizing::new([9; 32]))
    }

    #[test]
    fn a_wrapped_key_comes_back_the_same() {
        let rng = &mut rng();
        let (data, key) = (Key::generate(KeyPurpose::Data, rng), CampaignKey::generate(rng));
        let wrapped = key.wrap(&data, &CAMPAIGN, rng);
        let back = CampaignKey::unwrap(&wrapped, &data, &CAMPAIGN).unwrap();
        assert_eq!(back.bytes, key.bytes);
        let blob = key.seal_blob(&PLACE, b"someone@example.com", rng);
        assert_eq!(back.open_blob(&PLACE, &blob).unwrap(), b"someone@example.com");
    }

    #[test]
    fn a_wrapped_key_opens_under_no_other_data_key_and_for_no_other_campaign() {
        let rng = &mut rng();
        let (data, key) = (Key::generate(KeyPurpose::Data, rng), CampaignKey::generate(rng));
        let wrapped = key.wrap(&data, &CAMPAIGN, rng);
        let other = Key::generate(KeyPurpose::Data, rng);
        assert_eq!(
            CampaignKey::unwrap(&wrapped, &other, &CAMPAIGN).unwrap_err(),
            CampaignKeyError::OtherDataKey { wrapped_under: data.id(), loaded: other.id() }
        );
        let mut renamed = wrapped.clone();
        renamed[1..3].copy_from_slice(other.id().as_bytes());
        for (wrapped, data, campaign) in
            [(&renamed, &other, CAMPAIGN), (&wrapped, &data, Uuid::nil())]
        {
            assert_eq!(
                CampaignKey::unwrap(wrapped, data, &campaign).unwrap_err(),
                CampaignKeyError::Unwrap { campaign }
            );
        }
    }

    #[test]
    fn a_wrapped_key_altered_anywhere_or_cut_is_refused() {
        let rng = &mut rng();
        let (data, key) = (Key::generate(KeyPurpose::Data, rng), CampaignKey::generate(rng));
        let wrapped = key.wrap(&data, &CAMPAIGN, rng);
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            assert!(CampaignKey::unwrap(&altered, &data, &CAMPAIGN).is_err(), "byte {at}");
            assert!(CampaignKey::unwrap(&wrapped[..at], &data, &CAMPAIGN).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_blob_altered_anywhere_or_cut_is_refused() {
        let (key, rng) = (fixed(), &mut rng());
        let blob = key.seal_blob(&PLACE, b"someone@example.com", rng);
        for at in 0..blob.len() {
            let mut altered = blob.clone();
            altered[at] ^= 0x80;
            assert_eq!(key.open_blob(&PLACE, &altered), Err(CampaignKeyError::Open));
            assert!(key.open_blob(&PLACE, &blob[..at]).is_err());
        }
        let other = CampaignKey::generate(rng);
        assert_eq!(other.open_blob(&PLACE, &blob), Err(CampaignKeyError::Open));
    }

    #[test]
    fn a_blob_opens_in_no_other_place() {
        let key = fixed();
        let blob = key.seal_blob(&PLACE, b"", &mut rng());
        assert_eq!(key.open_blob(&PLACE, &blob), Ok(Vec::new()));
        let elsewhere = [
            Aad { campaign: Uuid::nil(), ..PLACE },
            Aad { table: "amendment", ..PLACE },
            Aad { number: 43, ..PLACE },
            Aad { column: "address", ..PLACE },
            Aad { amendment: 1, ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(key.open_blob(&place, &blob), Err(CampaignKeyError::Open), "{place:?}");
        }
    }

    #[test]
    fn the_same_value_is_sealed_under_a_fresh_nonce_each_time() {
        let (key, rng) = (fixed(), &mut rng());
        let (one, two) = (key.seal_blob(&PLACE, b"x", rng), key.seal_blob(&PLACE, b"x", rng));
        assert_ne!(one[..NONCE], two[..NONCE]);
        assert_ne!(one[NONCE..], two[NONCE..]);
        assert_eq!(one.len(), NONCE + 1 + TAG);
    }

    #[test]
    fn blobs_of_an_earlier_build_still_open() {
        let blob = hex::decode("000102030405060708090a0b0c0d0e0f1011121314151617a0896dfee17678ab0bb3275a2ad5000d9586601b9b4405c665c87a46bc9a83ea7e03db").unwrap();
        assert_eq!(fixed().open_blob(&PLACE, &blob).unwrap(), b"someone@example.com");
    }

    #[test]
    fn what_was_seen_and_what_replaces_it_never_change() {
        let key = fixed();
        let seen = key.seen(b"$argon2id$stolen");
        assert_eq!(
            seen.to_string(),
            "65a989de2c44db3e704871711ff581bd3d342284b075ce66eaba5eafb368a906"
        );
        let mut out = [0; 40];
        key.expiry_bytes(b"user-17", "password", &seen, &mut out).unwrap();
        assert_eq!(
            hex::encode(out),
            "9a02a9075d790d58b7f27dffd9ce49c270b1c9ce83df8e4cff74c9bc50d5c361eef9ca921c75a6c3"
        );
        let mut other = [0; 40];
        for (account, kind, value) in [
            (&b"user-18"[..], "password", seen),
            (b"user-17", "session", seen),
            (b"user-17p", "assword", seen),
            (b"user-17", "password", key.seen(b"another")),
        ] {
            key.expiry_bytes(account, kind, &value, &mut other).unwrap();
            assert_ne!(out, other, "{kind}");
        }
    }

    #[test]
    fn a_lot_is_the_accounts_own_and_spread_evenly() {
        let key = fixed();
        assert_eq!(key.lot(b"user-17"), key.lot(b"user-17"));
        let low = (0..10_000).filter(|n: &u32| key.lot(&n.to_be_bytes()) < u64::MAX / 10).count();
        assert!((850..1_150).contains(&low), "{low} of 10,000 below a tenth");
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", fixed()), "CampaignKey(redacted)");
    }
}
