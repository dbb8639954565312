//! `Campaigns` on SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{SqliteStore, StoreError, row};
use crate::domain::track::{ContainmentState, Environment, NoticeState, PauseCause};
use crate::store::LedgerMark;
use crate::store::campaigns::{
    CampaignRow, Campaigns, Control, DatabaseIdentity, KeyRow, NewCampaign, NoticeMove,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    uuid: Vec<u8>,
    name: String,
    incident: String,
    directory: String,
    environment: String,
    wrapped_key: Option<Vec<u8>>,
    seal_id: Option<i64>,
    containment_state: String,
    containment_digest: Option<Vec<u8>>,
    notice_state: String,
    notice_digest: Option<Vec<u8>>,
    pause_cause: Option<String>,
    pause_note: Option<String>,
}

impl Row {
    fn control(&self) -> Result<Control, StoreError> {
        control(
            &self.containment_state,
            &self.notice_state,
            self.pause_cause.as_deref(),
            self.pause_note.clone(),
        )
    }

    fn read(self) -> Result<CampaignRow, StoreError> {
        let corrupt =
            |column| StoreError::Corrupt { table: "campaign", column, row: self.name.clone() };
        let digest = |blob: &Option<Vec<u8>>, column| {
            blob.as_ref().map(|b| row::bytes(b, "campaign", column, self.id)).transpose()
        };
        Ok(CampaignRow {
            id: self.id,
            uuid: Uuid::from_slice(&self.uuid).map_err(|_| corrupt("uuid"))?,
            environment: Environment::parse(&self.environment)
                .ok_or_else(|| corrupt("environment"))?,
            control: self.control()?,
            containment_digest: digest(&self.containment_digest, "containment_digest")?,
            notice_digest: digest(&self.notice_digest, "notice_digest")?,
            name: self.name,
            incident: self.incident,
            directory: self.directory,
            wrapped_key: self.wrapped_key,
            seal_id: self.seal_id,
        })
    }
}

fn control(
    containment: &str,
    notice: &str,
    cause: Option<&str>,
    note: Option<String>,
) -> Result<Control, StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "campaign", column, row: String::new() };
    Ok(Control {
        containment: ContainmentState::parse(containment)
            .ok_or_else(|| corrupt("containment_state"))?,
        notice: NoticeState::parse(notice).ok_or_else(|| corrupt("notice_state"))?,
        pause_cause: cause
            .map(|word| PauseCause::parse(word).ok_or_else(|| corrupt("pause_cause")))
            .transpose()?,
        pause_note: note,
    })
}

const BY_NAME: &str = "SELECT id, uuid, name, incident, directory, environment, wrapped_key, seal_id,
            containment_state, containment_digest, notice_state, notice_digest, pause_cause, pause_note
     FROM campaign
     WHERE name = $1";

const ALL: &str = "SELECT id, uuid, name, incident, directory, environment, wrapped_key, seal_id,
            containment_state, containment_digest, notice_state, notice_digest, pause_cause, pause_note
     FROM campaign
     ORDER BY id";

#[async_trait]
impl Campaigns for SqliteStore {
    async fn identity(&self) -> Result<DatabaseIdentity, StoreError> {
        self.read_identity().await
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT purpose, id, fingerprint FROM key WHERE retired_at IS NULL ORDER BY purpose",
        )
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list keys"))?;
        let row = |(purpose, id, fingerprint)| KeyRow { purpose, id, fingerprint };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn add_keys(&self, keys: Vec<KeyRow>, at: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for key in keys {
            sqlx::query(
                "INSERT INTO key (purpose, id, fingerprint, created_at) VALUES ($1, $2, $3, $4)",
            )
            .bind(&key.purpose)
            .bind(&key.id)
            .bind(&key.fingerprint)
            .bind(row::micros(at))
            .execute(write.conn())
            .await
            .map_err(StoreError::on("note a key"))?;
        }
        self.commit(write).await
    }

    async fn ledger_head(&self) -> Result<Option<LedgerMark>, StoreError> {
        let found: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, sha256 FROM ledger_batch ORDER BY id DESC LIMIT 1")
                .fetch_optional(&self.reader)
                .await
                .map_err(StoreError::on("read the ledger's head"))?;
        found
            .map(|(batch_id, sha256)| {
                let sha256 = row::bytes(&sha256, "ledger_batch", "sha256", batch_id)?;
                Ok(LedgerMark { batch_id, sha256 })
            })
            .transpose()
    }

    async fn ledger_batch(&self, id: i64) -> Result<Option<[u8; 32]>, StoreError> {
        let found: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sha256 FROM ledger_batch WHERE id = $1")
                .bind(id)
                .fetch_optional(&self.reader)
                .await
                .map_err(StoreError::on("read a ledger batch"))?;
        found.map(|blob| row::bytes(&blob, "ledger_batch", "sha256", id)).transpose()
    }

    async fn ledger_lines(&self, after: i64, limit: u32) -> Result<Vec<(i64, String)>, StoreError> {
        let rows: Vec<(i64, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT id, entries FROM ledger_batch WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("read ledger entries"))?;
        let mut lines = Vec::new();
        for (id, entries) in rows {
            let entries = entries.unwrap_or_default();
            let text = String::from_utf8_lossy(&entries);
            lines.extend(text.lines().map(|line| (id, line.to_owned())));
        }
        Ok(lines)
    }

