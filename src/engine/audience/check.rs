//! `forthwith audience check`: a seal's whole reading and cleaning, and nothing kept but the rejects.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::census::Census;
use crate::domain::totals::SourceTotals;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::seal::Loading;
use crate::engine::{Engine, EngineError};
use crate::secret::campaign_key::CampaignKey;
use crate::source::Source as _;

/// Mailbox providers that are named.
const MOST_PROVIDERS: usize = 10;

/// What a seal of this audience would come to.
#[derive(Debug, Clone, Serialize)]
pub struct AudienceCheck {
    /// What it is read from.
    pub source: String,
    /// The first line of promise 1, as a seal would have it.
    pub totals: SourceTotals,
    /// Rows left out before it, by the step that leaves them out.
    pub excluded: BTreeMap<String, u64>,
    /// Rejected rows by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Where the rejected rows are kept, where there are any.
    pub rejects: Option<PathBuf>,
    /// People who would not be queued for mail, by class and reason.
    pub not_queued: BTreeMap<String, u64>,
    /// Names that the neutral salutation would stand for.
    pub names_refused: u64,
    /// Rows by whether their address can be mailed, as the source alone tells.
    pub addresses: BTreeMap<String, u64>,
    /// Rows by language tag.
    pub locales: BTreeMap<String, u64>,
    /// Rows by region.
    pub regions: BTreeMap<String, u64>,
    /// Rows by whom the notice speaks to.
    pub addressees: BTreeMap<String, u64>,
    /// Rows by mailbox provider, the ten largest.
    pub providers: Vec<(String, u64)>,
    /// Rows whose value of a column was absent (merge fields) or refused, by column.
    pub fields_refused: BTreeMap<String, u64>,
    /// What differs from `[audience.expect]`, which would block the notice.
    pub differences: Vec<String>,
}

impl Engine {
    /// Reads and cleans a campaign's audience as a seal would; the database stays as it is.
    pub async fn check_audience(
        &self,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<AudienceCheck, EngineError> {
        let file = self.campaign_file(name)?;
        let check = format!("{name}.check");
        let data = self.workspace.database();
        let data = data.parent().unwrap_or(self.workspace.root());
        let folder = tempfile::Builder::new().prefix("check-").tempdir_in(data);
        let folder = folder.map_err(EngineError::file(data))?;
        // a key that nobody keeps: what is left of the staging file, if anything, opens to nobody
        let people = People {
            campaign: 0,
            uuid: Uuid::nil(),
            name: check.clone(),
            environment: file.environment,
            directory: file.directory_name().to_owned(),
            key: Arc::new(CampaignKey::generate(&mut rand::rng())),
        };
        let source = self.open_audience(name, &file, progress).await?;
        let mut census = Census::new(source, Arc::clone(&self.providers));
        let mut staging = self.store.staging(&folder.path().join("staging")).await?;
        staging.restart().await?;
        let as_of = self.clock.now();
        let rules = self.address_rules(name, &file, as_of).await?;
        let loading = Loading { name: &check, file: &file, people: &people, rules, as_of };
        let rejects = self.load_from(&mut census, loading, staging.as_mut(), progress).await?;
        let (totals, names_refused) = staging.totals().await?;
        let excluded = census.excluded();
        let mut providers: Vec<(String, u64)> = census.counts.providers.into_iter().collect();
        providers.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        providers.truncate(MOST_PROVIDERS);
        let (kind, origin) = file.audience.provenance();
        Ok(AudienceCheck {
            source: format!("{kind} {origin}"),
            differences: file.audience.expect.differences(&totals, excluded.values().sum()),
            totals,
            excluded,
            rejected: rejects.counts,
            rejects: rejects.path,
            not_queued: not_queued(staging.births().await?),
            names_refused,
            addresses: census.counts.addresses,
            locales: census.counts.locales,
            regions: census.counts.regions,
            addressees: census.counts.addressees,
            providers,
            fields_refused: census.counts.refused,
        })
    }
}

/// Those of what a seal counts who would not be queued.
fn not_queued(mut births: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    births.retain(|label, count| {
        *count > 0 && (label.starts_with("held/") || label.starts_with("fallback/"))
    });
    births
}
