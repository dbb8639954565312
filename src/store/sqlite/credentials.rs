//! `Credentials` on SQLite.

mod accounts;
mod changes;
mod holds;

pub(super) use changes::record as record_writes;

use async_trait::async_trait;
use jiff::Timestamp;

use super::classes::{Lines, Moved, change_rows, move_counters};
use super::{SqliteStore, StoreError, WriteTx, row};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::store::credentials::{
    CredentialListing, Credentials, Exemption, OwnWrite, Pick, SealedAccount, Settlement,
};
use crate::store::deliveries::Move;

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
        self.accounts(accounts::of(pick), campaign, kind, after, limit).await
    }

    async fn accounts_of(
        &self,
        campaign: i64,
        kind: CredentialKind,
        numbers: &[u64],
    ) -> Result<Vec<SealedAccount>, StoreError> {
        self.accounts_among(campaign, kind, numbers).await
    }

    async fn classes_of(
        &self,
        campaign: i64,
        kind: CredentialKind,
        numbers: &[u64],
    ) -> Result<Vec<Option<(CredentialClass, Timestamp)>>, StoreError> {
        self.classes_among(campaign, kind, numbers).await
    }

    async fn some_accounts(
        &self,
        campaign: i64,
        limit: u32,
    ) -> Result<Vec<SealedAccount>, StoreError> {
        let everybody = accounts::of(Pick::Everybody);
        self.accounts(everybody, campaign, CredentialKind::Password, 0, limit).await
    }

    async fn record_and_settle(
        &self,
        campaign: i64,
        kind: CredentialKind,
        writes: Vec<OwnWrite>,
        settlements: Vec<Settlement>,
    ) -> Result<u64, StoreError> {
        if writes.is_empty() && settlements.is_empty() {
            return Ok(0);
        }
        let seal = self.seal_of(campaign).await?;
        let mut write = self.write().await?;
        let changed = self.settle_in(&mut write, (campaign, seal), kind, settlements).await?;
        let now = row::micros(self.now());
        changes::record(write.conn(), campaign, kind, &writes, now).await?;
        self.commit(write).await?;
        Ok(changed)
    }

    async fn exempt(
        &self,
        campaign: i64,
        kind: CredentialKind,
        settlement: Settlement,
        exemption: Exemption,
    ) -> Result<bool, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let number = settlement.number;
        let mut write = self.write().await?;
        if self.settle_in(&mut write, (campaign, seal), kind, vec![settlement]).await? == 0 {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO exemption (campaign_id, number, kind, reason, exempted_by, signature,
                                    exempted_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(campaign)
        .bind(row::int(number))
        .bind(kind.word())
        .bind(&exemption.reason)
        .bind(&exemption.by)
        .bind(&exemption.signature[..])
        .bind(row::micros(self.now()))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("keep an exemption"))?;
        self.commit(write).await?;
        Ok(true)
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
                    class: accounts::parse_class(&class, number)?,
                    reason,
                    changed_at: row::instant(changed_at),
                })
            })
            .collect()
    }
}

impl SqliteStore {
    /// Settles classes inside a transaction, with holds, counters and ledger lines; returns how many
    /// really changed.
    pub(super) async fn settle_in(
        &self,
        write: &mut WriteTx,
        (campaign, seal): (i64, i64),
        kind: CredentialKind,
        settlements: Vec<Settlement>,
    ) -> Result<u64, StoreError> {
        if settlements.is_empty() {
            return Ok(0);
        }
        let now = row::micros(self.now());
        let mut moved = Moved::default();
        let changed = changes::settle(write.conn(), campaign, kind, &settlements, now).await?;
        let mut lines = Vec::with_capacity(changed.len());
        let mut moves: Vec<Move> = Vec::new();
        for settled in settlements.into_iter().filter(|s| changed.contains(&row::int(s.number))) {
            let label = |class: CredentialClass| format!("{kind}/{class}");
            let from = (settled.from != CredentialClass::Pending).then(|| label(settled.from));
            moved.credential(settled.number, from, label(settled.to));
            lines.push(settled.line);
            moves.extend(settled.delivery);
        }
        let moves = holds::that_apply(write.conn(), campaign, moves.iter().collect()).await?;
        let moves: Vec<&Move> = moves.iter().collect();
        let Lines(held) = change_rows(write.conn(), campaign, &moves, now, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        lines.extend(held);
        self.wake(write, seal, &moved).await?;
        self.log(write, &lines).await?;
        Ok(changed.len() as u64)
    }
}
