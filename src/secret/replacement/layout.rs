//! Where salt and digest lie in a stored value, scheme by scheme. It knows text only: nothing of
//! keys, streams or databases.

pub(super) mod ldap;

use std::ops::Range;

const DIGITS: &[u8] = b"0123456789";
const HEX_LOWER: &[u8] = b"0123456789abcdef";
const HEX_UPPER: &[u8] = b"0123456789ABCDEF";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// As `BASE64`, with passlib's dot for the plus sign.
const BASE64_DOT: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";
const BCRYPT: &[u8] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const CRYPT: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Lengths of a digest in hex: MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
const HEX_LENGTHS: [usize; 6] = [32, 40, 56, 64, 96, 128];
/// A shorter digest would be too easy to hit by chance.
const MIN_DIGEST: usize = 16;
/// No stored hash is longer; it bounds what is asked of the derived stream.
const MAX_LENGTH: usize = 1024;

/// Which bits of a field's last character belong to the encoded bytes.
#[derive(Debug, Clone, Copy)]
enum Ending {
    /// All of them: the field is text, not encoded bytes.
    Free,
    /// The high bits, as in RFC 4648 and bcrypt.
    HighBits,
    /// The low bits, as in crypt(3) and phpass.
    LowBits,
}

/// A run of characters to be replaced.
#[derive(Debug)]
pub(super) struct Field {
    /// Where it lies, in bytes.
    pub(super) range: Range<usize>,
    /// The characters it may have.
    pub(super) alphabet: &'static [u8],
    ending: Ending,
}

impl Field {
    /// Turns drawn bytes into the field's characters, in place.
    pub(super) fn spell(&self, drawn: &mut [u8]) {
        let last = drawn.len().saturating_sub(1);
        let rest = drawn.len() % 4;
        for (at, byte) in drawn.iter_mut().enumerate() {
            let mut place = usize::from(*byte) % self.alphabet.len();
            if at == last {
                place &= match (self.ending, rest) {
                    (Ending::HighBits, 2) => 0b11_0000,
                    (Ending::HighBits, 3) => 0b11_1100,
                    (Ending::LowBits, 2) => 0b00_0011,
                    (Ending::LowBits, 3) => 0b00_1111,
                    _ => usize::MAX,
                };
            }
            *byte = self.alphabet[place];
        }
    }
}

/// What a stored value is made of.
#[derive(Debug)]
pub(super) struct Layout {
    /// The scheme's name for messages.
    pub(super) name: &'static str,
    /// What is to be replaced, in no order but that the digest is last.
    pub(super) fields: Vec<Field>,
}

impl Layout {
    fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

/// A part of a stored value and where it begins.
#[derive(Clone, Copy)]
struct Part<'a> {
    at: usize,
    text: &'a str,
}

impl<'a> Part<'a> {
    fn field(self, alphabet: &'static [u8], ending: Ending) -> Field {
        Field { range: self.at..self.at + self.text.len(), alphabet, ending }
    }

    fn from(self, start: usize) -> Part<'a> {
        Part { at: self.at + start, text: &self.text[start..] }
    }

    /// The parts between separators.
    fn split(self, separator: char) -> Vec<Part<'a>> {
        let mut at = self.at;
        self.text
            .split(separator)
            .map(|text| {
                let part = Part { at, text };
                at += text.len() + 1;
                part
            })
            .collect()
    }

    fn is_of(self, alphabet: &[u8]) -> bool {
        let allowed = alphabet.iter().fold(0_u128, |set, byte| set | 1 << byte);
        self.text.bytes().all(|byte| byte < 128 && allowed >> byte & 1 == 1)
    }

    /// Salt or digest in base64; padding stays. The alphabet is the one the value uses.
    fn base64(self, dotted: bool) -> Option<Field> {
        let bare = Part { text: self.text.trim_end_matches('='), ..self };
        let plus = bare.is_of(BASE64) && (!dotted || bare.text.contains('+'));
        let alphabet = if plus { BASE64 } else { BASE64_DOT };
        (bare.is_of(alphabet) && bare.text.len() % 4 != 1)
            .then(|| bare.field(alphabet, Ending::HighBits))
    }

    fn base64_digest(self, dotted: bool) -> Option<Field> {
        self.base64(dotted).filter(|field| field.range.len() >= MIN_DIGEST)
    }

    /// A digest in hex, its case kept.
    fn hex_digest(self) -> Option<Field> {
        let alphabet = hex_alphabet(self)?;
        HEX_LENGTHS.contains(&self.text.len()).then(|| self.field(alphabet, Ending::Free))
    }

    /// A salt of letters and digits, as narrow as the present one.
    fn text_salt(self) -> Field {
        let alphabet = if self.is_of(DIGITS) { Some(DIGITS) } else { hex_alphabet(self) };
        self.field(alphabet.unwrap_or(ALNUM), Ending::Free)
    }
}

