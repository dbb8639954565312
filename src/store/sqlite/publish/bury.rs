//! Deleting what copies that never go live left behind, a slice at a time.

use sqlx::SqliteConnection;

use super::Publisher;
use crate::store::StoreError;

impl Publisher<'_> {
    /// Deletes the slices of copies that will never go live, by keyset.
    pub(super) async fn bury_others(&self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE seal SET state = 'dead'
             WHERE campaign_id = $1 AND state = 'copying' AND root <> $2",
        )
        .bind(self.publication.campaign)
        .bind(&self.publication.root[..])
        .execute(&mut *conn)
        .await
        .map_err(StoreError::on("give up an older copy"))?;
        let dead: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM seal WHERE campaign_id = $1 AND state = 'dead'")
                .bind(self.publication.campaign)
                .fetch_all(&mut *conn)
                .await
                .map_err(StoreError::on("find dead copies"))?;
        for seal in dead {
            for sql in [
                "DELETE FROM recipient WHERE (seal_id, number) IN
                     (SELECT seal_id, number FROM recipient WHERE seal_id = $1 LIMIT 5000)",
                "DELETE FROM account_lookup WHERE (seal_id, digest, number) IN
                     (SELECT seal_id, digest, number FROM account_lookup WHERE seal_id = $1 LIMIT 5000)",
                "DELETE FROM address_lookup WHERE (seal_id, digest, number) IN
                     (SELECT seal_id, digest, number FROM address_lookup WHERE seal_id = $1 LIMIT 5000)",
                "DELETE FROM chunk WHERE (seal_id, number) IN
                     (SELECT seal_id, number FROM chunk WHERE seal_id = $1 LIMIT 5000)",
            ] {
                while execute(conn, "delete a dead copy", sql, seal).await? > 0 {}
            }
            // No seal of this campaign is live yet, so every delivery row it has was born by a dead one.
            let campaign = self.publication.campaign;
            for born in [
                "DELETE FROM delivery WHERE (campaign_id, number) IN
                     (SELECT campaign_id, number FROM delivery WHERE campaign_id = $1 LIMIT 5000)",
                "DELETE FROM follower WHERE (campaign_id, number) IN
                     (SELECT campaign_id, number FROM follower WHERE campaign_id = $1 LIMIT 5000)",
            ] {
                while execute(conn, "delete a dead copy's classes", born, campaign).await? > 0 {}
            }
            execute(conn, "delete a dead seal", "DELETE FROM seal WHERE id = $1", seal).await?;
        }
        Ok(())
    }
}

async fn execute(
    conn: &mut SqliteConnection,
    what: &'static str,
    sql: &'static str,
    bind: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query(sql).bind(bind).execute(conn).await.map_err(StoreError::on(what))?;
    Ok(done.rows_affected())
}
