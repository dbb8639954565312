//! `notice preview` and `notice test`: one person's notice, or an invented person's of a variant, to be
//! looked at; and sent to an operator, marked and never counted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::notice::NoticeWriter;
use super::notify::outcome::of_transaction;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::address::{AddressReason, EmailAddress};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::delivery::{AttemptResult, Outcome};
use crate::domain::field::Name;
use crate::domain::recipient::{AccountRef, Addressee, Recipient};
use crate::domain::track::{Environment, Track};
use crate::mail::connection::Connection;
use crate::mail::envelope::{Envelope, ReportRequest};
use crate::mail::relay::Relay;
use crate::mail::wire::wire_form;
use crate::render::Rendered;
use crate::secret::mail::random_id;
use crate::store::errands::{ErrandKind, NewErrand};

/// Whose notice is looked at.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A sealed person's, by number.
    Person(u64),
    /// An invented person's.
    Variant {
        /// Their language; the campaign's where absent.
        locale: Option<String>,
        /// Whom the notice speaks to.
        addressee: Addressee,
    },
}

/// A notice to look at.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Whose; absent where the person is invented.
    pub number: Option<u64>,
    /// Its language.
    pub locale: String,
    /// Its subject and bodies.
    pub rendered: Rendered,
}

/// A test that was sent.
#[derive(Debug, Clone)]
pub struct TestSent {
    /// The notice that was sent.
    pub preview: Preview,
    /// What became of it.
    pub outcome: Outcome,
}

impl Engine {
    /// Renders one notice from the files as they are now. Where `class` is given, every exposed
    /// credential stands in it; else a sealed person's are as they are, an invented one's expired.
    pub async fn preview_one(
        &self,
        name: &str,
        subject: &Subject,
        class: Option<CredentialClass>,
    ) -> Result<Preview, EngineError> {
        let (row, people) = self.people(name).await?;
        let (parts, _) = self.parts(&row, &people, Track::Notice).await?;
        let writer = NoticeWriter::new(self, &people, &parts)?;
        self.preview_with(&people, &writer, subject, class).await
    }

    async fn preview_with(
        &self,
        people: &People,
        writer: &NoticeWriter,
        subject: &Subject,
        class: Option<CredentialClass>,
    ) -> Result<Preview, EngineError> {
        let (number, recipient, known) = match subject {
            Subject::Person(number) => {
                let (recipient, known) = self.sealed_person(people, *number).await?;
                (Some(*number), recipient, known)
            }
            Subject::Variant { locale, addressee } => {
                (None, invented(locale.clone(), *addressee)?, BTreeMap::new())
            }
        };
        let default =
            if number.is_some() { CredentialClass::Pending } else { CredentialClass::Expired };
        let classes: BTreeMap<CredentialKind, CredentialClass> = writer
            .kinds()
            .iter()
            .map(|kind| (*kind, class.or_else(|| known.get(kind).copied()).unwrap_or(default)))
            .collect();
        let rendered = writer.render_sample(number.unwrap_or(0), &recipient, &classes)?;
        Ok(Preview { number, locale: writer.locale(&recipient).to_owned(), rendered })
    }

    async fn sealed_person(
        &self,
        people: &People,
        number: u64,
    ) -> Result<(Recipient, BTreeMap<CredentialKind, CredentialClass>), EngineError> {
        let listing = self.store.delivery(people.campaign, number).await?.ok_or_else(|| {
            EngineError::refused(format!(
                "campaign `{}` has no recipient {number}; hint: `forthwith delivery list {}`",
                people.name, people.name
            ))
        })?;
        let recipient = people.open(number, &listing.body.unwrap_or_default())?;
        let before = number.saturating_sub(1);
        let known = self.store.list_credentials(people.campaign, None, before, 16).await?;
        let classes = known
            .into_iter()
            .filter(|found| found.number == number)
            .map(|found| (found.kind, found.class))
            .collect();
        Ok((recipient, classes))
    }

