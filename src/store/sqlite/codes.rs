//! `Codes` on SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{SqliteStore, StoreError, row};
use crate::store::codes::{
    Answered, AskedLately, Codes, IsCode, NewRequest, OpenRequest, ProvedAccount, Tried,
    TriedRequest, TryLimits,
};

const HOUR: i64 = 3_600_000_000;

const UNANSWERED: &str = "SELECT id, visit, address, network, reference, locale, requested_at
     FROM code_request
     WHERE answer = ''
     ORDER BY id
     LIMIT $1";

const ASKED: &str =
    "SELECT COALESCE(SUM(reference IS NULL), 0), COALESCE(SUM(reference IS NOT NULL), 0)
     FROM code_request
     WHERE address = $1 AND requested_at > $2 AND answer NOT IN ('', 'unknown', 'limited')";

const TRY: &str = "UPDATE code_request SET tries = tries + 1
     WHERE id IN (SELECT id FROM code_request
                  WHERE visit = $1 AND requested_at > $2 AND tries < $3 AND proved_at IS NULL
                  ORDER BY id DESC LIMIT $4)
     RETURNING id, CASE WHEN expires_at > $5 THEN code END";

const COUNT_WRONG: &str = "INSERT INTO portal_count (campaign_id, event, hour, count)
     SELECT DISTINCT COALESCE(a.campaign_id, 0), 'wrong-code', $2, 1
     FROM json_each($1) AS j
     LEFT JOIN code_account AS a ON a.request_id = j.value
     WHERE true
     ON CONFLICT (campaign_id, event, hour) DO UPDATE SET count = count + 1";

const SUM_WRONG: &str = "SELECT SUM(p.count)
     FROM portal_count AS p
     WHERE p.event = 'wrong-code' AND p.hour >= $2 - 1
       AND p.campaign_id IN (SELECT a.campaign_id
                             FROM json_each($1) AS j
                             JOIN code_account AS a ON a.request_id = j.value)
     GROUP BY p.campaign_id";

const PROVED: &str = "SELECT a.campaign_id, a.number, MAX(a.request_id)
     FROM code_request AS r
     JOIN code_account AS a ON a.request_id = r.id
     WHERE r.visit = $1 AND r.proved_at > $2
     GROUP BY a.campaign_id, a.number
     ORDER BY a.campaign_id, a.number";

/// The oldest rows have the lowest numbers, so a look at the first few is all it costs to find none.
const OLD: &str = "SELECT id FROM (SELECT id, requested_at FROM code_request ORDER BY id LIMIT $2)
     WHERE requested_at < $1";

/// What belongs to requests (`$1`, a JSON array of their ids), then they themselves. The mail of one keeps its
/// own story without it.
const FORGET: [&str; 3] = [
    "UPDATE errand SET request_id = NULL WHERE request_id IN (SELECT value FROM json_each($1))",
    "DELETE FROM code_account WHERE request_id IN (SELECT value FROM json_each($1))",
    "DELETE FROM code_request WHERE id IN (SELECT value FROM json_each($1))",
];

type RequestColumns = (i64, Vec<u8>, Vec<u8>, Vec<u8>, Option<Vec<u8>>, String, i64);

fn read(columns: RequestColumns) -> Result<OpenRequest, StoreError> {
    let (id, visit, address, network, reference, locale, requested_at) = columns;
    let digest = |blob: &[u8], column| row::bytes(blob, "code_request", column, id);
    Ok(OpenRequest {
        id,
        request: NewRequest {
            visit: digest(&visit, "visit")?,
            address: digest(&address, "address")?,
            network: digest(&network, "network")?,
            reference: reference.map(|blob| digest(&blob, "reference")).transpose()?,
            locale,
        },
        requested_at: row::instant(requested_at),
    })
}

