//! `Credentials` on SQLite.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::classes::{Lines, Moved, change_rows, move_counters};
use super::{SqliteStore, StoreError, row};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::delivery::DeliveryClass;
use crate::store::credentials::{
    CredentialListing, Credentials, OwnWrite, Pick, SealedAccount, Settlement,
};
use crate::store::deliveries::Move;

#[derive(sqlx::FromRow)]
struct AccountColumns {
    number: i64,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    class: Option<String>,
    delivery_class: Option<String>,
    delivery_reason: Option<String>,
}

const PENDING: &str = "SELECT r.number, r.salt, r.body, c.class, d.class AS delivery_class,
            d.reason AS delivery_reason
     FROM recipient AS r
     LEFT JOIN credential AS c
       ON c.campaign_id = $1 AND c.number = r.number AND c.kind = $3
     LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
     WHERE r.seal_id = $2 AND r.number > $4 AND r.copy_of IS NULL AND c.class IS NULL
     ORDER BY r.number
     LIMIT $5";

const FAILED: &str = "SELECT r.number, r.salt, r.body, c.class, d.class AS delivery_class,
            d.reason AS delivery_reason
     FROM recipient AS r
     JOIN credential AS c
       ON c.campaign_id = $1 AND c.number = r.number AND c.kind = $3
     LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
     WHERE r.seal_id = $2 AND r.number > $4 AND c.class = 'failed'
     ORDER BY r.number
     LIMIT $5";

const ANY: &str = "SELECT r.number, r.salt, r.body, NULL AS class, NULL AS delivery_class,
            NULL AS delivery_reason
     FROM recipient AS r
     WHERE r.seal_id = $2 AND r.number > $4 AND r.copy_of IS NULL
     ORDER BY r.number
     LIMIT $5";

fn parse_class(word: &str, number: i64) -> Result<CredentialClass, StoreError> {
    word.parse().map_err(|_| StoreError::Corrupt {
        table: "credential",
        column: "class",
        row: number.to_string(),
    })
}

impl SqliteStore {
    async fn accounts(
        &self,
        sql: &'static str,
        campaign: i64,
        kind: CredentialKind,
        after: u64,
        limit: u32,
    ) -> Result<Vec<SealedAccount>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<AccountColumns> = sqlx::query_as(sql)
            .bind(campaign)
            .bind(seal)
            .bind(kind.to_string())
            .bind(row::int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find accounts to secure"))?;
        let mut planned = self.own_writes(campaign, kind, &rows).await?;
        rows.into_iter()
            .map(|found| {
                let class = match &found.class {
                    Some(word) => parse_class(word, found.number)?,
                    None => CredentialClass::Pending,
                };
                Ok(SealedAccount {
                    number: row::uint(found.number),
                    salt: row::bytes(&found.salt, "recipient", "salt", found.number)?,
                    body: found.body.unwrap_or_default(),
                    class,
                    planned: planned.remove(&found.number).unwrap_or_default(),
                    delivery: (
                        found.delivery_class.unwrap_or_else(|| "queued".into()),
                        found.delivery_reason.unwrap_or_default(),
                    ),
                })
            })
            .collect()
    }

    async fn own_writes(
        &self,
        campaign: i64,
        kind: CredentialKind,
        rows: &[AccountColumns],
    ) -> Result<HashMap<i64, Vec<[u8; 32]>>, StoreError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(HashMap::new());
        };
        let found: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT number, planned
             FROM credential_write
             WHERE campaign_id = $1 AND number BETWEEN $2 AND $3 AND kind = $4",
        )
        .bind(campaign)
        .bind(first.number)
        .bind(last.number)
        .bind(kind.to_string())
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("read our own writes"))?;
        let mut planned: HashMap<i64, Vec<[u8; 32]>> = HashMap::new();
        for (number, blob) in found {
            let digest = row::bytes(&blob, "credential_write", "planned", number)?;
            planned.entry(number).or_default().push(digest);
        }
        Ok(planned)
    }
}

#[async_trait]
impl Credentials for SqliteStore {
    async fn next_accounts(
        &self,
        campaign: i64,
        kind: CredentialKind,
        pick: Pick,
        after: u64,
        limit: u32,
    ) -> Result<Vec<SealedAccount>, StoreError> {
        let sql = match pick {
            Pick::Pending => PENDING,
            Pick::Failed => FAILED,
        };
        self.accounts(sql, campaign, kind, after, limit).await
    }

    async fn some_accounts(
        &self,
        campaign: i64,
        limit: u32,
    ) -> Result<Vec<SealedAccount>, StoreError> {
        self.accounts(ANY, campaign, CredentialKind::Password, 0, limit).await
    }

