//! What a workspace needs: a shop, the list of affected accounts, and the files an operator writes.

use anyhow::{Result, ensure};
use forthwith::directory::shop::{self, ShopSpec};
use forthwith::engine::Workspace;

use super::CAMPAIGN;
use super::database::count;
use super::forthwith::{Forthwith, Line};
use super::shop::{Account, accounts, list};
use crate::files::{INCIDENT, PROVIDERS};

/// The page that personal links lead to.
const PAGE: &str = "reset_url = \"https://www.northwind.example/account/new-password\"\n";

/// What goes into a workspace.
pub struct Furniture<'a> {
    pub customers: u32,
    /// `forthwith.toml`.
    pub settings: &'a str,
    /// The campaign's file.
    pub campaign: &'a str,
}

impl Furniture<'_> {
    /// Puts all of it into a workspace that `init` has made; the accounts of the list.
    pub async fn bring(&self, forthwith: &Forthwith) -> Result<Vec<Account>> {
        let folder = &forthwith.folder;
        let database = Workspace::at(folder).database();
        let founders = count(&database, "SELECT COUNT(*) FROM operator").await?;
        ensure!(founders == 2, "init made no founders");
        let said = forthwith.done(&Line::of(&["directory", "marker"]))?;
        let marker = said.split('\'').find(|part| part.len() == 36).map(str::to_owned);
        ensure!(marker.is_some(), "`directory marker` named no database: {said}");
        let file = folder.join("shop.db");
        shop::create(&file, &ShopSpec { customers: self.customers, marker, seed: 7 }).await?;
        let accounts = accounts(&file).await?;
        std::fs::write(folder.join("affected.csv"), list(&accounts))?;
        std::fs::write(folder.join("forthwith.toml"), self.settings)?;
        std::fs::write(folder.join("providers.toml"), PROVIDERS)?;
        let incident = INCIDENT.replace("support_email", &format!("{PAGE}support_email"));
        let incidents = folder.join("incidents").join("cold-night");
        std::fs::create_dir_all(&incidents)?;
        std::fs::write(incidents.join("incident.toml"), incident)?;
        let campaign = folder.join("campaigns").join(format!("{CAMPAIGN}.toml"));
        std::fs::write(campaign, self.campaign)?;
        Ok(accounts)
    }
}