#[async_trait]
impl Codes for SqliteStore {
    async fn request_code(&self, request: NewRequest) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO code_request (visit, address, network, reference, locale, requested_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&request.visit[..])
        .bind(&request.address[..])
        .bind(&request.network[..])
        .bind(request.reference.as_ref().map(|digest| &digest[..]))
        .bind(&request.locale)
        .bind(row::micros(self.now()))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("keep a request for a code"))?;
        self.commit(write).await
    }

    async fn unanswered(&self, limit: u32) -> Result<Vec<OpenRequest>, StoreError> {
        let rows: Vec<RequestColumns> = sqlx::query_as(UNANSWERED)
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find requests for a code"))?;
        rows.into_iter().map(read).collect()
    }

    async fn asked_lately(
        &self,
        address: &[u8; 16],
        since: Timestamp,
    ) -> Result<AskedLately, StoreError> {
        let (without, with): (i64, i64) = sqlx::query_as(ASKED)
            .bind(&address[..])
            .bind(row::micros(since))
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("count requests for an address"))?;
        Ok(AskedLately { without_reference: row::uint(without), with_reference: row::uint(with) })
    }

    async fn answer_requests(&self, answered: Vec<Answered>) -> Result<(), StoreError> {
        if answered.is_empty() {
            return Ok(());
        }
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        for one in &answered {
            if note_answer(write.conn(), one, now).await? {
                add_accounts(write.conn(), one).await?;
                queue_mail(write.conn(), one, now).await?;
            }
        }
        self.commit(write).await
    }

    async fn try_code(
        &self,
        visit: &[u8; 16],
        limits: TryLimits,
        is_code: &IsCode<'_>,
    ) -> Result<Tried, StoreError> {
        let now = self.now();
        let mut write = self.write().await?;
        let tried = count_try(write.conn(), visit, limits, now).await?;
        let mut right = None;
        for one in &tried {
            if is_code(one) {
                right = Some(one.id);
            }
        }
        let came_to = if let Some(request) = right {
            prove_mailbox(write.conn(), request, now).await?;
            Tried::Right
        } else {
            Tried::Wrong(count_wrong(write.conn(), &tried, now).await?)
        };
        self.commit(write).await?;
        Ok(came_to)
    }

    async fn proved_accounts(
        &self,
        visit: &[u8; 16],
        since: Timestamp,
    ) -> Result<Vec<ProvedAccount>, StoreError> {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(PROVED)
            .bind(&visit[..])
            .bind(row::micros(since))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find what a visit proved"))?;
        Ok(rows
            .into_iter()
            .map(|(campaign, number, request)| ProvedAccount {
                campaign,
                number: row::uint(number),
                request,
            })
            .collect())
    }

    async fn forget_requests(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let old: Vec<i64> = sqlx::query_scalar(OLD)
            .bind(row::micros(before))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find old requests for a code"))?;
        if old.is_empty() {
            return Ok(0);
        }
        let ids = json!(old).to_string();
        let mut write = self.write().await?;
        for sql in FORGET {
            sqlx::query(sql)
                .bind(&ids)
                .execute(write.conn())
                .await
                .map_err(StoreError::on("forget old requests for a code"))?;
        }
        self.commit(write).await?;
        Ok(old.len() as u64)
    }
}

async fn count_try(
    conn: &mut SqliteConnection,
    visit: &[u8; 16],
    limits: TryLimits,
    now: Timestamp,
) -> Result<Vec<TriedRequest>, StoreError> {
    let rows: Vec<(i64, Option<Vec<u8>>)> = sqlx::query_as(TRY)
        .bind(&visit[..])
        .bind(row::micros(limits.asked_after))
        .bind(i64::from(limits.tries))
        .bind(i64::from(limits.requests))
        .bind(row::micros(now))
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("count a try at a code"))?;
    rows.into_iter()
        .map(|(id, code)| {
            let digest = |blob: Vec<u8>| row::bytes(&blob, "code_request", "code", id);
            Ok(TriedRequest { id, code: code.map(digest).transpose()? })
        })
        .collect()
}

