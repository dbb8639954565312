//! Whether a notice reached somebody, whatever class they came to since: told by the history of attempts.
//!
//! A class says what is to be done, not what was: whoever was told and got another address is queued, and
//! whoever waits for a person after a doubt is held. So who may have been told is read from the attempts
//! themselves: of every generation, the person's own or those of the notice that named them.

use super::{SqliteStore, StoreError, row};
use crate::domain::delivery::AttemptKey;
use crate::store::acts::Doubtful;

/// Attempts `o` that spoke to a person, `w` being whose they are (generation and n of the last one, where
/// there is one): their own, their carrier's, those of whoever carried them before.
macro_rules! spoken {
    ($campaign:literal, $number:literal) => {
        concat!(
            "(SELECT ",
            $number,
            " AS number, NULL AS generation, NULL AS n
              UNION ALL
              SELECT f.leader, NULL, NULL
              FROM follower AS f
              WHERE f.campaign_id = ",
            $campaign,
            " AND f.number = ",
            $number,
            " AND f.kind = 'carried'
              UNION ALL
              SELECT b.carrier, b.generation, b.n
              FROM named_before AS b
              WHERE b.campaign_id = ",
            $campaign,
            " AND b.number = ",
            $number,
            ") AS w
             CROSS JOIN outcome AS o
               ON o.campaign_id = ",
            $campaign,
            " AND o.number = w.number
              AND (w.generation IS NULL OR (o.generation, o.n) <= (w.generation, w.n))"
        )
    };
}

/// Whether an outcome `o` left its attempt's fate unknown, and nobody settled it as not sent since.
macro_rules! is_doubt {
    () => {
        "(o.result = 'in-doubt'
          AND NOT EXISTS (SELECT 1 FROM resolution AS s
                          WHERE s.campaign_id = o.campaign_id AND s.number = o.number
                            AND s.generation = o.generation AND s.n = o.n
                            AND s.result = 'not-sent'))"
    };
}

/// `accepted` where a relay took a notice for a person, `in-doubt` where one may have, else null.
macro_rules! reached {
    ($campaign:literal, $number:literal) => {
        concat!(
            "(SELECT MIN(o.result)
              FROM ",
            $crate::store::sqlite::reached::spoken!($campaign, $number),
            " WHERE o.result = 'accepted' OR ",
            $crate::store::sqlite::reached::is_doubt!(),
            ")"
        )
    };
}

pub(super) use {is_doubt, reached, spoken};

const DOUBTS: &str = concat!(
    "SELECT o.number, o.generation, o.n, i.dated_at, i.origin = 'journal'
     FROM ",
    spoken!("$1", "$2"),
    " JOIN intent AS i
        ON i.campaign_id = o.campaign_id AND i.number = o.number
       AND i.generation = o.generation AND i.n = o.n
     WHERE ",
    is_doubt!(),
    " ORDER BY o.number = $2 DESC, o.generation DESC, o.n DESC"
);

impl SqliteStore {
    /// The attempts about a person whose fate is unknown, the person's own first, the newest first.
    pub(super) async fn doubts_about_person(
        &self,
        campaign: i64,
        number: u64,
    ) -> Result<Vec<Doubtful>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(DOUBTS)
            .bind(campaign)
            .bind(row::int(number))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find doubtful attempts"))?;
        let read = |(number, generation, n, dated_at, is_recovered)| Doubtful {
            key: AttemptKey {
                number: row::uint(number),
                generation: row::small(generation),
                n: row::small(n),
            },
            dated_at: row::instant(dated_at),
            is_recovered: is_recovered == 1,
        };
        Ok(rows.into_iter().map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn a_persons_history_is_looked_up_by_key() {
        let reached = concat!(
            "SELECT ",
            reached!("d.campaign_id", "d.number"),
            " FROM json_each($1) AS j
             CROSS JOIN delivery AS d ON d.campaign_id = $2 AND d.number = j.value"
        );
        for sql in [reached, DOUBTS] {
            let steps = steps(sql).await;
            for table in ["d", "f", "b", "o", "i", "s"] {
                let scan = format!("SCAN {table}");
                let is_walk =
                    |step: &String| *step == scan || step.starts_with(&format!("{scan} "));
                assert!(!steps.iter().any(is_walk), "{table}: {steps:?}");
            }
        }
    }
}
