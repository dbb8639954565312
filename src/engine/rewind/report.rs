//! What a recovery found and did, for people and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a recovery comes to, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecoverReport {
    /// How the rewind was seen; empty where nothing is rewound and journals were read late.
    pub cause: String,
    /// The same in words.
    pub words: String,
    /// Ledger batches this host saw that the database lacks: what operators did is among them.
    pub missing_batches: Option<u64>,
    /// The last ledger batch of the restored database.
    pub backup_batch: i64,
    /// The incarnation before.
    pub from_incarnation: u64,
    /// The incarnation afterwards.
    pub to_incarnation: u64,
    /// Journals read.
    pub journals: u64,
    /// Attempts that were on their way when the backup was made, and are settled.
    pub in_flight: u64,
    /// Lives of workers whose journal is missing.
    pub missing_lives: Vec<u64>,
    /// Journals that are damaged, or of a boot that ended before they were on the disk.
    pub broken: Vec<String>,
    /// Whether the journals prove what became of everybody.
    pub is_proved: bool,
    /// Why not; empty where they do.
    pub unproved_because: String,
    /// Campaign by campaign.
    pub campaigns: Vec<CampaignRecovery>,
    /// Campaigns that journals know and the database does not.
    pub unknown: Vec<UnknownCampaign>,
}

/// What it comes to for one campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CampaignRecovery {
    /// Its name.
    pub name: String,
    /// Attempts put back, by how they ended.
    pub attempts: BTreeMap<String, u64>,
    /// People whose class they changed.
    pub moved: u64,
    /// Doubts that they settled.
    pub settled: u64,
    /// People who certainly got a second copy.
    pub second_copies: u64,
    /// People held in doubt because nothing proves that they were not told.
    pub held: u64,
    /// Doubts about links whose salt is lost with the database.
    pub links_in_doubt: u64,
    /// People told with a link that this database does not know.
    pub links_unknown: u64,
    /// Its notice track was paused.
    pub notice_paused: bool,
    /// Its containment track was paused.
    pub containment_paused: bool,
}

/// A campaign that only journals know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UnknownCampaign {
    /// Its id, as the ledger knows it.
    pub campaign: String,
    /// Attempts of it that its journals tell of.
    pub attempts: u64,
    /// Those of them that were accepted.
    pub accepted: u64,
    /// Where the journals are.
    pub folders: Vec<String>,
}

impl RecoverReport {
    /// The line of a campaign, made on its first use.
    pub(super) fn of(&mut self, name: &str) -> &mut CampaignRecovery {
        let at = self.campaigns.iter().position(|one| one.name == name).unwrap_or_else(|| {
            self.campaigns.push(CampaignRecovery { name: name.into(), ..Default::default() });
            self.campaigns.len() - 1
        });
        &mut self.campaigns[at]
    }

    /// The line of a campaign that only journals know.
    pub(super) fn unknown(&mut self, campaign: &str, folder: &str) -> &mut UnknownCampaign {
        let at =
            self.unknown.iter().position(|one| one.campaign == campaign).unwrap_or_else(|| {
                self.unknown
                    .push(UnknownCampaign { campaign: campaign.into(), ..Default::default() });
                self.unknown.len() - 1
            });
        let line = &mut self.unknown[at];
        if !line.folders.iter().any(|known| known == folder) {
            line.folders.push(folder.into());
        }
        line
    }
}