async fn prove_mailbox(
    conn: &mut SqliteConnection,
    request: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE code_request SET proved_at = $2 WHERE id = $1 AND answer = 'code'")
        .bind(request)
        .bind(row::micros(now))
        .execute(conn)
        .await
        .map_err(StoreError::on("remember a proved mailbox"))?;
    Ok(())
}

/// Counts a wrong code against each campaign that it could have been of; their sums.
async fn count_wrong(
    conn: &mut SqliteConnection,
    tried: &[TriedRequest],
    now: Timestamp,
) -> Result<Vec<u64>, StoreError> {
    let hour = row::micros(now) / HOUR;
    let ids = json!(tried.iter().map(|one| one.id).collect::<Vec<_>>()).to_string();
    sqlx::query(COUNT_WRONG)
        .bind(&ids)
        .bind(hour)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::on("count a wrong code"))?;
    let sums: Vec<i64> = sqlx::query_scalar(SUM_WRONG)
        .bind(&ids)
        .bind(hour)
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("sum wrong codes"))?;
    Ok(sums.into_iter().map(row::uint).collect())
}

/// Tells whether this call answered it.
async fn note_answer(
    conn: &mut SqliteConnection,
    one: &Answered,
    now: i64,
) -> Result<bool, StoreError> {
    let code = one.code.as_ref();
    let noted = sqlx::query(
        "UPDATE code_request
         SET answer = $2, answered_at = $3, salt = $4, code = $5, expires_at = $6
         WHERE id = $1 AND answer = ''",
    )
    .bind(one.request)
    .bind(one.answer.word())
    .bind(now)
    .bind(code.map(|code| &code.salt[..]))
    .bind(code.map(|code| &code.digest[..]))
    .bind(code.map(|code| row::micros(code.expires_at)))
    .execute(conn)
    .await
    .map_err(StoreError::on("answer a request for a code"))?;
    Ok(noted.rows_affected() == 1)
}

async fn add_accounts(conn: &mut SqliteConnection, one: &Answered) -> Result<(), StoreError> {
    let Some(code) = &one.code else { return Ok(()) };
    sqlx::query(
        "INSERT INTO code_account (request_id, campaign_id, number)
         SELECT $1, j.value ->> 0, j.value ->> 1
         FROM json_each($2) AS j",
    )
    .bind(one.request)
    .bind(json!(code.accounts).to_string())
    .execute(conn)
    .await
    .map_err(StoreError::on("keep the accounts of a code"))?;
    Ok(())
}

async fn queue_mail(
    conn: &mut SqliteConnection,
    one: &Answered,
    now: i64,
) -> Result<(), StoreError> {
    let Some((campaign, number)) = one.mailed else { return Ok(()) };
    sqlx::query(
        "INSERT INTO errand (campaign_id, kind, number, state, due_at, request_id, locale, expires_at)
         SELECT $2, 'code', $3, 'queued', $4, $1, locale, $5
         FROM code_request
         WHERE id = $1",
    )
    .bind(one.request)
    .bind(campaign)
    .bind(row::int(number))
    .bind(now)
    .bind(row::micros(one.expires_at))
    .execute(conn)
    .await
    .map_err(StoreError::on("queue the mail with a code"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn what_is_forgotten_is_found_by_key() {
        for sql in FORGET {
            let steps = steps(&format!("{sql} AND $3 = $3")).await;
            let walks = |step: &&String| step.starts_with("SCAN") && !step.contains("json_each");
            assert!(!steps.iter().any(|step| walks(&step)), "{steps:?}");
        }
    }

    #[tokio::test]
    async fn requests_are_found_by_index_and_never_walked() {
        for sql in [UNANSWERED, ASKED, TRY, SUM_WRONG, PROVED] {
            let steps = steps(sql).await;
            let walks = |step: &&String| {
                step.starts_with("SCAN code_request") && !step.contains("code_request_unanswered")
            };
            assert!(!steps.iter().any(|step| walks(&step)), "{steps:?}");
            assert!(!steps.iter().any(|step| step.starts_with("SCAN a")), "{steps:?}");
        }
    }
}
