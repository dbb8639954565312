//! Gates: evidence that an operator gives and signs, the staff campaign's end, the canary's go.

use jiff::Timestamp;
use serde::Serialize;

use super::campaign_file::staff::STAFF;
use super::campaign_file::{CampaignFile, GateSection, Mode};
use super::operators::Signer;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::domain::operator::may_sign;
use crate::domain::track::NoticeState;
use crate::secret::campaign_key::Aad;
use crate::secret::digest::{LpBuilder, sha256};
use crate::secret::signing::{PublicKey, Signature};
use crate::store::operators::OperatorRow;
use crate::store::waves::{GateEvidence, WaveRow};

/// A gate for screens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateView {
    /// Its name.
    pub name: String,
    /// The wave it stands before.
    pub wave: String,
    /// It is open.
    pub passed: bool,
    /// What must have happened.
    pub text: String,
    /// The evidence, in the operator's words.
    pub evidence: Option<String>,
    /// Who gave it.
    pub by: Option<String>,
    /// When.
    pub passed_at: Option<String>,
}

/// Where a gate's evidence stands.
fn place<'a>(people: &People, gate: &GateSection) -> Aad<'a> {
    let digest =
        sha256(&LpBuilder::new().lp(gate.name.as_bytes()).lp(gate.text.as_bytes()).finish());
    let number = digest.as_bytes().first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
    Aad { campaign: people.uuid, table: "gate_evidence", number, column: "evidence", amendment: 0 }
}

fn text_digest(gate: &GateSection) -> [u8; 32] {
    *sha256(gate.text.as_bytes()).as_bytes()
}

/// The exact bytes an operator signs.
fn statement(
    people: &People,
    gate: &GateSection,
    evidence: &str,
    operator: &OperatorRow,
    at: Timestamp,
) -> Vec<u8> {
    LpBuilder::new()
        .lp(b"forthwith gate v1")
        .lp(people.uuid.as_bytes())
        .lp(gate.name.as_bytes())
        .lp(gate.text.as_bytes())
        .lp(evidence.as_bytes())
        .lp(&operator.public_key)
        .lp(at.as_microsecond().to_string().as_bytes())
        .finish()
}

impl CampaignFile {
    /// The gate that the staff campaign is.
    fn staff_gate(&self) -> Option<GateSection> {
        let staff = self.staff.as_ref()?;
        Some(GateSection {
            name: STAFF.into(),
            text: format!("the staff campaign `{}` has told everybody", staff.campaign),
            wave: None,
        })
    }
}

/// The wave a gate stands before; a wave that no longer exists leaves its gates to the first.
fn wave_of<'a>(gate: &GateSection, waves: &'a [WaveRow]) -> Option<&'a WaveRow> {
    let named = gate.wave.as_ref();
    waves.iter().find(|row| named == Some(&row.name)).or_else(|| waves.first())
}

impl Engine {
    /// The gates before a wave that have no evidence yet, by name.
    pub(super) async fn gates_without_evidence(
        &self,
        people: &People,
        file: &CampaignFile,
        wave: &WaveRow,
    ) -> Result<Vec<String>, EngineError> {
        let mut missing = Vec::new();
        if wave.number == 1 && file.staff.is_some() && !self.is_staff_told(people, file).await? {
            missing.push(STAFF.to_owned());
        }
        if file.gates.is_empty() {
            return Ok(missing);
        }
        let waves = self.store.waves(people.campaign).await?;
        let evidence = self.store.gate_evidence(people.campaign).await?;
        let stands_here =
            |gate: &&GateSection| wave_of(gate, &waves).is_none_or(|at| at.number == wave.number);
        for gate in file.gates.iter().filter(stands_here) {
            if self.evidence_for(people, gate, &evidence).await?.is_none() {
                missing.push(gate.name.clone());
            }
        }
        Ok(missing)
    }

    /// A gate's evidence in clear with its giver; refused where its signature does not hold.
    async fn evidence_for(
        &self,
        people: &People,
        gate: &GateSection,
        given: &[GateEvidence],
    ) -> Result<Option<(String, String, Timestamp)>, EngineError> {
        let is_its =
            |one: &&GateEvidence| one.gate == gate.name && one.text_digest == text_digest(gate);
        let Some(found) = given.iter().find(is_its) else { return Ok(None) };
        let altered = || {
            EngineError::refused(format!(
                "the evidence for gate `{}` of `{}` does not fit its signature; hint: restore the \
                 database from a backup",
                gate.name, people.name
            ))
        };
        let words = people.key.open_blob(&place(people, gate), &found.evidence)?;
        let words = String::from_utf8(words).map_err(|_| altered())?;
        let operators = self.operators().await?;
        let by = operators
            .iter()
            .find(|row| row.operator.id == found.operator_id)
            .ok_or_else(altered)?;
        let statement = statement(people, gate, &words, by, found.passed_at);
        PublicKey::from_bytes(&by.public_key)?
            .verify(&statement, &Signature::from_bytes(found.signature))
            .map_err(|_| altered())?;
        Ok(Some((words, by.operator.name.clone(), found.passed_at)))
    }

    /// The staff campaign has sent everything it can, in the same world: one that was rehearsed has told
    /// nobody who lives.
    async fn is_staff_told(
        &self,
        people: &People,
        file: &CampaignFile,
    ) -> Result<bool, EngineError> {
        let Some(staff) = &file.staff else { return Ok(true) };
        let row = self.store.campaign(&staff.campaign).await?;
        let is_over = |state| matches!(state, NoticeState::SendingFinished | NoticeState::Closed);
        Ok(row.is_some_and(|row| {
            row.environment == people.environment && is_over(row.control.notice)
        }))
    }

