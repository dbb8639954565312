//! Audiences for houses: other sources than the shop's export, and campaigns after the first.

use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::engine::progress::Silent;
use forthwith::store::seals::SealRow;

use super::{ANN, BOB, House, INCIDENT, campaign_file, person, write};

/// A campaign file whose `[audience]` is this text.
pub fn with_audience(audience: &str) -> String {
    let file = campaign_file("");
    let (head, tail) = file.split_once("[audience.csv]").unwrap();
    let (_, tail) = tail.split_once("[directory]").unwrap();
    format!("{head}{audience}\n\n[directory]{tail}")
}

/// The shop's export as an audience, with further keys of `[audience]` before it.
pub fn csv_audience(more: &str) -> String {
    format!(
        "[audience]\n{more}\n[audience.csv]\npath = \"affected.csv\"\ncolumns = {{ account = \
         \"customer_id\", address = \"email\", name = \"name\" }}"
    )
}

impl House {
    /// Writes a campaign that speaks of no credentials, so that its notice needs no secure pass.
    pub fn write_campaign(&self, name: &str, audience: &str) {
        let file = with_audience(audience).replace("[notice]\n", "[notice]\nmode = \"none\"\n");
        write(&self.engine.workspace.campaign_file(name).0, &file);
        let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
        write(&self.engine.workspace.incident_file("cold-night").0, &incident);
    }

    pub async fn seal_of(&self, name: &str) -> Result<SealRow, EngineError> {
        Ok(self.engine.seal(name, &Silent).await?.row)
    }

    /// Plans a campaign's notice and has both sign it.
    pub async fn approve_notice(&self, name: &str) {
        self.engine.plan(name, Track::Notice, false).await.unwrap();
        for who in [ANN, BOB] {
            let signer = self.engine.signer(person(who)).await.unwrap();
            self.engine.approve(name, Track::Notice, &signer).await.unwrap();
        }
    }
}
