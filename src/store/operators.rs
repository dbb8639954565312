//! Operators: who may sign, and who vouched for them.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::operator::Operator;

/// An operator to be added.
#[derive(Debug, Clone)]
pub struct NewOperator {
    /// The name they sign under.
    pub name: String,
    /// Ed25519 public key.
    pub public_key: [u8; 32],
    /// Their private key, sealed under Argon2id of their password (JSON).
    pub sealed_key: String,
    /// Made by `init`.
    pub is_founder: bool,
    /// When.
    pub added_at: Timestamp,
    /// Who vouches, with their signature.
    pub vouchers: Vec<Voucher>,
}

/// One signature that vouches for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// The operator who vouches.
    pub added_by: i64,
    /// Over name, public key and instant.
    pub signature: [u8; 64],
}

/// An operator with their key material.
#[derive(Debug, Clone)]
pub struct OperatorRow {
    /// What the two-person rule needs.
    pub operator: Operator,
    /// Ed25519 public key.
    pub public_key: [u8; 32],
    /// Their private key, sealed (JSON).
    pub sealed_key: String,
    /// Who vouched.
    pub vouchers: Vec<Voucher>,
}

/// Operators of this workspace.
#[async_trait]
pub trait Operators {
    /// Adds operators in one transaction, with their ledger lines.
    async fn add_operators(
        &self,
        new: Vec<NewOperator>,
        lines: Vec<String>,
    ) -> Result<(), StoreError>;

    /// Adds a further voucher for an operator.
    async fn vouch(
        &self,
        operator: i64,
        voucher: Voucher,
        lines: Vec<String>,
    ) -> Result<(), StoreError>;

    /// Everyone, by id.
    async fn operators(&self) -> Result<Vec<OperatorRow>, StoreError>;
}