    async fn record_writes(
        &self,
        campaign: i64,
        kind: CredentialKind,
        writes: Vec<OwnWrite>,
    ) -> Result<(), StoreError> {
        let rows: Vec<Value> = writes
            .iter()
            .map(|own| {
                json!({
                    "number": own.number,
                    "planned": hex::encode(own.planned),
                    "seen": hex::encode(own.seen),
                })
            })
            .collect();
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO credential_write (campaign_id, number, kind, planned, seen, written_at)
             SELECT $2, j.value ->> 'number', $3, unhex(j.value ->> 'planned'),
                    unhex(j.value ->> 'seen'), $4
             FROM json_each($1) AS j
             WHERE true
             ON CONFLICT DO NOTHING",
        )
        .bind(Value::Array(rows).to_string())
        .bind(campaign)
        .bind(kind.to_string())
        .bind(row::micros(self.now()))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("record what is about to be written"))?;
        self.commit(write).await
    }

    async fn settle(
        &self,
        campaign: i64,
        kind: CredentialKind,
        settlements: Vec<Settlement>,
    ) -> Result<u64, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let mut moved = Moved::default();
        let changed = change_classes(write.conn(), campaign, kind, &settlements, now).await?;
        let mut lines = Vec::new();
        let mut moves = Vec::new();
        for settled in settlements.iter().filter(|s| changed.contains(&row::int(s.number))) {
            let label = |class: CredentialClass| format!("{kind}/{class}");
            let from = (settled.from != CredentialClass::Pending).then(|| label(settled.from));
            moved.credential(settled.number, from, label(settled.to));
            lines.push(settled.line.clone());
            moves.extend(settled.delivery.as_ref());
        }
        keep_held(write.conn(), campaign, &mut moves).await?;
        let Lines(held) = change_rows(write.conn(), campaign, &moves, now, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        lines.extend(held);
        self.wake(&mut write, seal, &moved).await?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(changed.len() as u64)
    }

    async fn list_credentials(
        &self,
        campaign: i64,
        class: Option<CredentialClass>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<CredentialListing>, StoreError> {
        type Columns = (i64, Option<Vec<u8>>, String, String, String, i64);
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT c.number, r.body, c.kind, c.class, c.reason, c.changed_at
             FROM credential AS c
             JOIN recipient AS r ON r.seal_id = $2 AND r.number = c.number
             WHERE c.campaign_id = $1 AND c.number > $3 AND ($4 IS NULL OR c.class = $4)
             ORDER BY c.number, c.kind
             LIMIT $5",
        )
        .bind(campaign)
        .bind(seal)
        .bind(row::int(after))
        .bind(class.map(|class| class.to_string()))
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list credentials"))?;
        rows.into_iter()
            .map(|(number, body, kind, class, reason, changed_at)| {
                Ok(CredentialListing {
                    number: row::uint(number),
                    body,
                    kind: kind.parse().map_err(|_| StoreError::Corrupt {
                        table: "credential",
                        column: "kind",
                        row: number.to_string(),
                    })?,
                    class: parse_class(&class, number)?,
                    reason,
                    changed_at: row::instant(changed_at),
                })
            })
            .collect()
    }
}

/// Takes out releases of people of whom another kind of credential is failed, or of whose group another
/// account's is: they stay held.
async fn keep_held(
    conn: &mut SqliteConnection,
    campaign: i64,
    moves: &mut Vec<&Move>,
) -> Result<(), StoreError> {
    let released: Vec<u64> = moves
        .iter()
        .filter(|change| change.to == DeliveryClass::Queued)
        .map(|change| change.number)
        .collect();
    if released.is_empty() {
        return Ok(());
    }
    let failed: Vec<i64> = sqlx::query_scalar(
        "SELECT j.value
         FROM json_each($2) AS j
         CROSS JOIN credential AS c ON c.campaign_id = $1 AND c.number = j.value
         WHERE c.class = 'failed'
         UNION
         SELECT j.value
         FROM json_each($2) AS j
         CROSS JOIN follower AS own ON own.campaign_id = $1 AND own.number = j.value
         CROSS JOIN follower AS f INDEXED BY follower_by_leader
           ON f.campaign_id = $1 AND f.leader = own.leader
         CROSS JOIN credential AS c ON c.campaign_id = $1 AND c.number = f.number
         WHERE c.class = 'failed' AND f.kind <> 'copy'",
    )
    .bind(campaign)
    .bind(json!(released).to_string())
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("find credentials that failed"))?;
    moves.retain(|change| {
        change.to != DeliveryClass::Queued || !failed.contains(&row::int(change.number))
    });
    Ok(())
}

/// Changes the guarded credential rows and returns the numbers that really changed.
async fn change_classes(
    conn: &mut SqliteConnection,
    campaign: i64,
    kind: CredentialKind,
    settlements: &[Settlement],
    now: i64,
) -> Result<std::collections::HashSet<i64>, StoreError> {
    let rows: Vec<Value> = settlements
        .iter()
        .map(|settled| {
            json!({
                "number": settled.number,
                "from": settled.from.to_string(),
                "to": settled.to.to_string(),
                "reason": settled.reason,
            })
        })
        .collect();
    let changed: Vec<i64> = sqlx::query_scalar(
        "INSERT INTO credential (campaign_id, number, kind, class, reason, changed_at)
         SELECT $2, j.value ->> 'number', $3, j.value ->> 'to', j.value ->> 'reason', $4
         FROM json_each($1) AS j
         LEFT JOIN credential AS c
           ON c.campaign_id = $2 AND c.number = CAST(j.value ->> 'number' AS INTEGER) AND c.kind = $3
         WHERE COALESCE(c.class, 'pending') = j.value ->> 'from'
         ON CONFLICT (campaign_id, number, kind) DO UPDATE
         SET class = excluded.class, reason = excluded.reason, changed_at = excluded.changed_at
         RETURNING number",
    )
    .bind(Value::Array(rows).to_string())
    .bind(campaign)
    .bind(kind.to_string())
    .bind(now)
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("settle credentials"))?;
    Ok(changed.into_iter().collect())
}
