//! Sealed people as the source of another audience, and two audiences beside each other. Read only, but
//! for the file of its own that a comparison works in.

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::class_selector::ClassSelector;

/// A person of a live seal, in its own words.
#[derive(Debug, Clone)]
pub struct SealedPerson {
    /// Its number.
    pub number: u64,
    /// The canonical row under the campaign's key; `None` after a purge.
    pub body: Option<Vec<u8>>,
    /// The notice to the address in force stands in one of the classes asked for; where that is told or in
    /// doubt, by this address.
    pub is_meant: bool,
    /// The row of their second address.
    pub copy: Option<SealedCopy>,
    /// Their address was replaced by these amendments, in their order.
    pub replaced: Vec<Replaced>,
}

/// The second address of a person of a live seal.
#[derive(Debug, Clone)]
pub struct SealedCopy {
    /// Its number.
    pub number: u64,
    /// The canonical row under the campaign's key; `None` after a purge.
    pub body: Option<Vec<u8>>,
    /// Its notice stands in one of the classes asked for.
    pub is_meant: bool,
}

/// An amendment that replaced a person's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Which of the person's amendments.
    pub n: u32,
    /// The notice to the address before it was told or in doubt, and that class is asked for.
    pub left_told: bool,
}

/// Where a person's notice stands: class word and reason word.
pub type Standing = (String, String);

/// A sealed campaign that was made of an earlier one's classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterCampaign {
    /// Its name.
    pub name: String,
    /// How it was made, in words: `minus first-wave (told)`.
    pub made_of: String,
}

/// People who are sealed in two campaigns, a page of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedPage {
    /// Where their notices stand in the one and in the other, and how many stand so.
    pub people: Vec<(Standing, Standing, u64)>,
    /// The digest of the last account looked at; none after the last page.
    pub last: Option<[u8; 16]>,
}

/// Which of two audiences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one named first.
    A,
    /// The one named second.
    B,
}

/// One row of one of two audiences.
#[derive(Debug, Clone)]
pub struct ComparedRow {
    /// Keyed digest of the account.
    pub account: [u8; 16],
    /// Keyed digest of everything that is compared beside the account.
    pub fields: [u8; 16],
    /// The account, encrypted.
    pub label: Vec<u8>,
}

/// How an account stands in two audiences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// In the first only.
    OnlyA,
    /// In the second only.
    OnlyB,
    /// In both, with other fields.
    Changed,
}

/// Accounts of two audiences, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComparedTotals {
    /// In the first only.
    pub only_a: u64,
    /// In the second only.
    pub only_b: u64,
    /// In both, with other fields.
    pub changed: u64,
    /// In both alike.
    pub same: u64,
}

/// Two audiences beside each other, in a file of its own: memory does not grow with them.
#[async_trait]
pub trait Comparison: Send {
    /// Adds rows of one side in their order; of an account's rows the first counts, as in a seal.
    async fn add(&mut self, side: Side, rows: Vec<ComparedRow>) -> Result<(), StoreError>;

    /// Ends adding and counts.
    async fn totals(&mut self) -> Result<ComparedTotals, StoreError>;

    /// Accounts that stand so, after `after` in digest order: digest and label.
    async fn list(
        &mut self,
        difference: Difference,
        after: [u8; 16],
        limit: u32,
    ) -> Result<Vec<([u8; 16], Vec<u8>)>, StoreError>;
}

/// Sealed people by class and by account.
#[async_trait]
pub trait Audiences {
    /// People whose notices stand in one of `classes` (any class where there are none) after `after`,
    /// by number. Second addresses and those that were replaced are no people of their own, but whoever
    /// was told there, or may have been, was told. Whoever waits for a second copy of a notice, the first
    /// one's fate unknown, stands in doubt.
    async fn sealed_people(
        &self,
        campaign: i64,
        classes: &[ClassSelector],
        after: u64,
        limit: u32,
    ) -> Result<Vec<SealedPerson>, StoreError>;

    /// Where the notices of those of `accounts` stand that are sealed in the campaign.
    async fn standings(
        &self,
        campaign: i64,
        accounts: &[[u8; 16]],
    ) -> Result<HashMap<[u8; 16], Standing>, StoreError>;

    /// The sealed campaigns that were made of this one's classes, by name.
    async fn later_campaigns(&self, campaign: i64) -> Result<Vec<LaterCampaign>, StoreError>;

    /// The people of the campaign `one` who are sealed in the campaign `other` too, `limit` accounts of
    /// `one` after `after` in digest order.
    async fn shared_people(
        &self,
        one: i64,
        other: i64,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<SharedPage, StoreError>;

    /// An empty comparison in a new file at `path`.
    async fn comparison(&self, path: &Path) -> Result<Box<dyn Comparison>, StoreError>;
}
