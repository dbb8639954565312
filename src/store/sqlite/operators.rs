//! `Operators` on SQLite.

use async_trait::async_trait;

use super::{SqliteStore, StoreError, row};
use crate::domain::operator::Operator;
use crate::store::operators::{NewOperator, OperatorRow, Operators, Voucher};

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    public_key: Vec<u8>,
    sealed_key: String,
    is_founder: i64,
    added_at: i64,
    revoked_at: Option<i64>,
}

#[async_trait]
impl Operators for SqliteStore {
    async fn add_operators(
        &self,
        new: Vec<NewOperator>,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for operator in new {
            let id: i64 = sqlx::query_scalar(
                "INSERT INTO operator (name, public_key, sealed_key, is_founder, added_at)
                 VALUES ($1, $2, $3, $4, $5)
                 RETURNING id",
            )
            .bind(&operator.name)
            .bind(&operator.public_key[..])
            .bind(&operator.sealed_key)
            .bind(i64::from(operator.is_founder))
            .bind(row::micros(operator.added_at))
            .fetch_one(write.conn())
            .await
            .map_err(|error| taken(error, &operator.name))?;
            for voucher in &operator.vouchers {
                insert_voucher(&mut write, id, voucher).await?;
            }
        }
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }

    async fn vouch(
        &self,
        operator: i64,
        voucher: Voucher,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        insert_voucher(&mut write, operator, &voucher).await?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }

    async fn operators(&self) -> Result<Vec<OperatorRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, name, public_key, sealed_key, is_founder, added_at, revoked_at
             FROM operator
             ORDER BY id",
        )
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list operators"))?;
        let vouchers: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT operator_id, added_by, signature FROM operator_addition ORDER BY added_by",
        )
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list vouchers"))?;
        rows.into_iter().map(|found| with_vouchers(found, &vouchers)).collect()
    }
}

fn taken(error: sqlx::Error, name: &str) -> StoreError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        StoreError::Exists { what: "operator", name: name.to_owned() }
    } else {
        StoreError::on("add an operator")(error)
    }
}

async fn insert_voucher(
    write: &mut super::WriteTx,
    operator: i64,
    voucher: &Voucher,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO operator_addition (operator_id, added_by, signature) VALUES ($1, $2, $3)",
    )
    .bind(operator)
    .bind(voucher.added_by)
    .bind(&voucher.signature[..])
    .execute(write.conn())
    .await
    .map_err(StoreError::on("add a voucher"))?;
    Ok(())
}

fn with_vouchers(found: Row, all: &[(i64, i64, Vec<u8>)]) -> Result<OperatorRow, StoreError> {
    let mut vouchers = Vec::new();
    for (_, added_by, signature) in all.iter().filter(|(id, ..)| *id == found.id) {
        let signature = row::bytes(signature, "operator_addition", "signature", found.id)?;
        vouchers.push(Voucher { added_by: *added_by, signature });
    }
    Ok(OperatorRow {
        public_key: row::bytes(&found.public_key, "operator", "public_key", found.id)?,
        sealed_key: found.sealed_key,
        operator: Operator {
            id: found.id,
            name: found.name,
            is_founder: found.is_founder == 1,
            added_at: row::instant(found.added_at),
            added_by: vouchers.iter().map(|voucher| voucher.added_by).collect(),
            revoked_at: found.revoked_at.map(row::instant),
        },
        vouchers,
    })
}
