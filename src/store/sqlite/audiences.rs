//! `Audiences` on SQLite.

mod shared;

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::comparison::SqliteComparison;
use super::reached::reached;
use super::{SqliteStore, StoreError, row};
use crate::domain::class_selector::ClassSelector;
use crate::store::audiences::{
    Audiences, Comparison, LaterCampaign, Replaced, SealedCopy, SealedPerson, SharedPage, Standing,
};

/// Whether an attempt for the row `of` of which this holds may have reached its recipient.
macro_rules! in_doubt {
    ($of:literal, $condition:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM outcome AS o
                     WHERE o.campaign_id = ",
            $of,
            ".campaign_id AND o.number = ",
            $of,
            ".number AND ",
            $condition,
            " AND ",
            $crate::store::sqlite::reached::is_doubt!(),
            ")"
        )
    };
}

/// The class and reason of a delivery, but for whom a notice reached or may have reached, whatever class they
/// came to since: they are told, or in doubt. Nobody is told twice by another campaign, nor missed by a
/// correction.
macro_rules! standing {
    () => {
        standing!("d", "d.campaign_id", "d.number")
    };
    ($delivery:literal, $campaign:literal, $number:literal) => {
        concat!(
            "CASE WHEN ",
            $delivery,
            ".class IN ('told', 'in-doubt') THEN ",
            $delivery,
            ".class || '/' || ",
            $delivery,
            ".reason
                  ELSE COALESCE(
                      CASE ",
            reached!($campaign, $number),
            "          WHEN 'accepted' THEN 'told/accepted'
                       WHEN 'in-doubt' THEN
                           CASE WHEN ",
            $delivery,
            ".class IN ('queued', 'deferred') THEN 'in-doubt/due'
                                ELSE 'in-doubt/held' END
                       END,
                      COALESCE(",
            $delivery,
            ".class, 'queued') || '/' || COALESCE(",
            $delivery,
            ".reason, '')) END"
        )
    };
}

/// That of the copy `e`, which is let go with its person whatever became of its own notice.
macro_rules! copy_standing {
    () => {
        standing!("e", "e.campaign_id", "e.number")
    };
}

/// Whether a standing is in one of the classes asked for.
macro_rules! is_meant {
    ($standing:literal) => {
        concat!(
            "($1 = '[]' OR EXISTS (
                  SELECT 1 FROM json_each($1) AS j
                  WHERE ",
            $standing,
            " = (j.value ->> 'c') || '/' || (j.value ->> 'r')
                     OR (j.value ->> 'r' IS NULL
                         AND substr(",
            $standing,
            ", 1, length(j.value ->> 'c') + 1)
                             = (j.value ->> 'c') || '/')))"
        )
    };
}

/// Whether `p` is asked for, by how they stand or by the class that the first campaign counts them in.
macro_rules! is_person_meant {
    () => {
        concat!("(", is_meant!("p.standing"), " OR ", is_meant!("p.counted"), ")")
    };
}

/// Whether a standing means that somebody may have read the notice, and is asked for.
macro_rules! is_told {
    ($standing:literal) => {
        concat!(
            "((",
            $standing,
            " LIKE 'told/%' OR ",
            $standing,
            " LIKE 'in-doubt/%') AND ",
            is_meant!($standing),
            ")"
        )
    };
}

/// How the notice to an address stood that an amendment of `p` replaced.
macro_rules! replaced {
    ($columns:expr) => {
        concat!(
            "(SELECT ", $columns, " FROM (
                  SELECT a.n AS n,
                         CASE WHEN a.was IN ('queued', 'deferred') AND ",
            in_doubt!("a", "o.ended_at <= a.amended_at"),
            "                 THEN 'in-doubt/due' ELSE a.was END AS was
                  FROM amendment AS a
                  WHERE a.campaign_id = $2 AND a.number = p.number AND a.kind = 'replace-address') AS w)"
        )
    };
}

