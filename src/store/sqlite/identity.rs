//! The database's own identity, drawn once when the file is made.

use rand::RngExt as _;
use uuid::Uuid;

use super::{SqliteStore, StoreError, row};
use crate::store::campaigns::DatabaseIdentity;

impl SqliteStore {
    /// Draws the identity where there is none yet.
    pub(super) async fn found(&self) -> Result<(), StoreError> {
        let known: Option<i64> = sqlx::query_scalar("SELECT one FROM database_identity")
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::on("read the database's identity"))?;
        if known.is_some() {
            return Ok(());
        }
        let bytes: [u8; 16] = rand::rng().random();
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO database_identity (one, database_id, incarnation, created_at)
             VALUES (1, $1, 1, $2)
             ON CONFLICT (one) DO NOTHING",
        )
        .bind(&id.as_bytes()[..])
        .bind(row::micros(self.now()))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("draw the database's identity"))?;
        sqlx::query(
            "INSERT INTO incarnation (number, drawn_at, cause)
             VALUES (1, $1, 'created')
             ON CONFLICT (number) DO NOTHING",
        )
        .bind(row::micros(self.now()))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("draw the first incarnation"))?;
        self.commit(write).await
    }

    /// Reads the identity.
    pub(super) async fn read_identity(&self) -> Result<DatabaseIdentity, StoreError> {
        let (id, incarnation): (Vec<u8>, i64) =
            sqlx::query_as("SELECT database_id, incarnation FROM database_identity")
                .fetch_one(&self.reader)
                .await
                .map_err(StoreError::on("read the database's identity"))?;
        let id = row::bytes::<16>(&id, "database_identity", "database_id", 1)?;
        Ok(DatabaseIdentity {
            database_id: Uuid::from_bytes(id),
            incarnation: row::uint(incarnation),
        })
    }
}