    /// Refuses a staff campaign that cannot open anything.
    pub(super) async fn check_staff(
        &self,
        name: &str,
        file: &CampaignFile,
    ) -> Result<(), EngineError> {
        let Some(staff) = file.staff.as_ref().map(|staff| staff.campaign.as_str()) else {
            return Ok(());
        };
        if staff == name {
            return Err(EngineError::refused(format!(
                "`{name}` waits for itself: `staff.campaign` is its own name; hint: the staff are a \
                 campaign of their own, `forthwith campaign new staff --incident {}`",
                file.incident
            )));
        }
        let sealed = self.store.campaign(staff).await?;
        if sealed.is_none() && !self.workspace.campaign_file(staff).0.exists() {
            return Err(EngineError::refused(format!(
                "`{name}` waits for the staff campaign `{staff}`, which does not exist; hint: \
                 `forthwith campaign new {staff} --incident {}`",
                file.incident
            )));
        }
        // What was approved of it counts, whatever its file says by now.
        let (environment, mode) = if let Some(row) = sealed {
            let (row, people) = self.people(&row.name).await?;
            (row.environment, self.file_in_force(&row, &people).await?.notice.mode)
        } else {
            let file = self.campaign_file(staff)?;
            (file.environment, file.notice.mode)
        };
        if environment != file.environment {
            return Err(EngineError::refused(format!(
                "`{name}` is {}, and the staff campaign `{staff}` it waits for is {environment}: it \
                 tells other people; hint: `staff.campaign` names one whose `environment` is the same",
                file.environment
            )));
        }
        if mode != Mode::None {
            return Err(EngineError::refused(format!(
                "the staff campaign `{staff}` speaks of new passwords; hint: `mode = \"none\"` in its \
                 [notice], since staff are told what happened, not what to do as customers"
            )));
        }
        Ok(())
    }

    /// All gates of a campaign with what they were shown.
    pub async fn gates(&self, name: &str) -> Result<Vec<GateView>, EngineError> {
        let (row, people) = self.people(name).await?;
        let file = self.file_in_force(&row, &people).await?;
        self.gate_views(&people, &file).await
    }

    pub(super) async fn gate_views(
        &self,
        people: &People,
        file: &CampaignFile,
    ) -> Result<Vec<GateView>, EngineError> {
        let waves = self.store.waves(people.campaign).await?;
        let given = self.store.gate_evidence(people.campaign).await?;
        let wave = |gate: &GateSection| {
            let named = wave_of(gate, &waves).map(|row| row.name.clone());
            named.or_else(|| gate.wave.clone()).unwrap_or_else(|| "the first".into())
        };
        let mut views = Vec::new();
        if let Some(gate) = file.staff_gate() {
            views.push(GateView {
                wave: wave(&gate),
                passed: self.is_staff_told(people, file).await?,
                name: gate.name,
                text: gate.text,
                evidence: None,
                by: None,
                passed_at: None,
            });
        }
        for gate in &file.gates {
            let shown = self.evidence_for(people, gate, &given).await?;
            let (evidence, by, at) = shown.map_or((None, None, None), |(words, by, at)| {
                (Some(words), Some(by), Some(at.to_string()))
            });
            views.push(GateView {
                name: gate.name.clone(),
                wave: wave(gate),
                passed: evidence.is_some(),
                text: gate.text.clone(),
                evidence,
                by,
                passed_at: at,
            });
        }
        Ok(views)
    }

    /// Gives a gate its evidence, signed. Nothing but an operator's signature passes a gate.
    pub async fn pass_gate(
        &self,
        name: &str,
        gate: &str,
        evidence: &str,
        signer: &Signer,
    ) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        let file = self.file_in_force(&row, &people).await?;
        if gate == STAFF && file.staff.is_some() {
            return Err(EngineError::refused(
                "the staff gate opens by itself when the staff campaign's sending is finished; hint: \
                 `forthwith campaign run` on that campaign",
            ));
        }
        let Some(gate) = file.gates.iter().find(|known| known.name == gate) else {
            return Err(EngineError::refused(format!(
                "campaign `{name}` has no gate `{gate}`; hint: `forthwith gate list {name}`"
            )));
        };
        let evidence = evidence.trim();
        if evidence.is_empty() {
            return Err(EngineError::refused(
                "a gate is passed with evidence; hint: `--evidence` says what shows it: a reference, \
                 who said so and when",
            ));
        }
        let now = self.clock.now();
        may_sign(&signer.row.operator, now)?;
        let statement = statement(&people, gate, evidence, &signer.row, now);
        let sealed =
            people.key.seal_blob(&place(&people, gate), evidence.as_bytes(), &mut rand::rng());
        let kept = GateEvidence {
            gate: gate.name.clone(),
            text_digest: text_digest(gate),
            evidence: sealed,
            operator_id: signer.row.operator.id,
            signature: *signer.sign(&statement).as_bytes(),
            passed_at: now,
        };
        let entry = Entry::GatePassed {
            campaign: people.ledger_name(),
            gate: gate.name.clone(),
            key: signer.ledger_name(),
        };
        if self.store.pass_gate(row.id, kept, vec![entry.line(now)]).await? {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "gate `{}` of `{name}` has its evidence already, and keeps it; hint: `forthwith gate list \
             {name}`",
            gate.name
        )))
    }
}
