//! Replies that wait to be written, and how each is to be written. Knows octets, no sockets.

use std::time::Duration;

/// How a part of the replies leaves, when not at once and whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// So long after what stands before it.
    After(Duration),
    /// One octet at a time.
    Bytewise,
}

/// A part of the replies with its way of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Offset of its first octet.
    pub(super) from: usize,
    /// Offset behind its last octet; what stands behind is written as usual.
    pub(super) to: usize,
    /// How it leaves.
    pub(super) how: Delivery,
}

/// Replies in the order in which they were given. Without faults it holds octets and no marks, and
/// is reused from one group of commands to the next.
#[derive(Debug, Default)]
pub(super) struct Replies {
    octets: Vec<u8>,
    marks: Vec<Mark>,
    slow: Duration,
}

impl Replies {
    /// An empty buffer; every reply waits `slow` before it leaves.
    pub(super) fn new(slow: Duration) -> Self {
        Self { slow, ..Self::default() }
    }

    /// Appends one reply, given without its last CRLF.
    pub(super) fn say(&mut self, line: &str) {
        if !self.slow.is_zero() {
            self.wait(self.octets.len(), self.slow);
        }
        self.octets.extend_from_slice(line.as_bytes());
        self.octets.extend_from_slice(b"\r\n");
    }

    /// Octets that wait.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// What waits from `from` on.
    pub(super) fn since(&self, from: usize) -> &[u8] {
        &self.octets[from..]
    }

    /// Puts `octets` in place of all that waits from `from` on.
    pub(super) fn replace(&mut self, from: usize, octets: &[u8]) {
        self.octets.truncate(from);
        self.octets.extend_from_slice(octets);
    }

    /// What waits from `from` on leaves `wait` after what stands before it.
    pub(super) fn wait(&mut self, from: usize, wait: Duration) {
        self.marks.push(Mark { from, to: from, how: Delivery::After(wait) });
    }

    /// What waits from `from` on leaves one octet at a time.
    pub(super) fn bytewise(&mut self, from: usize) {
        self.marks.push(Mark { from, to: self.octets.len(), how: Delivery::Bytewise });
    }

    /// All octets and their marks, in order.
    pub(super) fn parts(&self) -> (&[u8], &[Mark]) {
        (&self.octets, &self.marks)
    }

    /// Forgets what has been written; keeps the room for the next.
    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.marks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_faults_there_are_octets_and_no_marks() {
        let mut replies = Replies::new(Duration::ZERO);
        replies.say("250 one");
        replies.say("250 two");
        assert_eq!(replies.parts(), (&b"250 one\r\n250 two\r\n"[..], &[][..]));
        replies.clear();
        assert!(replies.is_empty());
    }

    #[test]
    fn a_slow_buffer_waits_before_each_reply() {
        let mut replies = Replies::new(Duration::from_secs(1));
        replies.say("250 one");
        replies.say("250 two");
        let froms: Vec<usize> = replies.parts().1.iter().map(|mark| mark.from).collect();
        assert_eq!(froms, [0, 9]);
    }
}
