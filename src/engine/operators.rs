//! Operators: added with the signatures of those who vouch, known by their password.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::domain::operator::may_sign;
use crate::secret::digest::LpBuilder;
use crate::secret::password::{Params, Password};
use crate::secret::signing::{OperatorKey, PublicKey, SealedOperatorKey, Signature};
use crate::store::operators::{NewOperator, OperatorRow, Voucher};

/// A name with the password its owner typed.
#[derive(Debug)]
pub struct Person {
    /// The operator's name.
    pub name: String,
    /// Their password.
    pub password: Password,
}

/// An operator whose password opened their key.
pub struct Signer {
    /// Who they are.
    pub row: OperatorRow,
    key: OperatorKey,
}

impl Signer {
    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.key.sign(message)
    }

    /// Their public key in hex: how the ledger names them.
    pub fn ledger_name(&self) -> String {
        hex::encode(self.row.public_key)
    }
}

/// The bytes a voucher signs.
fn addition_statement(name: &str, public_key: &[u8; 32], added_at: Timestamp) -> Vec<u8> {
    LpBuilder::new()
        .lp(b"forthwith operator addition v1")
        .lp(name.as_bytes())
        .lp(public_key)
        .lp(added_at.as_microsecond().to_string().as_bytes())
        .finish()
}

/// Makes an operator's key under their password; nobody vouches yet.
pub(super) async fn voucher_free(
    person: Person,
    is_founder: bool,
    now: Timestamp,
) -> Result<NewOperator, EngineError> {
    check_name(&person.name)?;
    if person.password.expose().chars().count() < 8 {
        return Err(EngineError::refused(format!(
            "the password of `{}` is shorter than 8 characters; hint: use a long phrase",
            person.name
        )));
    }
    tokio::task::spawn_blocking(move || {
        let mut rng = rand::rng();
        let key = OperatorKey::generate(&mut rng);
        let sealed = key.seal(&person.name, &person.password, Params::default(), &mut rng)?;
        Ok(NewOperator {
            public_key: *key.public().as_bytes(),
            sealed_key: serde_json::to_string(&sealed)
                .map_err(|error| EngineError::Broken(error.to_string()))?,
            name: person.name,
            is_founder,
            added_at: now,
            vouchers: Vec::new(),
        })
    })
    .await
    .map_err(|error| EngineError::Broken(error.to_string()))?
}

fn check_name(name: &str) -> Result<(), EngineError> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
    if fits {
        return Ok(());
    }
    Err(EngineError::refused(format!(
        "`{name}` is no operator name; hint: 1 to 64 letters, digits, `-`, `_`, `.` or `@`"
    )))
}

impl Engine {
    /// Opens an operator's key with their password.
    pub async fn signer(&self, person: Person) -> Result<Signer, EngineError> {
        let found = self.operator(&person.name).await?;
        let public = PublicKey::from_bytes(&found.public_key)?;
        let sealed: SealedOperatorKey = serde_json::from_str(&found.sealed_key)
            .map_err(|error| EngineError::Broken(format!("sealed key: {error}")))?;
        // Argon2id takes a core for tens of milliseconds: never on the runtime's own threads.
        let key = tokio::task::spawn_blocking(move || {
            sealed.open(&person.password, &person.name, &public)
        })
        .await
        .map_err(|error| EngineError::Broken(error.to_string()))??;
        Ok(Signer { row: found, key })
    }

    async fn operator(&self, name: &str) -> Result<OperatorRow, EngineError> {
        let all = self.store.operators().await?;
        all.into_iter().find(|row| row.operator.name == name).ok_or_else(|| {
            EngineError::refused(format!(
                "there is no operator `{name}`; hint: `forthwith operator list`"
            ))
        })
    }

    /// Adds an operator for whom one or two others vouch with their signatures.
    pub async fn add_operator(
        &self,
        new: Person,
        vouching: Vec<Signer>,
    ) -> Result<(), EngineError> {
        if vouching.is_empty() {
            return Err(EngineError::refused(
                "somebody has to vouch for a new operator; hint: `--by NAME`",
            ));
        }
        let now = self.clock.now();
        let all = self.operators().await?;
        for (place, signer) in vouching.iter().enumerate() {
            may_sign(&signer.row.operator, now)?;
            for earlier in &vouching[..place] {
                check_two_voices(&all, &earlier.row, &signer.row)?;
            }
        }
        let mut made = voucher_free(new, false, now).await?;
        let statement = addition_statement(&made.name, &made.public_key, now);
        made.vouchers = vouchers(&statement, &vouching);
        let entry = Entry::Operator {
            key: hex::encode(made.public_key),
            added_by: vouching.iter().map(Signer::ledger_name).collect(),
        };
        Ok(self.store.add_operators(vec![made], vec![entry.line(now)]).await?)
    }