    async fn create_campaign(&self, new: NewCampaign) -> Result<i64, StoreError> {
        let mut write = self.write().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO campaign (uuid, name, incident, directory, environment, wrapped_key, key_ids,
                                   containment_state, notice_state, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'none', 'draft', $8)
             RETURNING id",
        )
        .bind(&new.uuid.as_bytes()[..])
        .bind(&new.name)
        .bind(&new.incident)
        .bind(&new.directory)
        .bind(new.environment.word())
        .bind(&new.wrapped_key)
        .bind(serde_json::to_string(&new.key_ids).unwrap_or_default())
        .bind(row::micros(new.created_at))
        .fetch_one(write.conn())
        .await
        .map_err(StoreError::on("create a campaign"))?;
        self.commit(write).await?;
        Ok(id)
    }

    async fn campaign(&self, name: &str) -> Result<Option<CampaignRow>, StoreError> {
        let found: Option<Row> = sqlx::query_as(BY_NAME)
            .bind(name)
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::on("find a campaign"))?;
        found.map(Row::read).transpose()
    }

    async fn campaigns(&self) -> Result<Vec<CampaignRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(ALL)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("list campaigns"))?;
        rows.into_iter().map(Row::read).collect()
    }

    async fn control(&self, campaign: i64) -> Result<Control, StoreError> {
        let (containment, notice, cause, note): (String, String, Option<String>, Option<String>) =
            sqlx::query_as(
                "SELECT containment_state, notice_state, pause_cause, pause_note
                 FROM campaign
                 WHERE id = $1",
            )
            .bind(campaign)
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("read the control row"))?;
        control(&containment, &notice, cause.as_deref(), note)
    }

    async fn move_containment(
        &self,
        campaign: i64,
        from: &[ContainmentState],
        to: ContainmentState,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let from: Vec<&str> = from.iter().map(|state| state.word()).collect();
        let mut write = self.write().await?;
        let changed = sqlx::query(
            "UPDATE campaign
             SET containment_state = $2
             WHERE id = $1 AND containment_state IN (SELECT value FROM json_each($3))",
        )
        .bind(campaign)
        .bind(to.word())
        .bind(serde_json::to_string(&from).unwrap_or_default())
        .execute(write.conn())
        .await
        .map_err(StoreError::on("move the containment track"))?
        .rows_affected();
        if changed == 1 {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(changed == 1)
    }

    async fn move_notice(
        &self,
        campaign: i64,
        change: NoticeMove,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let changed = change_notice(write.conn(), campaign, &change, now).await?;
        if changed {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(changed)
    }

    async fn append_ledger(&self, lines: Vec<String>) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }
}

/// Moves the notice track if it stands in one of the states it may leave; tells whether it did. The end
/// of a pause makes the retry windows longer by it.
pub(super) async fn change_notice(
    conn: &mut SqliteConnection,
    campaign: i64,
    change: &NoticeMove,
    now: i64,
) -> Result<bool, StoreError> {
    let from: Vec<&str> = change.from.iter().map(|state| state.word()).collect();
    let paused_at = paused_at(&mut *conn, campaign).await?;
    let changed = sqlx::query(
        "UPDATE campaign
         SET notice_state = $2,
             pause_cause = $3,
             pause_note = $4,
             paused_at = CASE $2 WHEN 'paused' THEN COALESCE(paused_at, $6) END
         WHERE id = $1 AND notice_state IN (SELECT value FROM json_each($5))",
    )
    .bind(campaign)
    .bind(change.to.word())
    .bind(change.cause.map(PauseCause::word))
    .bind(&change.note)
    .bind(serde_json::to_string(&from).unwrap_or_default())
    .bind(now)
    .execute(&mut *conn)
    .await
    .map_err(StoreError::on("move the notice track"))?
    .rows_affected();
    if changed == 1
        && let Some(since) = paused_at.filter(|_| change.to != NoticeState::Paused)
    {
        stand_still(conn, campaign, (now - since).max(0)).await?;
    }
    Ok(changed == 1)
}

/// Since when the notice track is paused.
async fn paused_at(conn: &mut SqliteConnection, campaign: i64) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar("SELECT paused_at FROM campaign WHERE id = $1")
        .bind(campaign)
        .fetch_one(conn)
        .await
        .map_err(StoreError::on("look how long the track was paused"))
}

/// Makes the retry windows of every lane longer by a pause: nobody is given up for it.
async fn stand_still(
    conn: &mut SqliteConnection,
    campaign: i64,
    micros: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO lane (campaign_id, wave, provider, send_window, stood_still)
         SELECT DISTINCT c.id, k.wave, k.provider, k.send_window, $2
         FROM campaign AS c JOIN chunk AS k ON k.seal_id = c.seal_id
         WHERE c.id = $1
         ON CONFLICT (campaign_id, wave, provider, send_window) DO UPDATE
         SET stood_still = stood_still + excluded.stood_still",
    )
    .bind(campaign)
    .bind(micros)
    .execute(conn)
    .await
    .map_err(StoreError::on("lengthen the retry windows by a pause"))?;
    Ok(())
}
