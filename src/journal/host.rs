//! Which machine this is, so that a workspace that was copied to another one is seen. A machine without an
//! id of its own, as many containers are, is known by its host name.

use std::io::Read as _;

/// Where the machine's own id stands; the first that holds one.
const FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Where a machine's name stands that has no id.
const NAME: &str = "/proc/sys/kernel/hostname";

/// A machine (16 bytes); all zeros where nothing tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostId([u8; 16]);

impl HostId {
    /// The machine this process runs on.
    pub(super) fn here() -> Self {
        let read = |path: &str| {
            let mut text = String::new();
            let file = std::fs::File::open(path).ok()?;
            file.take(64).read_to_string(&mut text).ok()?;
            Some(text)
        };
        let own = FILES.iter().find_map(|path| Self::parse(&read(path)?));
        own.or_else(|| Some(Self::of_name(read(NAME)?.trim()))).unwrap_or(Self([0; 16]))
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// 32 hexadecimal digits (machine-id(5)).
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// A name folded to the size of an id.
    fn of_name(name: &str) -> Self {
        let mut bytes = [0; 16];
        for (at, byte) in name.bytes().enumerate() {
            let turn = u32::try_from(at / 16).unwrap_or(0);
            bytes[at % 16] ^= byte.rotate_left(turn);
        }
        Self(bytes)
    }

    /// Whether both are known and the same machine: one without an id is never proved to be any.
    pub(super) fn is(self, other: Self) -> bool {
        self.0 != [0; 16] && self.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_apart_by_id_or_name_and_an_unknown_one_is_no_other() {
        let known = HostId::parse("0123456789abcdef0123456789abcdef\n").unwrap();
        assert!(known.is(known));
        let none = HostId::from_bytes([0; 16]);
        assert!(!none.is(none) && !none.is(known));
        let [one, two] = ["relay-1", "relay-2"].map(HostId::of_name);
        assert!(one.is(one) && !one.is(two) && !one.is(known));
        for text in ["", "uninitialized", "0123"] {
            assert!(HostId::parse(text).is_none(), "{text}");
        }
    }
}