    /// A further operator vouches for one who was added before.
    pub async fn vouch(&self, name: &str, signer: &Signer) -> Result<(), EngineError> {
        let found = self.operator(name).await?;
        if found.operator.id == signer.row.operator.id {
            return Err(EngineError::refused(
                "nobody vouches for themselves; hint: another operator has to",
            ));
        }
        if found.operator.is_founder || found.operator.added_by.contains(&signer.row.operator.id) {
            return Err(EngineError::refused(format!(
                "`{name}` needs no further word from `{}`; hint: `forthwith operator list`",
                signer.row.operator.name
            )));
        }
        may_sign(&signer.row.operator, self.clock.now())?;
        let all = self.operators().await?;
        let earlier = all.iter().filter(|row| found.operator.added_by.contains(&row.operator.id));
        for other in earlier {
            check_two_voices(&all, other, &signer.row)?;
        }
        let statement = addition_statement(name, &found.public_key, found.operator.added_at);
        let entry = Entry::Operator {
            key: hex::encode(found.public_key),
            added_by: vec![signer.ledger_name()],
        };
        let voucher = Voucher {
            added_by: signer.row.operator.id,
            signature: *signer.sign(&statement).as_bytes(),
        };
        let line = entry.line(self.clock.now());
        Ok(self.store.vouch(found.operator.id, voucher, vec![line]).await?)
    }

    /// Everyone, with each voucher's signature checked and founders at the end of each chain of
    /// vouchers: an operator smuggled into the database is refused by name.
    pub async fn operators(&self) -> Result<Vec<OperatorRow>, EngineError> {
        let all = self.store.operators().await?;
        for row in &all {
            let operator = &row.operator;
            if operator.is_founder {
                continue;
            }
            let statement = addition_statement(&operator.name, &row.public_key, operator.added_at);
            for voucher in &row.vouchers {
                let adder = all.iter().find(|other| other.operator.id == voucher.added_by);
                let signature = Signature::from_bytes(voucher.signature);
                let holds = adder.is_some_and(|adder| {
                    PublicKey::from_bytes(&adder.public_key)
                        .and_then(|key| key.verify(&statement, &signature))
                        .is_ok()
                });
                if !holds {
                    return Err(EngineError::refused(format!(
                        "operator `{}` was altered in the database: a signature that vouches for \
                         them does not fit; hint: restore the database from a backup",
                        operator.name
                    )));
                }
            }
            if founders_behind(&all, row).is_empty() {
                return Err(EngineError::refused(format!(
                    "operator `{}` stands in the database, but no founder vouches for them; \
                     hint: restore the database from a backup",
                    operator.name
                )));
            }
        }
        self.check_founders(&all).await?;
        Ok(all)
    }

    /// The founders are those of the ledger's first entry.
    async fn check_founders(&self, all: &[OperatorRow]) -> Result<(), EngineError> {
        let lines = self.store.ledger_lines(0, 1).await?;
        let first = lines.first().map(|(_, line)| line.as_str()).unwrap_or_default();
        for founder in all.iter().filter(|row| row.operator.is_founder) {
            if !first.contains(&hex::encode(founder.public_key)) {
                return Err(EngineError::refused(format!(
                    "`{}` stands in the database as a founder but not in the ledger's first entry; \
                     hint: restore the database from a backup",
                    founder.operator.name
                )));
            }
        }
        Ok(())
    }
}

/// The founders an operator stands on: a founder on themselves, others on those behind their vouchers.
fn founders_behind(all: &[OperatorRow], of: &OperatorRow) -> BTreeSet<i64> {
    let (mut founders, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![of]);
    while let Some(row) = open.pop() {
        if !seen.insert(row.operator.id) {
            continue;
        }
        if row.operator.is_founder {
            founders.insert(row.operator.id);
        }
        let vouchers = &row.operator.added_by;
        open.extend(all.iter().filter(|other| vouchers.contains(&other.operator.id)));
    }
    founders
}

/// Two people are two voices only where they stand on two founders between them: else one founder
/// could add as many second people as it takes.
pub(super) fn check_two_voices(
    all: &[OperatorRow],
    first: &OperatorRow,
    second: &OperatorRow,
) -> Result<(), EngineError> {
    crate::domain::operator::may_pair(&first.operator, &second.operator)?;
    let mut founders = founders_behind(all, first);
    founders.extend(founders_behind(all, second));
    if founders.len() >= 2 {
        return Ok(());
    }
    let behind = all.iter().find(|row| founders.contains(&row.operator.id));
    Err(EngineError::refused(format!(
        "`{}` and `{}` stand on the word of `{}` alone, so together they are one voice; \
         hint: let another operator sign",
        first.operator.name,
        second.operator.name,
        behind.map(|row| row.operator.name.clone()).unwrap_or_default()
    )))
}

fn vouchers(statement: &[u8], signers: &[Signer]) -> Vec<Voucher> {
    signers
        .iter()
        .map(|signer| Voucher {
            added_by: signer.row.operator.id,
            signature: *signer.sign(statement).as_bytes(),
        })
        .collect()
}