/// Whether what `p` was told by mail went to the address in force: somebody readdressed since stands as told,
/// or as in doubt, by the address before.
macro_rules! is_where_told {
    () => {
        "((p.standing NOT IN ('told/accepted', 'told/carrier') AND p.standing NOT LIKE 'in-doubt/%')
          OR NOT EXISTS (
                 SELECT 1 FROM amendment AS a
                 WHERE a.campaign_id = $2 AND a.number = p.number AND a.kind = 'replace-address'
                   AND NOT EXISTS (
                           SELECT 1 FROM outcome AS o
                           WHERE o.campaign_id = $2 AND o.number = p.number
                             AND o.result IN ('accepted', 'in-doubt') AND o.ended_at >= a.amended_at)))"
    };
}

// Who is held, for post or let go is found by that class, too: whoever names it means those whom the first
// campaign counts in it.
const PEOPLE: &str = concat!(
    "SELECT p.number, p.body, ",
    is_person_meant!(),
    " AND ",
    is_where_told!(),
    " AS is_meant, p.copy, p.copy_body,
            p.copy IS NOT NULL AND ",
    is_meant!("p.copy_standing"),
    " AS copy_is_meant, ",
    replaced!(concat!("json_group_array(json_array(w.n, ", is_told!("w.was"), "))")),
    " AS replaced
     FROM (SELECT r.number AS number, r.body AS body, ",
    standing!(),
    " AS standing,
                  CASE WHEN d.class NOT IN ('queued', 'deferred')
                       THEN d.class || '/' || d.reason ELSE '' END AS counted,
                  f.number AS copy, k.body AS copy_body, ",
    copy_standing!(),
    " AS copy_standing
           FROM recipient AS r
           LEFT JOIN delivery AS d ON d.campaign_id = $2 AND d.number = r.number
           LEFT JOIN follower AS f INDEXED BY follower_by_leader
             ON f.campaign_id = $2 AND f.leader = r.number AND f.kind = 'copy'
           LEFT JOIN recipient AS k ON k.seal_id = $3 AND k.number = f.number
           LEFT JOIN delivery AS e ON e.campaign_id = $2 AND e.number = f.number
           WHERE r.seal_id = $3 AND r.number > $4 AND r.copy_of IS NULL) AS p
     WHERE ",
    is_person_meant!(),
    "
        OR (p.copy IS NOT NULL AND ",
    is_told!("p.copy_standing"),
    ")
        OR ",
    replaced!(concat!("COALESCE(MAX(", is_told!("w.was"), "), 0)")),
    "
     ORDER BY p.number
     LIMIT $5"
);

// CROSS JOIN keeps the planner to the order written: from the digests asked for to their rows by key.
const STANDINGS: &str = concat!(
    "SELECT a.digest, ",
    standing!(),
    "
    FROM json_each($1) AS j
    CROSS JOIN account_lookup AS a ON a.seal_id = $2 AND a.digest = unhex(j.value)
    CROSS JOIN recipient AS r ON r.seal_id = a.seal_id AND r.number = a.number
    LEFT JOIN delivery AS d ON d.campaign_id = $3 AND d.number = a.number
    WHERE r.copy_of IS NULL"
);

#[derive(sqlx::FromRow)]
struct PersonColumns {
    number: i64,
    body: Option<Vec<u8>>,
    is_meant: bool,
    copy: Option<i64>,
    copy_body: Option<Vec<u8>>,
    copy_is_meant: bool,
    replaced: String,
}

impl PersonColumns {
    fn read(self) -> Result<SealedPerson, StoreError> {
        let corrupt = |_| StoreError::Corrupt {
            table: "amendment",
            column: "n",
            row: self.number.to_string(),
        };
        let mut replaced: Vec<(u32, u8)> = serde_json::from_str(&self.replaced).map_err(corrupt)?;
        replaced.sort_unstable();
        Ok(SealedPerson {
            number: row::uint(self.number),
            body: self.body,
            is_meant: self.is_meant,
            copy: self.copy.map(|number| SealedCopy {
                number: row::uint(number),
                body: self.copy_body,
                is_meant: self.copy_is_meant,
            }),
            replaced: replaced
                .into_iter()
                .map(|(n, left_told)| Replaced { n, left_told: left_told == 1 })
                .collect(),
        })
    }
}

#[async_trait]
impl Audiences for SqliteStore {
    async fn sealed_people(
        &self,
        campaign: i64,
        classes: &[ClassSelector],
        after: u64,
        limit: u32,
    ) -> Result<Vec<SealedPerson>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let classes: Vec<Value> = classes
            .iter()
            .map(|class| json!({ "c": class.class(), "r": class.reason() }))
            .collect();
        let rows: Vec<PersonColumns> = sqlx::query_as(PEOPLE)
            .bind(json!(classes).to_string())
            .bind(campaign)
            .bind(seal)
            .bind(row::int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("read sealed people"))?;
        rows.into_iter().map(PersonColumns::read).collect()
    }

    async fn standings(
        &self,
        campaign: i64,
        accounts: &[[u8; 16]],
    ) -> Result<HashMap<[u8; 16], Standing>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let digests: Vec<String> = accounts.iter().map(hex::encode).collect();
        let rows: Vec<(Vec<u8>, String)> = sqlx::query_as(STANDINGS)
            .bind(json!(digests).to_string())
            .bind(seal)
            .bind(campaign)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("look accounts up"))?;
        rows.into_iter()
            .map(|(digest, standing)| {
                let (class, reason) = standing.split_once('/').unwrap_or((&standing, ""));
                let digest = row::bytes(&digest, "account_lookup", "digest", seal)?;
                Ok((digest, (class.to_owned(), reason.to_owned())))
            })
            .collect()
    }

    async fn later_campaigns(&self, campaign: i64) -> Result<Vec<LaterCampaign>, StoreError> {
        shared::later(self, campaign).await
    }

    async fn shared_people(
        &self,
        one: i64,
        other: i64,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<SharedPage, StoreError> {
        shared::page(self, one, other, after, limit).await
    }

    async fn comparison(&self, path: &Path) -> Result<Box<dyn Comparison>, StoreError> {
        Ok(Box::new(SqliteComparison::open(path).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn people_are_read_in_their_order_and_what_belongs_to_them_by_key() {
        let steps = steps(PEOPLE).await;
        let has = |part: &str| steps.iter().any(|step| step.contains(part));
        assert!(has("SEARCH r USING PRIMARY KEY (seal_id=? AND number>?)"), "{steps:?}");
        assert!(has("f USING INDEX follower_by_leader (campaign_id=? AND leader=?)"), "{steps:?}");
        for table in ["d", "k", "e", "a", "o"] {
            let by_key = format!("SEARCH {table} USING PRIMARY KEY");
            assert!(steps.iter().any(|step| step.starts_with(&by_key)), "{table}: {steps:?}");
        }
        for costly in ["TEMP B-TREE", "MATERIALIZE"] {
            assert!(!has(costly), "all are read for each page: {steps:?}");
        }
        // the few attempts that spoke to one person, and nothing else, are put together first
        let put_together =
            |step: &&String| step.starts_with("CO-ROUTINE") && *step != "CO-ROUTINE w";
        assert_eq!(steps.iter().find(put_together), None, "{steps:?}");
    }

    #[tokio::test]
    async fn accounts_are_looked_up_by_key_and_never_walked() {
        let steps = steps(STANDINGS).await;
        for table in ["a", "r", "d", "b"] {
            let by_key = format!("SEARCH {table} USING PRIMARY KEY");
            assert!(steps.iter().any(|step| step.starts_with(&by_key)), "{table}: {steps:?}");
        }
    }
}
