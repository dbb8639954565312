//! The two tracks of a campaign and the states they pass through (`docs/lifecycle.md`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which world a campaign may touch. It is part of every approved digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// Loopback relays and directories that carry the rehearsal marker only.
    #[default]
    Rehearsal,
    /// The living; refuses a directory that carries the marker.
    Live,
}

/// The two tracks: containment runs tonight, the notice when counsel is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Track {
    /// Expire credentials, end sessions, read back.
    Containment,
    /// Render and send.
    Notice,
}

/// Where the containment track stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainmentState {
    /// Nothing approved yet.
    None,
    /// Two operators signed; nothing changed yet.
    Approved,
    /// A secure pass began.
    Running,
    /// An operator paused it, or it paused itself; the cause is beside it.
    Paused,
    /// Every sealed credential has a class other than pending.
    Done,
}

/// Where the notice track stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// Nothing approved yet.
    Draft,
    /// Two operators signed; nothing sent yet.
    Approved,
    /// Notices go out.
    Running,
    /// Stopped; the cause is beside it.
    Paused,
    /// Waits for a wave's evidence.
    AtGate,
    /// No delivery is left that the machine could move.
    SendingFinished,
    /// Nobody is left open.
    Closed,
    /// Given up; whoever was untold is waived(cancelled).
    Cancelled,
}

/// Why the notice track is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseCause {
    /// Somebody said `campaign pause`.
    Operator,
    /// A breaker tripped.
    Breaker,
    /// The fault is ours: relay, sender, templates.
    Configuration,
}

/// Why the containment track is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainmentPause {
    /// Somebody said `containment pause`.
    Operator,
    /// The first batch is done and waits to be looked at.
    FirstBatch,
    /// A control account changed.
    ControlAccount,
    /// A statement changed more than it was given.
    Statement,
    /// Most of a first batch was not proved by its read-back.
    ReadBack,
}

impl ContainmentPause {
    /// The causes for which a pass or a re-check pauses itself: then something else may be approved, since
    /// going on would do the same once more. An operator who pauses only stops it.
    pub const BY_ITSELF: [Self; 4] =
        [Self::FirstBatch, Self::ControlAccount, Self::Statement, Self::ReadBack];
}

macro_rules! words {
    ($($type:ident { $($variant:ident => $word:literal),+ $(,)? })+) => {$(
        impl $type {
            /// The word used in the database, the ledger and on screen.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word back.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    )+};
}

words! {
    Environment { Rehearsal => "rehearsal", Live => "live" }
    Track { Containment => "containment", Notice => "notice" }
    ContainmentState {
        None => "none", Approved => "approved", Running => "running", Paused => "paused",
        Done => "done",
    }
    NoticeState {
        Draft => "draft", Approved => "approved", Running => "running", Paused => "paused",
        AtGate => "at-gate", SendingFinished => "sending-finished", Closed => "closed",
        Cancelled => "cancelled",
    }
    ContainmentPause {
        Operator => "operator", FirstBatch => "first-batch", ControlAccount => "control-account",
        Statement => "statement", ReadBack => "read-back",
    }
    PauseCause { Operator => "operator", Breaker => "breaker", Configuration => "configuration" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_schema() {
        assert_eq!(NoticeState::parse("sending-finished"), Some(NoticeState::SendingFinished));
        assert_eq!(NoticeState::AtGate.word(), "at-gate");
        assert_eq!(ContainmentState::parse("gone"), None);
        assert_eq!(Environment::default(), Environment::Rehearsal);
    }
}
