//! Who is behind a number: sealed rows opened with the workspace's keys, by the library, to read alone.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use forthwith::domain::track::Environment;
use forthwith::engine::Workspace;
use forthwith::engine::people::People;
use forthwith::secret::campaign_key::CampaignKey;
use forthwith::secret::keyring::Keyring;
use uuid::Uuid;

use super::CAMPAIGN;
use super::shop::reading;

/// The sealed people of the campaign, by number and by address.
#[derive(Debug, Default)]
pub struct Directory {
    pub campaign: i64,
    pub addresses: BTreeMap<u64, String>,
    pub numbers: HashMap<String, u64>,
}

impl Directory {
    /// Opens every sealed row of a workspace's campaign.
    pub async fn read(folder: &Path) -> Result<Self> {
        let workspace = Workspace::at(folder);
        let keys = Keyring::load(&workspace.keys())?;
        let mut conn = reading(&workspace.database()).await?;
        let (campaign, uuid, seal, wrapped): (i64, Vec<u8>, i64, Vec<u8>) =
            sqlx::query_as("SELECT id, uuid, seal_id, wrapped_key FROM campaign WHERE name = $1")
                .bind(CAMPAIGN)
                .fetch_one(&mut conn)
                .await
                .context("the campaign is not sealed")?;
        let uuid = Uuid::from_slice(&uuid)?;
        let people = People {
            campaign,
            uuid,
            name: CAMPAIGN.into(),
            environment: Environment::Rehearsal,
            directory: "shop".into(),
            key: Arc::new(CampaignKey::unwrap(&wrapped, keys.data(), &uuid)?),
        };
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT number, body FROM recipient WHERE seal_id = $1")
                .bind(seal)
                .fetch_all(&mut conn)
                .await?;
        let mut known = Self { campaign, ..Self::default() };
        for (number, body) in rows {
            let number = u64::try_from(number)?;
            let recipient = people.open(number, &body)?;
            let address = recipient.address.as_ref().map(|address| address.as_str().to_owned());
            let address = address.unwrap_or_default();
            known.numbers.insert(address.clone(), number);
            known.addresses.insert(number, address);
        }
        Ok(known)
    }
}
