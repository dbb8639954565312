//! Rendered samples: their digests are part of what is approved, so a binary that renders otherwise
//! refuses to run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::notice::NoticeWriter;
use super::people::People;
use super::plan::Parts;
use super::{Engine, EngineError};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::track::Track;
use crate::render::Rendered;
use crate::secret::digest::{Digest, LpBuilder, sha256};
use crate::store::campaigns::CampaignRow;

/// How many people are rendered for approval.
pub const SAMPLES: u32 = 20;

/// The classes that samples take turns in: each has its own words.
const CLASSES: [CredentialClass; 4] = [
    CredentialClass::Expired,
    CredentialClass::NoPassword,
    CredentialClass::NotFound,
    CredentialClass::ChangedSince,
];

/// One approved sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Whose.
    pub number: u64,
    /// With their credentials in this class.
    pub class: CredentialClass,
    /// SHA-256 over subject, text and HTML, lengths before each.
    pub digest: Digest,
}

/// A sample to look at.
#[derive(Debug, Clone)]
pub struct ShownSample {
    /// Whose.
    pub number: u64,
    /// With their credentials in this class.
    pub class: CredentialClass,
    /// The notice.
    pub rendered: Rendered,
}

fn digest_of(rendered: &Rendered) -> Digest {
    sha256(
        &LpBuilder::new()
            .lp(rendered.subject.as_bytes())
            .lp(rendered.text.as_bytes())
            .lp(rendered.html.as_bytes())
            .finish(),
    )
}

impl Engine {
    /// The samples as the files are now: what an approval would show to people.
    pub async fn preview(&self, name: &str) -> Result<Vec<ShownSample>, EngineError> {
        let (row, people) = self.people(name).await?;
        let (parts, _) = self.parts(&row, &people, Track::Notice).await?;
        self.shown_samples(&row, &people, &parts).await
    }

    /// Renders the samples of these parts.
    pub async fn shown_samples(
        &self,
        row: &CampaignRow,
        people: &People,
        parts: &Parts,
    ) -> Result<Vec<ShownSample>, EngineError> {
        let writer = NoticeWriter::new(self, people, parts)?;
        let numbers = match row.seal_id {
            Some(seal) => self.store.sample_numbers(seal, SAMPLES).await?,
            None => Vec::new(),
        };
        let mut shown = Vec::new();
        for (place, number) in numbers.into_iter().enumerate() {
            let class = CLASSES[place % CLASSES.len()];
            shown.push(self.sample(people, &writer, number, class).await?);
        }
        Ok(shown)
    }

    async fn sample(
        &self,
        people: &People,
        writer: &NoticeWriter,
        number: u64,
        class: CredentialClass,
    ) -> Result<ShownSample, EngineError> {
        let found = self.store.delivery(people.campaign, number).await?;
        let body = found.and_then(|listing| listing.body).unwrap_or_default();
        let recipient = people.open(number, &body)?;
        let classes: BTreeMap<CredentialKind, CredentialClass> =
            writer.kinds().iter().map(|kind| (*kind, class)).collect();
        let rendered = writer.render_sample(number, &recipient, &classes)?;
        Ok(ShownSample { number, class, rendered })
    }

    /// The samples part of a notice snapshot.
    pub(super) async fn samples(
        &self,
        row: &CampaignRow,
        people: &People,
        parts: &Parts,
    ) -> Result<Vec<u8>, EngineError> {
        let samples: Vec<Sample> = self
            .shown_samples(row, people, parts)
            .await?
            .iter()
            .map(|shown| Sample {
                number: shown.number,
                class: shown.class,
                digest: digest_of(&shown.rendered),
            })
            .collect();
        serde_json::to_vec(&samples).map_err(|error| EngineError::Broken(error.to_string()))
    }

    /// Renders the approved samples again and refuses where one differs.
    pub(super) async fn check_samples(
        &self,
        people: &People,
        writer: &NoticeWriter,
        approved: &[u8],
    ) -> Result<(), EngineError> {
        let samples: Vec<Sample> = serde_json::from_slice(approved)
            .map_err(|error| EngineError::Broken(format!("approved samples: {error}")))?;
        for sample in samples {
            let now = self.sample(people, writer, sample.number, sample.class).await?;
            if digest_of(&now.rendered) != sample.digest {
                return Err(EngineError::refused(format!(
                    "this program renders sample {} ({}) otherwise than the one that was approved; \
                     hint: run the version that planned it, or plan and approve anew",
                    sample.number, sample.class
                )));
            }
        }
        Ok(())
    }
}
