//! Who carries: the notice is handed over, and rows leave their group.

use sqlx::SqliteConnection;

use crate::domain::delivery::DeliveryClass;
use crate::store::sqlite::classes::Moved;
use crate::store::{StoreError, row};

/// Members of groups, with the class each has now.
macro_rules! members {
    ($index:literal, $which:literal) => {
        concat!(
            "SELECT f.number, f.kind, COALESCE(d.class, 'queued'), COALESCE(d.reason, '')
             FROM follower AS f ",
            $index,
            "
             LEFT JOIN delivery AS d ON d.campaign_id = f.campaign_id AND d.number = f.number
             WHERE f.campaign_id = $1 AND ",
            $which
        )
    };
}

/// Whom a row carries. Left to itself SQLite would walk all the followers of the campaign.
const CARRIED: &str = members!(
    "INDEXED BY follower_by_leader",
    "f.leader = $2 AND f.kind = 'carried' ORDER BY f.number"
);

/// The row itself, where it is in a group.
const OWN: &str = members!("", "f.number = $2");

/// Gives those a row carries another carrier.
const FOLLOW_ANOTHER: &str = "UPDATE follower INDEXED BY follower_by_leader SET leader = $3
     WHERE campaign_id = $1 AND leader = $2 AND kind = 'carried'";

struct Member {
    number: u64,
    kind: String,
    class: DeliveryClass,
}

/// Hands a carrier's notice over to the lowest number of its group that is still to be told, which waits
/// for nobody any longer and can be claimed at once; gives that number back. `None` where `carrier` carries
/// nobody who is. Counters move with `moved`. Done twice it changes nothing more.
pub(in crate::store::sqlite) async fn hand_over(
    conn: &mut SqliteConnection,
    campaign: i64,
    carrier: u64,
    moved: &mut Moved,
) -> Result<Option<u64>, StoreError> {
    let carried = members(conn, CARRIED, campaign, carrier).await?;
    let is_open = |member: &Member| member.class.is_machine_open() || member.class.is_person_open();
    let Some(Member { number, class, .. }) = carried.into_iter().find(is_open) else {
        return Ok(None);
    };
    for (sql, what) in [
        ("DELETE FROM follower WHERE campaign_id = $1 AND number = $2", "take a carrier out"),
        (FOLLOW_ANOTHER, "hand a notice over"),
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
    let own = members(conn, OWN, campaign, number).await?.pop();
    match own.as_ref().map(|member| (member.kind.as_str(), &member.class)) {
        Some(("carrier", _)) => hand_over(conn, campaign, number, moved).await,
        Some(("carried", class)) => {
            part(conn, campaign, number).await?;
            moved.stands_alone(number, class);
            Ok(None)
        }
        _ => Ok(None),
    }
}

async fn members(
    conn: &mut SqliteConnection,
    sql: &'static str,
    campaign: i64,
    number: u64,
) -> Result<Vec<Member>, StoreError> {
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(sql)
        .bind(campaign)
        .bind(row::int(number))
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("look at a group"))?;
    rows.into_iter()
        .map(|(number, kind, class, reason)| {
            let class = row::class(&class, &reason, number)?;
            Ok(Member { number: row::uint(number), kind, class })
        })
        .collect()
}

/// A carried row whose class is its own from now on.
pub(in crate::store::sqlite) async fn part(
    conn: &mut SqliteConnection,
    campaign: i64,
    number: u64,
) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn a_group_is_found_by_its_leader_and_never_by_walking_the_campaign() {
        for sql in [&CARRIED.replace("ORDER BY", "AND $3 = $3 ORDER BY"), FOLLOW_ANOTHER] {
            let steps = steps(sql).await;
            let by_leader = "follower_by_leader (campaign_id=? AND leader=?)";
            assert!(steps.iter().any(|step| step.contains(by_leader)), "{steps:?}");
        }
    }
}
