//! Both sums, by the counters of the chunks and counted again from the rows they speak of.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use sqlx::sqlite::SqliteConnection;

use super::shop::reading;

/// The counters of one chunk, by the names of what they count.
type Counters = BTreeMap<i64, BTreeMap<String, i64>>;

/// Classes with a counter each, in the order of the query.
const CLASSES: [&str; 8] =
    ["queued", "deferred", "in-doubt", "held", "fallback", "told", "withdrawn", "waived"];

/// What does not add up in a database; nothing where both sums hold.
pub async fn breaks(database: &Path) -> Result<Vec<String>> {
    if !database.exists() {
        return Ok(Vec::new());
    }
    let mut conn = reading(database).await?;
    let mut found = Vec::new();
    let whole: Vec<String> = sqlx::query_scalar("PRAGMA quick_check").fetch_all(&mut conn).await?;
    found.extend(whole.into_iter().filter(|word| word != "ok"));
    let sealed = "SELECT id, seal_id FROM campaign WHERE seal_id IS NOT NULL";
    let campaigns: Vec<(i64, i64)> = match sqlx::query_as(sealed).fetch_all(&mut conn).await {
        Err(sqlx::Error::Database(error)) if error.message().starts_with("no such table") => {
            Vec::new()
        }
        other => other?,
    };
    for (campaign, seal) in campaigns {
        source(&mut conn, seal, &mut found).await?;
        chunks(&mut conn, campaign, seal, &mut found).await?;
    }
    Ok(found)
}

/// Rows of the source = sealed + duplicates + conflicts + rejected, and the sealed are there.
async fn source(conn: &mut SqliteConnection, seal: i64, found: &mut Vec<String>) -> Result<()> {
    let (rows, sealed, others): (i64, i64, i64) = sqlx::query_as(
        "SELECT source_rows, sealed, duplicates + conflicts + rejected FROM seal WHERE id = $1",
    )
    .bind(seal)
    .fetch_one(&mut *conn)
    .await?;
    let (people, sized): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM recipient WHERE seal_id = $1 AND copy_of IS NULL),
                (SELECT SUM(size) FROM chunk WHERE seal_id = $1 AND is_copy = 0)",
    )
    .bind(seal)
    .fetch_one(conn)
    .await?;
    if rows != sealed + others || people != sealed || sized != sealed {
        found.push(format!(
            "the first sum: {rows} rows, {sealed} sealed and {others} others; {people} people in rows, \
             {sized} in chunks"
        ));
    }
    Ok(())
}

/// Each chunk's counters against its rows.
async fn chunks(
    conn: &mut SqliteConnection,
    campaign: i64,
    seal: i64,
    found: &mut Vec<String>,
) -> Result<()> {
    let counted = counted(conn, campaign, seal).await?;
    let counters = counters(conn, seal).await?;
    for (chunk, says) in &counters {
        let none = BTreeMap::new();
        let rows = counted.get(chunk).unwrap_or(&none);
        let keys: std::collections::BTreeSet<&String> = says.keys().chain(rows.keys()).collect();
        for key in keys {
            let (says, rows) = (says.get(key).unwrap_or(&0), rows.get(key).unwrap_or(&0));
            if says != rows {
                found
                    .push(format!("chunk {chunk}: {key} is {says} by its counter, {rows} by rows"));
            }
        }
    }
    found.extend(
        counted
            .keys()
            .filter(|chunk| !counters.contains_key(chunk))
            .map(|chunk| format!("rows stand in chunk {chunk}, which is not there")),
    );
    Ok(())
}

async fn counters(conn: &mut SqliteConnection, seal: i64) -> Result<Counters> {
    let mut all = Counters::new();
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT c.number, j.key, j.value
         FROM chunk AS c,
              json_each(json_object(
                  'size', c.size, 'queued', c.queued, 'deferred', c.deferred,
                  'in-doubt', c.in_doubt, 'held', c.held, 'fallback', c.fallback, 'told', c.told,
                  'withdrawn', c.withdrawn, 'waived', c.waived,
                  'in flight, queued', c.in_flight_queued,
                  'in flight, deferred', c.in_flight_deferred)) AS j
         WHERE c.seal_id = $1
         UNION ALL
         SELECT c.number, 'reason ' || j.key, j.value
         FROM chunk AS c, json_each(c.reasons) AS j
         WHERE c.seal_id = $1
         UNION ALL
         SELECT c.number, 'credential ' || j.key, j.value
         FROM chunk AS c, json_each(c.credentials) AS j
         WHERE c.seal_id = $1",
    )
    .bind(seal)
    .fetch_all(conn)
    .await?;
    for (chunk, key, value) in rows {
        all.entry(chunk).or_default().insert(key, value);
    }
    for says in all.values_mut() {
        let sum = CLASSES.iter().filter_map(|class| says.get(*class)).sum();
        says.insert("the sum of classes".into(), sum);
    }
    Ok(all)
}

async fn counted(conn: &mut SqliteConnection, campaign: i64, seal: i64) -> Result<Counters> {
    let mut all = Counters::new();
    let rows: Vec<(i64, String, String, i64)> = sqlx::query_as(
        "SELECT c.number, COALESCE(d.class, 'queued'), COALESCE(d.reason, ''), COUNT(*)
         FROM chunk AS c
         JOIN recipient AS r
           ON r.seal_id = c.seal_id AND r.number BETWEEN c.first_number AND c.last_number
         LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
         WHERE c.seal_id = $2
         GROUP BY 1, 2, 3",
    )
    .bind(campaign)
    .bind(seal)
    .fetch_all(&mut *conn)
    .await?;
    for (chunk, class, reason, people) in rows {
        let counters = all.entry(chunk).or_default();
        for total in ["size", "the sum of classes", class.as_str()] {
            *counters.entry(total.to_owned()).or_default() += people;
        }
        if class != "queued" && class != "deferred" {
            let label = if reason.is_empty() { class } else { format!("{class}/{reason}") };
            *counters.entry(format!("reason {label}")).or_default() += people;
        }
    }
    let in_chunks: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT i.chunk, 'in flight, ' || i.from_class, COUNT(*)
         FROM intent AS i
         LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
         WHERE i.campaign_id = $1 AND o.number IS NULL
         GROUP BY 1, 2
         UNION ALL
         SELECT c.number, 'credential ' || k.kind || '/' || k.class, COUNT(*)
         FROM chunk AS c
         JOIN credential AS k
           ON k.campaign_id = $1 AND k.number BETWEEN c.first_number AND c.last_number
         WHERE c.seal_id = $2
         GROUP BY 1, 2",
    )
    .bind(campaign)
    .bind(seal)
    .fetch_all(conn)
    .await?;
    for (chunk, key, people) in in_chunks {
        all.entry(chunk).or_default().insert(key, people);
    }
    Ok(all)
}
