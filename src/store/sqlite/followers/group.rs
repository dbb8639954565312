//! Who carries: the notice is handed over, and rows leave their group.

use sqlx::SqliteConnection;

use crate::domain::delivery::DeliveryClass;
use crate::store::sqlite::classes::Moved;
use crate::store::{StoreError, row};

/// Hands a carrier's notice over to the lowest number of its group that is still to be told, which waits
/// for nobody any longer and can be claimed at once; gives that number back. `None` where `carrier` carries
/// nobody who is. Counters move with `moved`. Done twice it changes nothing more.
pub(in crate::store::sqlite) async fn hand_over(
    conn: &mut SqliteConnection,
    campaign: i64,
    carrier: u64,
    moved: &mut Moved,
) -> Result<Option<u64>, StoreError> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT f.number, COALESCE(d.class, 'queued'), COALESCE(d.reason, '')
         FROM follower AS f
         LEFT JOIN delivery AS d ON d.campaign_id = f.campaign_id AND d.number = f.number
         WHERE f.campaign_id = $1 AND f.leader = $2 AND f.kind = 'carried'
         ORDER BY f.number",
    )
    .bind(campaign)
    .bind(row::int(carrier))
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::on("find who is carried"))?;
    let mut next = None;
    for (number, class, reason) in rows {
        let class = row::class(&class, &reason, number)?;
        if class.is_machine_open() || class.is_person_open() {
            next = Some((row::uint(number), class));
            break;
        }
    }
    let Some((number, class)) = next else { return Ok(None) };
    remember_all(conn, campaign, carrier).await?;
    for (sql, what) in [
        ("DELETE FROM follower WHERE campaign_id = $1 AND number = $2", "take a carrier out"),
        (
            "UPDATE follower SET leader = $3
             WHERE campaign_id = $1 AND leader = $2 AND kind = 'carried'",
            "hand a notice over",
        ),
        (
            "UPDATE follower SET kind = 'carrier'
             WHERE campaign_id = $1 AND number = $3 AND leader = $3",
            "name a carrier",
        ),
    ] {
        sqlx::query(sql)
            .bind(campaign)
            .bind(row::int(carrier))
            .bind(row::int(number))
            .execute(&mut *conn)
            .await
            .map_err(StoreError::on(what))?;
    }
    moved.stands_alone(number, &class);
    Ok(Some(number))
}

/// Takes a row out of its group, where it is in one: a carrier hands over first, a carried row is told by a
/// notice of its own from now on. For whoever changes a person's address, before the change; gives back who
/// carries instead, where somebody has to.
pub(in crate::store::sqlite) async fn leave(
    conn: &mut SqliteConnection,
    campaign: i64,
    number: u64,
    moved: &mut Moved,
) -> Result<Option<u64>, StoreError> {
    let found: Option<(String, String, String)> = sqlx::query_as(
        "SELECT f.kind, COALESCE(d.class, 'queued'), COALESCE(d.reason, '')
         FROM follower AS f
         LEFT JOIN delivery AS d ON d.campaign_id = f.campaign_id AND d.number = f.number
         WHERE f.campaign_id = $1 AND f.number = $2",
    )
    .bind(campaign)
    .bind(row::int(number))
    .fetch_optional(&mut *conn)
    .await
    .map_err(StoreError::on("look for a row's group"))?;
    match found {
        Some((kind, ..)) if kind == "carrier" => {
            let next = hand_over(conn, campaign, number, moved).await?;
            if next.is_none() {
                disband(conn, campaign, number).await?;
            }
            Ok(next)
        }
        Some((kind, class, reason)) if kind == "carried" => {
            part(conn, campaign, number).await?;
            moved.stands_alone(number, &row::class(&class, &reason, row::int(number))?);
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// Ends a group nobody of which is to be told any more: its carrier's next notice, to another mailbox, must
/// not speak of the others.
async fn disband(
    conn: &mut SqliteConnection,
    campaign: i64,
    carrier: u64,
) -> Result<(), StoreError> {
    remember_all(conn, campaign, carrier).await?;
    sqlx::query("DELETE FROM follower WHERE campaign_id = $1 AND leader = $2 AND kind <> 'copy'")
        .bind(campaign)
        .bind(row::int(carrier))
        .execute(conn)
        .await
        .map_err(StoreError::on("end a group"))?;
    Ok(())
}

/// Notes the attempts that spoke for everybody a carrier carries.
async fn remember_all(
    conn: &mut SqliteConnection,
    campaign: i64,
    carrier: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO named_before (campaign_id, number, carrier, generation, n)
         SELECT f.campaign_id, f.number, f.leader, i.generation, i.n
         FROM (SELECT generation, n FROM intent
               WHERE campaign_id = $1 AND number = $2
               ORDER BY generation DESC, n DESC
               LIMIT 1) AS i
         CROSS JOIN follower AS f
           ON f.campaign_id = $1 AND f.leader = $2 AND f.kind = 'carried'
         WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(campaign)
    .bind(row::int(carrier))
    .execute(conn)
    .await
    .map_err(StoreError::on("note whom a notice named"))?;
    Ok(())
}

/// A carried row whose class is its own from now on.
pub(in crate::store::sqlite) async fn part(
    conn: &mut SqliteConnection,
    campaign: i64,
    number: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO named_before (campaign_id, number, carrier, generation, n)
         SELECT f.campaign_id, f.number, f.leader, i.generation, i.n
         FROM follower AS f
         CROSS JOIN intent AS i ON i.campaign_id = f.campaign_id AND i.number = f.leader
         WHERE f.campaign_id = $1 AND f.number = $2 AND f.kind = 'carried'
         ORDER BY i.generation DESC, i.n DESC
         LIMIT 1
         ON CONFLICT DO NOTHING",
    )
    .bind(campaign)
    .bind(row::int(number))
    .execute(&mut *conn)
    .await
    .map_err(StoreError::on("note who named a row"))?;
    sqlx::query("DELETE FROM follower WHERE campaign_id = $1 AND number = $2 AND kind = 'carried'")
        .bind(campaign)
        .bind(row::int(number))
        .execute(conn)
        .await
        .map_err(StoreError::on("take a row out of its group"))?;
    Ok(())
}

/// A row that waits for its carrier, or no longer does, in this class.
pub(in crate::store::sqlite) fn is_claimable(class: &DeliveryClass) -> bool {
    matches!(class, DeliveryClass::Queued | DeliveryClass::Deferred)
}
