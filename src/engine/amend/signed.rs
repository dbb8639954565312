//! The exact bytes of an amendment's signatures, and the proof of them before each use.

use jiff::Timestamp;

use crate::domain::address::AddressReason;
use crate::domain::amendment::{Amendment, AmendmentKind, Change};
use crate::domain::operator::may_sign;
use crate::domain::recipient::Recipient;
use crate::engine::operators::check_two_voices;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::secret::campaign_key::Aad;
use crate::secret::digest::{LpBuilder, sha256};
use crate::secret::signing::{PublicKey, Signature};
use crate::store::amendments::AmendmentRow;
use crate::store::deliveries::LoadedRow;
use crate::store::operators::OperatorRow;

/// An amendment whose signatures hold.
#[derive(Debug, Clone)]
pub struct SignedAmendment {
    /// Which of the person's, from 1.
    pub n: u32,
    /// What it sets and why.
    pub amendment: Amendment,
    /// Names of those who signed.
    pub by: Vec<String>,
    /// When.
    pub at: Timestamp,
}

impl SignedAmendment {
    /// What it does.
    pub fn kind(&self) -> AmendmentKind {
        self.amendment.change.kind()
    }
}

/// The exact bytes an operator signs. `body` is the plain form of the row's body.
pub(super) fn statement(
    people: &People,
    leaf: &[u8; 32],
    row: &AmendmentRow,
    body: &[u8],
    public_key: &[u8; 32],
) -> Vec<u8> {
    LpBuilder::new()
        .lp(b"forthwith amendment v1")
        .lp(people.uuid.as_bytes())
        .lp(people.environment.word().as_bytes())
        .number(row.number)
        .number(u64::from(row.n))
        .lp(leaf)
        .lp(row.kind.word().as_bytes())
        .lp(row.was.as_bytes())
        .lp(row.became.as_bytes())
        .lp(sha256(body).as_bytes())
        .lp(public_key)
        .lp(row.at.as_microsecond().to_string().as_bytes())
        .finish()
}

/// Applies what amendments say of the address. It may not be the person's: like a suspect one it gets
/// no token and no code.
pub(in crate::engine) fn effective(recipient: &mut Recipient, amendments: &[SignedAmendment]) {
    for one in amendments {
        if let Change::ReplaceAddress(address) = &one.amendment.change {
            recipient.address = Some(address.clone());
            recipient.reason = AddressReason::Suspect;
        }
    }
}

impl People {
    /// Where an amendment's body stands.
    pub fn amendment_aad(&self, number: u64, n: u32) -> Aad<'static> {
        Aad {
            campaign: self.uuid,
            table: "amendment",
            number,
            column: "body",
            amendment: u64::from(n),
        }
    }

    /// All of a person's amendments, each proved again: none is missing, their bodies open in their
    /// places, and as many allowed operators as the kind takes signed them over this very leaf.
    pub fn verify(
        &self,
        number: u64,
        leaf: &[u8; 32],
        rows: &[AmendmentRow],
        operators: &[OperatorRow],
    ) -> Result<Vec<SignedAmendment>, EngineError> {
        let mut verified = Vec::with_capacity(rows.len());
        for (row, n) in rows.iter().zip(1..) {
            if row.n != n {
                return Err(altered(number, n, "it is missing"));
            }
            verified.push(self.verify_one(leaf, row, operators)?);
        }
        Ok(verified)
    }

    /// One amendment proved again.
    pub(super) fn verify_one(
        &self,
        leaf: &[u8; 32],
        row: &AmendmentRow,
        operators: &[OperatorRow],
    ) -> Result<SignedAmendment, EngineError> {
        let AmendmentRow { number, n, .. } = *row;
        let sealed = row.body.as_ref().ok_or_else(|| altered(number, n, "its body is gone"))?;
        let body = self
            .key
            .open_blob(&self.amendment_aad(number, n), sealed)
            .map_err(|why| altered(number, n, &why.to_string()))?;
        let amendment =
            Amendment::decode(&body).map_err(|why| altered(number, n, &why.to_string()))?;
        if amendment.change.kind() != row.kind {
            return Err(altered(number, n, "it is of another kind"));
        }
        let mut signed = Vec::new();
        for (operator, signature) in &row.signatures {
            let found = operators.iter().find(|one| one.operator.id == *operator);
            let found = found.ok_or_else(|| altered(number, n, "nobody we know signed it"))?;
            let name = &found.operator.name;
            let bytes = statement(self, leaf, row, &body, &found.public_key);
            let holds = PublicKey::from_bytes(&found.public_key)?
                .verify(&bytes, &Signature::from_bytes(*signature))
                .is_ok();
            if !holds {
                return Err(altered(number, n, &format!("the signature of `{name}` does not fit")));
            }
            may_sign(&found.operator, row.at)?;
            signed.push(found);
        }
        check_voices(row, &signed, operators)?;
        let by = signed.iter().map(|one| one.operator.name.clone()).collect();
        Ok(SignedAmendment { n, amendment, by, at: row.at })
    }
}

fn check_voices(
    row: &AmendmentRow,
    signed: &[&OperatorRow],
    operators: &[OperatorRow],
) -> Result<(), EngineError> {
    let wanted = row.kind.voices();
    if signed.len() < wanted {
        let have = signed.len();
        let what = format!("it has {have} of {wanted} signatures");
        return Err(altered(row.number, row.n, &what));
    }
    match signed {
        [first, second, ..] => check_two_voices(operators, first, second),
        _ => Ok(()),
    }
}

fn altered(number: u64, n: u32, what: &str) -> EngineError {
    EngineError::refused(format!(
        "amendment {n} of recipient {number} was altered in the database: {what}; hint: restore it \
         from a backup, nothing was sent by it"
    ))
}

impl Engine {
    /// Applies the amendments of loaded rows to their people, each proved first. The rows' leaves
    /// were hashed again before.
    pub(in crate::engine) async fn amend_loaded(
        &self,
        people: &People,
        rows: &[LoadedRow],
        recipients: &mut [Box<Recipient>],
    ) -> Result<(), EngineError> {
        if rows.iter().all(|row| row.amendments.is_empty()) {
            return Ok(());
        }
        let operators = self.operators().await?;
        for (row, recipient) in rows.iter().zip(recipients) {
            if !row.amendments.is_empty() {
                let signed = people.verify(row.number, &row.leaf, &row.amendments, &operators)?;
                effective(recipient, &signed);
            }
        }
        Ok(())
    }
}