/// The hex alphabet a part keeps to; lower case where it mixes both.
fn hex_alphabet(part: Part<'_>) -> Option<&'static [u8]> {
    if !part.text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let shouts = part.text.bytes().any(|byte| byte.is_ascii_uppercase())
        && !part.text.bytes().any(|byte| byte.is_ascii_lowercase());
    Some(if shouts { HEX_UPPER } else { HEX_LOWER })
}

/// Finds the scheme of a stored value.
pub(super) fn layout(current: &str) -> Option<Layout> {
    if !current.is_ascii() || current.len() > MAX_LENGTH {
        return None;
    }
    if let Some(found) = ldap::layout(current) {
        return Some(found);
    }
    let mut whole = Part { at: 0, text: current };
    // Spring's and LDAP's word before the value, as in `{bcrypt}$2a$10$…`.
    if current.starts_with('{') {
        whole = whole.from(current.find('}')? + 1);
    }
    if whole.text.starts_with('$') {
        return modular(whole);
    }
    django(whole).or_else(|| hex_forms(whole))
}

/// `$id$…`: PHC strings and crypt(3).
fn modular(whole: Part<'_>) -> Option<Layout> {
    let parts = whole.split('$');
    let id = parts.get(1)?.text;
    match (id, parts.as_slice()) {
        ("argon2id", _) => phc(&parts).map(|found| found.named("argon2id")),
        ("argon2i", _) => phc(&parts).map(|found| found.named("argon2i")),
        ("argon2d", _) => phc(&parts).map(|found| found.named("argon2d")),
        ("scrypt", _) => phc(&parts).map(|found| found.named("scrypt")),
        _ if id == "pbkdf2" || id.starts_with("pbkdf2-") => phc(&parts),
        ("2a" | "2b" | "2y", [_, _, cost, tail]) => bcrypt(*cost, *tail),
        ("wp", [_, _, inner, ..]) if inner.text == "2y" => {
            modular(whole.from("$wp".len())).map(|found| found.named("wordpress bcrypt"))
        }
        ("5", [_, _, rest @ ..]) => sha_crypt("sha256-crypt", rest, 43),
        ("6", [_, _, rest @ ..]) => sha_crypt("sha512-crypt", rest, 86),
        ("1" | "apr1", [_, _, salt, digest]) => crypt("md5-crypt", *salt, *digest, 22),
        ("y" | "gy", [_, _, _, salt, digest]) => yescrypt(*salt, *digest),
        ("P" | "H", [_, _, tail]) => phpass(*tail),
        _ => None,
    }
}

/// `$id$[v=…$]parameters$salt$digest`.
fn phc(parts: &[Part<'_>]) -> Option<Layout> {
    let [_, _, parameters @ .., salt, digest] = parts else {
        return None;
    };
    // passlib writes a bare round count and a dot for the plus sign.
    let dotted = !parameters.last()?.text.contains('=');
    let fields = vec![salt.base64(dotted)?, digest.base64_digest(dotted)?];
    Some(Layout { name: "pbkdf2", fields })
}

fn bcrypt(cost: Part<'_>, tail: Part<'_>) -> Option<Layout> {
    if cost.text.len() != 2 || !cost.is_of(DIGITS) || tail.text.len() != 53 || !tail.is_of(BCRYPT) {
        return None;
    }
    let salt = Part { text: &tail.text[..22], ..tail };
    let fields = [salt, tail.from(22)].map(|part| part.field(BCRYPT, Ending::HighBits));
    Some(Layout { name: "bcrypt", fields: fields.into() })
}

fn crypt(name: &'static str, salt: Part<'_>, digest: Part<'_>, length: usize) -> Option<Layout> {
    if digest.text.len() != length || !digest.is_of(CRYPT) || salt.text.len() > 16 {
        return None;
    }
    let fields = vec![salt.field(CRYPT, Ending::Free), digest.field(CRYPT, Ending::LowBits)];
    Some(Layout { name, fields })
}

/// `[rounds=N$]salt$digest`.
fn sha_crypt(name: &'static str, rest: &[Part<'_>], length: usize) -> Option<Layout> {
    match rest {
        [salt, digest] => crypt(name, *salt, *digest, length),
        [rounds, salt, digest] if rounds.text.starts_with("rounds=") => {
            crypt(name, *salt, *digest, length)
        }
        _ => None,
    }
}

fn yescrypt(salt: Part<'_>, digest: Part<'_>) -> Option<Layout> {
    if digest.text.len() != 43 || !digest.is_of(CRYPT) || !salt.is_of(CRYPT) {
        return None;
    }
    let fields = [salt, digest].map(|part| part.field(CRYPT, Ending::LowBits));
    Some(Layout { name: "yescrypt", fields: fields.into() })
}

/// One character of cost, eight of salt, 22 of digest.
fn phpass(tail: Part<'_>) -> Option<Layout> {
    if tail.text.len() != 31 || !tail.is_of(CRYPT) {
        return None;
    }
    let salt = Part { text: &tail.text[1..9], at: tail.at + 1 };
    let fields = [salt, tail.from(9)].map(|part| part.field(CRYPT, Ending::LowBits));
    Some(Layout { name: "phpass", fields: fields.into() })
}

/// `algorithm$…`, as Django writes it.
fn django(whole: Part<'_>) -> Option<Layout> {
    let parts = whole.split('$');
    let algorithm = parts.first()?.text;
    let salted = |name, salt: Part<'_>, digest: Part<'_>| {
        let fields = vec![salt.field(ALNUM, Ending::Free), digest.base64_digest(false)?];
        Some(Layout { name, fields })
    };
    match (algorithm, parts.as_slice()) {
        ("argon2", _) => modular(whole.from("argon2".len())).map(|it| it.named("django argon2")),
        ("bcrypt" | "bcrypt_sha256", _) => {
            modular(whole.from(algorithm.len() + 1)).map(|found| found.named("django bcrypt"))
        }
        ("scrypt", [_, _, salt, _, _, digest]) => salted("django scrypt", *salt, *digest),
        (_, [_, _, salt, digest]) if algorithm.starts_with("pbkdf2_") => {
            salted("django pbkdf2", *salt, *digest)
        }
        _ => None,
    }
}

/// Digests in hex, alone or with a salt beside them.
fn hex_forms(whole: Part<'_>) -> Option<Layout> {
    if let Some(digest) = whole.hex_digest() {
        return Some(Layout { name: "hex digest", fields: vec![digest] });
    }
    let fields = match (whole.split('$').as_slice(), whole.split(':').as_slice()) {
        ([left, right], _) | (_, [left, right]) => beside(*left, *right)?,
        // `sha1$salt$hex` of old Django, `pbkdf2:sha256:600000$salt$hex` of Werkzeug.
        ([_, salt, digest], _) => vec![salt.text_salt(), digest.hex_digest()?],
        // Magento's `hex:salt:version`.
        (_, [digest, salt, version]) if version.is_of(b"0123456789_") => {
            vec![salt.text_salt(), digest.hex_digest()?]
        }
        _ => return None,
    };
    Some(Layout { name: "salted hex digest", fields })
}

/// Which of two parts is the digest: the one that can be one, the longer one where both can.
fn beside(left: Part<'_>, right: Part<'_>) -> Option<Vec<Field>> {
    match (left.hex_digest(), right.hex_digest()) {
        (Some(digest), Some(_)) if left.text.len() >= right.text.len() => {
            Some(vec![right.text_salt(), digest])
        }
        (_, Some(digest)) => Some(vec![left.text_salt(), digest]),
        (Some(digest), None) => Some(vec![right.text_salt(), digest]),
        (None, None) => None,
    }
}

/// The characters behind the last separator, each a field of its own sort. The very last one is
/// left, since it may carry padding bits.
pub(super) fn last_segment(current: &str) -> Option<Layout> {
    if !current.is_ascii() || current.len() > MAX_LENGTH {
        return None;
    }
    let start = current.rfind(['$', ':', '}', '|', ',', ' ']).map_or(0, |at| at + 1);
    let segment = Part { at: start, text: &current[start..] };
    let hex = if segment.is_of(DIGITS) { None } else { hex_alphabet(segment) };
    let mut fields: Vec<Field> = segment
        .text
        .bytes()
        .enumerate()
        .filter_map(|(at, byte)| {
            let sort = match byte {
                b'0'..=b'9' => DIGITS,
                b'a'..=b'z' => LOWER,
                b'A'..=b'Z' => UPPER,
                _ => return None,
            };
            let at = start + at;
            Some(Field { range: at..at + 1, alphabet: hex.unwrap_or(sort), ending: Ending::Free })
        })
        .collect();
    fields.pop()?;
    (fields.len() >= MIN_DIGEST).then_some(Layout { name: "last segment", fields })
}
