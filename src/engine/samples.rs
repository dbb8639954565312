//! Rendered samples: their digests are part of what is approved, so a binary that renders otherwise
//! refuses to run.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::notice::{Facing, NoticeWriter};
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::recipient::Addressee;
use crate::domain::variant::{Readership, Variant};
use crate::render::Rendered;
use crate::secret::digest::{Digest, LpBuilder, sha256};
use crate::store::campaigns::CampaignRow;

/// How many people are rendered for approval.
pub const SAMPLES: u32 = 20;

/// The classes that samples take turns in: one for each sentence.
const CLASSES: [CredentialClass; 7] = [
    CredentialClass::Expired,
    CredentialClass::NoPassword,
    CredentialClass::NotFound,
    CredentialClass::ChangedSince,
    CredentialClass::Pending,
    CredentialClass::Exempt,
    CredentialClass::Reset,
];

/// The readerships, in the words samples are kept by.
const READERSHIPS: [&str; 3] = ["own", "shared", "combined"];

/// Whose turn it is at `place` among `count`, beside `others` that take turns, too: where both would begin
/// anew together, this one begins one later.
fn turn(place: usize, count: usize, others: usize) -> usize {
    let shared = (1..=count)
        .rev()
        .find(|n| count.is_multiple_of(*n) && others.is_multiple_of(*n))
        .unwrap_or(1);
    let lap = count * others / shared;
    let shift = if shared > 1 { place / lap } else { 0 };
    (place + shift) % count
}

/// Accounts a combined sample stands for: one of each class.
const COMBINED: u64 = CLASSES.len() as u64;

/// One approved sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// What is rendered.
    #[serde(flatten)]
    pub case: SampleCase,
    /// SHA-256 over subject, text and HTML, lengths before each.
    pub digest: Digest,
}

/// A sealed person as if they were somebody of this kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleCase {
    /// Whose row.
    pub number: u64,
    /// With their credentials in this class.
    pub class: CredentialClass,
    /// In this language.
    pub locale: String,
    /// The addressee's word.
    pub addressee: String,
    /// `own`, `shared` or `combined`.
    pub readership: String,
}

impl SampleCase {
    /// The sample at `place`, deterministically: languages, classes, addressees and readerships each take
    /// turns, so that all of them occur and meet in ever new pairs. The first is the plain case.
    fn at(place: usize, numbers: &[u64], locales: &[String]) -> Option<Self> {
        let number = *numbers.get(place % numbers.len().max(1))?;
        let locale = locales.get(place % locales.len().max(1))?.clone();
        let turn = |of| turn(place, of, locales.len());
        let addressee = Addressee::ALL[turn(Addressee::ALL.len())];
        let readership = READERSHIPS[turn(READERSHIPS.len())];
        Some(Self {
            number,
            class: CLASSES[turn(CLASSES.len())],
            locale,
            addressee: addressee.word().to_owned(),
            readership: readership.to_owned(),
        })
    }

    fn facing(&self, kinds: &[CredentialKind]) -> Facing {
        let all_in = |class: CredentialClass| kinds.iter().map(|kind| (*kind, class)).collect();
        let addressee = Addressee::parse(&self.addressee).unwrap_or_default();
        let readership = match self.readership.as_str() {
            "shared" => Readership::Shared,
            "combined" => Readership::Combined { accounts: COMBINED },
            _ => Readership::Own,
        };
        let others = CLASSES.into_iter().filter(|class| *class != self.class);
        let carried = if readership == (Readership::Combined { accounts: COMBINED }) {
            others.map(all_in).collect()
        } else {
            Vec::new()
        };
        let variant = Variant { addressee, readership };
        Facing { variant, is_copy: false, classes: all_in(self.class), carried }
    }
}

impl fmt::Display for SampleCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, class, locale, addressee, readership } = self;
        write!(f, "{number} ({locale}, {addressee}, {readership}, {class})")
    }
}

/// A sample to look at.
#[derive(Debug, Clone)]
pub struct ShownSample {
    /// What is rendered.
    pub case: SampleCase,
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
        let draft = self.notice_draft(&row, &people)?;
        self.shown_samples(&row, &people, &draft.writer).await
    }

    /// The samples as this writer renders them.
    pub async fn shown_samples(
        &self,
        row: &CampaignRow,
        people: &People,
        writer: &NoticeWriter,
    ) -> Result<Vec<ShownSample>, EngineError> {
        let numbers = match row.seal_id {
            Some(seal) => self.store.sample_numbers(seal, SAMPLES).await?,
            None => Vec::new(),
        };
        let locales = writer.locales().spoken();
        let mut shown = Vec::new();
        for place in 0..SAMPLES as usize {
            let case = SampleCase::at(place, &numbers, &locales);
            let Some(case) = case else { break };
            let rendered = self.sample(people, writer, &case).await?;
            shown.push(ShownSample { case, rendered });
        }
        Ok(shown)
    }

    async fn sample(
        &self,
        people: &People,
        writer: &NoticeWriter,
        case: &SampleCase,
    ) -> Result<Rendered, EngineError> {
        let found = self.store.delivery(people.campaign, case.number).await?;
        let body = found.and_then(|listing| listing.body).unwrap_or_default();
        let recipient = people.open(case.number, &body)?;
        let facing = case.facing(writer.kinds());
        writer.render_sample(case.number, &recipient, &facing, Some(&case.locale))
    }

    /// The samples part of a notice snapshot.
    pub(super) async fn samples(
        &self,
        row: &CampaignRow,
        people: &People,
        writer: &NoticeWriter,
    ) -> Result<Vec<u8>, EngineError> {
        let samples: Vec<Sample> = self
            .shown_samples(row, people, writer)
            .await?
            .iter()
            .map(|shown| Sample { case: shown.case.clone(), digest: digest_of(&shown.rendered) })
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
            let now = self.sample(people, writer, &sample.case).await?;
            if digest_of(&now) != sample.digest {
                return Err(EngineError::refused(format!(
                    "this program renders sample {} otherwise than the one that was approved; \
                     hint: run the version that planned it, or plan and approve anew",
                    sample.case
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn twenty_samples_show_every_language_class_addressee_and_readership() {
        for languages in 1..=7 {
            let locales: Vec<String> = (0..languages).map(|n| format!("l{n}")).collect();
            for numbers in [vec![7], vec![7, 8, 9]] {
                let cases: Vec<_> = (0..SAMPLES as usize)
                    .map(|place| SampleCase::at(place, &numbers, &locales).unwrap())
                    .collect();
                let count = |of: fn(&SampleCase) -> String| {
                    cases.iter().map(of).collect::<BTreeSet<_>>().len()
                };
                assert_eq!(count(|case| case.locale.clone()), languages);
                assert_eq!(count(|case| case.class.to_string()), CLASSES.len(), "{languages}");
                assert_eq!(count(|case| case.addressee.clone()), 4, "{languages}");
                assert_eq!(count(|case| case.readership.clone()), 3, "{languages}");
                let pairs = count(|case| format!("{} {}", case.locale, case.readership));
                assert!(pairs >= (languages * 3).min(12), "{languages}: {pairs}");
                assert_eq!(cases[0].to_string(), "7 (l0, self, own, expired)");
            }
        }
        assert!(SampleCase::at(0, &[], &["en".to_owned()]).is_none());
    }
}