    /// Sends a preview to an operator's own address: marked as a test in subject, text and header,
    /// recorded as an errand, counted in no sum of people. A rehearsal speaks to this machine only.
    pub async fn send_test(
        &self,
        name: &str,
        subject: &Subject,
        class: Option<CredentialClass>,
        to: &EmailAddress,
        by: &str,
    ) -> Result<TestSent, EngineError> {
        self.check_test_address(to)?;
        let (row, people) = self.people(name).await?;
        let (parts, _) = self.parts(&row, &people, Track::Notice).await?;
        let writer = NoticeWriter::new(self, &people, &parts)?;
        let preview = self.preview_with(&people, &writer, subject, class).await?;
        self.check_relay(row.environment).await?;
        let mut relay = self.relay.clone();
        relay.loopback_only = row.environment == Environment::Rehearsal;
        let mut connection = Connection::connect(&Relay::new(relay))
            .await
            .map_err(|fault| EngineError::refused(fault.to_string()))?;
        let now = self.clock.now();
        let id = random_id(&mut rand::rng());
        let built = writer.test_message(&id, now, to, &preview)?;
        let errand = self
            .store
            .begin_errand(NewErrand {
                campaign: row.id,
                kind: ErrandKind::TestSend,
                requested_by: by.to_owned(),
                dated_at: now,
                content: built.content,
            })
            .await?;
        let outcome = self.transact_test(&people, &mut connection, &built).await?;
        connection.close().await;
        self.store.end_errand(errand, 1, &outcome).await?;
        Ok(TestSent { preview, outcome })
    }

    async fn transact_test(
        &self,
        people: &People,
        connection: &mut Connection,
        built: &super::notice::Built,
    ) -> Result<Outcome, EngineError> {
        let broken = |what: String| EngineError::Broken(format!("a test message: {what}"));
        let from = built.from.parse().map_err(|error| {
            EngineError::refused(format!(
                "the envelope sender: {error}; hint: `notice.bounce_domain`"
            ))
        })?;
        let envelope = Envelope {
            from: Some(from),
            to: built.to.clone(),
            report: ReportRequest::new(built.from.split('@').next().unwrap_or("test")).ok(),
        };
        let wire = wire_form(&built.bytes).map_err(|error| broken(error.to_string()))?;
        let end = connection.transact(&envelope, &wire, || Ok(())).await;
        let provider = self.providers.lookup(built.to.domain()).as_str().to_owned();
        let at: Timestamp = self.clock.now();
        Ok(of_transaction(people, &self.replies, &provider, 0, &end, at))
    }

    /// A test goes to operators' own addresses only: nobody outside sees a draft by a slip of a finger.
    fn check_test_address(&self, to: &EmailAddress) -> Result<(), EngineError> {
        if self.test_addresses.iter().any(|own| own.canonical() == to.canonical()) {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "`{to}` is not among the addresses that tests may go to; hint: `[test] addresses` in \
             `forthwith.toml` lists the operators' own"
        )))
    }
}

impl TestSent {
    /// Whether the relay took it.
    pub fn is_accepted(&self) -> bool {
        self.outcome.result == AttemptResult::Accepted
    }
}

/// A person who does not exist, for looking at a variant.
fn invented(locale: Option<String>, addressee: Addressee) -> Result<Recipient, EngineError> {
    let broken = |what: &str| EngineError::Broken(format!("the invented person's {what}"));
    Ok(Recipient {
        account: AccountRef::parse("sample").map_err(|_| broken("account"))?,
        address: Some(
            EmailAddress::parse("sample@customers.invalid").map_err(|_| broken("address"))?,
        ),
        address_text: None,
        reason: AddressReason::Ok,
        locale,
        region: None,
        addressee,
        name: Name::parse("Alex Sample").ok(),
        name_refused: false,
        fields: BTreeMap::new(),
        refused: BTreeSet::new(),
        address_changed_at: None,
        password_changed_at: None,
        last_verified_on: None,
    })
}
