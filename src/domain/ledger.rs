//! What the evidence log says: one entry per event, canonical JSON, no name, address or free text.

mod line;

use std::collections::BTreeMap;

use serde::Serialize;

/// One event. Persons appear as `HMAC(row salt, account)` in hex (protocol §9). The store adds
/// `"copy":true` to a class change of a second address, which is nobody in the sums.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// The workspace's database came to be.
    Founded {
        /// Public keys of the founders, hex, by name digest.
        founders: Vec<String>,
    },
    /// An operator was added or vouched for again.
    Operator {
        /// Their public key, hex.
        key: String,
        /// Public keys of those who vouch, hex.
        added_by: Vec<String>,
    },
    /// The people of a campaign were frozen.
    Sealed {
        /// The campaign.
        campaign: String,
        /// Merkle root over the chunks' roots, hex.
        root: String,
        /// SHA-256 of the source as read, hex.
        source: String,
        /// SHA-256 of the rules people were judged by, hex.
        rules: String,
        /// Counts per cleaning step, address reason and kind of row, and the classes people were born
        /// into.
        counts: BTreeMap<String, u64>,
    },
    /// A snapshot was stored for approval.
    Planned {
        /// The campaign.
        campaign: String,
        /// Which track.
        track: &'static str,
        /// The snapshot's digest, hex.
        snapshot: String,
    },
    /// An operator signed a snapshot and the seal root.
    Approved {
        /// The campaign.
        campaign: String,
        /// Which track.
        track: &'static str,
        /// The snapshot's digest, hex.
        snapshot: String,
        /// The seal's root, hex.
        root: String,
        /// The signer's public key, hex.
        key: String,
        /// Two founders in the founding act.
        founding: bool,
    },
    /// A track moved.
    Track {
        /// The campaign.
        campaign: String,
        /// Which track.
        track: &'static str,
        /// Its state before.
        from: &'static str,
        /// Its state now.
        to: &'static str,
        /// Who or what: an operator's key, `os:user@host`, or `engine`.
        by: String,
    },
    /// A track of a live campaign was let loose by somebody who typed its name and head count.
    Launched {
        /// The campaign.
        campaign: String,
        /// Which track.
        track: &'static str,
        /// How many people it is for.
        head_count: u64,
        /// Who: `os:user@host`.
        by: String,
    },
    /// A credential's class was settled by read-back.
    Credential {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// `password`, `session`, …
        credential: &'static str,
        /// Class before.
        from: &'static str,
        /// Class now.
        to: &'static str,
    },
    /// Somebody proved that an account is theirs and set a new password; beside the credential's change of
    /// class.
    Reset {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// What proved them: `code` or `link`.
        by: &'static str,
    },
    /// Every link and code of a campaign was taken back at once.
    Revoked {
        /// The campaign.
        campaign: String,
        /// The signer's public key, hex.
        key: String,
    },
    /// A credential was taken out of the pass by name; beside its change of class.
    Exempted {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// `password`, `session`, …
        credential: &'static str,
        /// The signer's public key, hex.
        key: String,
        /// Their signature over campaign, number, kind and reason, hex.
        signature: String,
    },
    /// What was expired was read again.
    Rechecked {
        /// The campaign.
        campaign: String,
        /// Credentials read.
        checked: u64,
        /// Still our own value, or gone.
        fine: u64,
        /// Old or unexplained values that had come back.
        regressed: u64,
        /// Those of them that are expired again.
        mended: u64,
        /// Set anew elsewhere, with evidence.
        reset_elsewhere: u64,
    },
    /// An attempt ended: intent facts and outcome in one.
    Attempt {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// Generation of the notice.
        generation: u32,
        /// Which attempt of it.
        n: u32,
        /// Class before.
        from: String,
        /// Class now.
        to: String,
        /// How the attempt ended.
        result: &'static str,
        /// The peer's reply code.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// The peer's enhanced status.
        #[serde(skip_serializing_if = "Option::is_none")]
        enhanced: Option<String>,
        /// What a refusal was read as: a word of the reply classes.
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<&'static str>,
    },
    /// A class changed without an attempt: by policy, by an operator, by the secure pass.
    Moved {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// Class before.
        from: String,
        /// Class now.
        to: String,
        /// Who or what moved it.
        by: String,
    },
    /// An amendment beside the seal, with the class change it made.
    Amended {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// `withdraw`, `replace-address`, …
        amendment: &'static str,
        /// Which of the person's amendments, from 1.
        n: u32,
        /// Class before.
        from: String,
        /// Class now.
        to: String,
        /// Public keys of those who signed it, hex.
        keys: Vec<String>,
    },
    /// A lane was suspended, slowed or resumed for the sender's fault.
    Lane {
        /// The campaign.
        campaign: String,
        /// The mailbox provider.
        provider: String,
        /// `suspended`, `slowed` or `resumed`.
        to: &'static str,
        /// The peer's reply code.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// What the reply was read as.
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<&'static str>,
        /// Messages a minute, where it was slowed.
        #[serde(skip_serializing_if = "Option::is_none")]
        per_minute: Option<String>,
    },
    /// A wave opened: from now on its people are told.
    WaveOpened {
        /// The campaign.
        campaign: String,
        /// Its place, from 1.
        wave: u32,
        /// Its people.
        people: u64,
    },
    /// An operator gave evidence for a gate; the words stand in the database alone.
    GatePassed {
        /// The campaign.
        campaign: String,
        /// The gate's name.
        gate: String,
        /// The signer's public key, hex.
        key: String,
    },
    /// An operator saw how the canary went and let the others follow.
    CanaryGo {
        /// The campaign.
        campaign: String,
        /// People told.
        told: u64,
        /// People at addresses that do not exist.
        bounced: u64,
        /// People to be tried again.
        deferred: u64,
        /// People who complained.
        complaints: u64,
        /// The signer's public key, hex.
        key: String,
    },
    /// An attempt that a restored database had lost was put back by a wire journal's word; or, by
    /// `evidence` "none", somebody is held in doubt because nobody knows whether there was one.
    Recovered {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// Generation of the notice.
        generation: u32,
        /// Which attempt of it.
        n: u32,
        /// Class before.
        from: String,
        /// Class now.
        to: String,
        /// How the attempt ended.
        result: &'static str,
        /// `journal` or `none`.
        evidence: &'static str,
    },
    /// A journal proves that somebody was sent the same notice twice.
    SecondCopy {
        /// The campaign.
        campaign: String,
        /// The person.
        person: String,
        /// Generation of the notice.
        generation: u32,
        /// The attempt that was taken for lost.
        n: u32,
    },
    /// Journals that no backup from this batch on needs were deleted.
    JournalsPruned {
        /// The ids of their workers.
        workers: Vec<String>,
        /// The ledger batch that the oldest backup kept holds at least.
        backup: i64,
        /// Who: `os:user@host`.
        by: String,
    },
    /// A rewind was ended: what this database lost since its backup was put back or held in doubt.
    Rewound {
        /// How it was seen, as a word.
        cause: &'static str,
        /// Ledger batches this host saw that are gone, as far as it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing_batches: Option<u64>,
        /// The incarnation before.
        from: u64,
        /// The incarnation now.
        to: u64,
        /// Whether journals proved everything.
        proved: bool,
        /// The signer's public key, hex.
        key: String,
    },
    /// The pace was set or changed; it is outside the approval, but never silent.
    Pace {
        /// The campaign.
        campaign: String,
        /// A provider's name; empty = over all.
        provider: String,
        /// Messages a second; absent where it is not limited here.
        #[serde(skip_serializing_if = "Option::is_none")]
        per_second: Option<String>,
        /// Messages a day; absent where there is no quota.
        #[serde(skip_serializing_if = "Option::is_none")]
        per_day: Option<u64>,
        /// Who or what: `os:user@host`, or `file` at the start of a run.
        by: String,
    },
}
