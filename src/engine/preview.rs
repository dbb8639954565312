//! `notice preview` and `notice test`: one person's notice, or an invented person's of a variant, to be
//! looked at; and sent to an operator, marked and never counted.

use std::collections::{BTreeMap, BTreeSet};

use super::notice::{Classes, Facing, NoticeWriter};
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::address::{AddressReason, EmailAddress};
use crate::domain::credential::CredentialClass;
use crate::domain::delivery::{AttemptResult, DeliveryClass, Outcome};
use crate::domain::field::Name;
use crate::domain::recipient::{AccountRef, Addressee, Recipient};
use crate::domain::track::Environment;
use crate::domain::variant::{Readership, Variant};
use crate::mail::connection::Connection;
use crate::mail::relay::Relay;
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
        /// What their address is like.
        address: AddressKind,
    },
}

/// What an invented person's address is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressKind {
    /// Theirs alone, as far as anybody knows.
    #[default]
    Own,
    /// A role's mailbox, or one that a few accounts use.
    Shared,
    /// One that so many accounts use that one notice stands for all, theirs included.
    Combined {
        /// Accounts; at least 2.
        accounts: u64,
    },
    /// Theirs, but changed since the incident began.
    Suspect,
    /// Theirs, but not confirmed for long.
    Dormant,
    /// A second, newer address of somebody whose notice goes to the one before.
    Copy,
}

impl AddressKind {
    fn readership(self) -> Readership {
        match self {
            Self::Own | Self::Suspect | Self::Dormant | Self::Copy => Readership::Own,
            Self::Shared => Readership::Shared,
            Self::Combined { accounts } => Readership::Combined { accounts },
        }
    }

    fn reason(self) -> AddressReason {
        match self {
            Self::Suspect | Self::Copy => AddressReason::Suspect,
            Self::Dormant => AddressReason::Dormant,
            Self::Own | Self::Shared | Self::Combined { .. } => AddressReason::Ok,
        }
    }
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
    /// What else there is to know of it: that it is another's, or that nothing is mailed as it stands.
    pub notes: Vec<String>,
}

/// Who is looked at, with all their notice depends on.
struct Looked {
    number: u64,
    recipient: Recipient,
    facing: Facing,
    notes: Vec<String>,
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
    /// Renders one notice from the files as they are now: of a sealed person the very words they would
    /// get, with a sample in place of their token. Where `class` is given, every exposed credential
    /// stands in it; else a sealed person's are as they are, an invented one's expired.
    pub async fn preview_one(
        &self,
        name: &str,
        subject: &Subject,
        class: Option<CredentialClass>,
    ) -> Result<Preview, EngineError> {
        let (row, people) = self.people(name).await?;
        let writer = self.notice_draft(&row, &people)?.writer;
        self.preview_with(&people, &writer, subject, class).await
    }

    async fn preview_with(
        &self,
        people: &People,
        writer: &NoticeWriter,
        subject: &Subject,
        class: Option<CredentialClass>,
    ) -> Result<Preview, EngineError> {
        let (looked, class) = match subject {
            Subject::Person(number) => (self.sealed_person(people, *number).await?, class),
            Subject::Variant { locale, addressee, address } => {
                let class = class.unwrap_or(CredentialClass::Expired);
                (invented(locale.clone(), *addressee, *address)?, Some(class))
            }
        };
        let Looked { number, recipient, mut facing, notes } = looked;
        if let Some(class) = class {
            facing = facing.all_in(class, writer.kinds());
        }
        let rendered = writer.render_sample(number, &recipient, &facing, None)?;
        let locale = writer.locales().choose(&recipient).to_owned();
        let number = matches!(subject, Subject::Person(_)).then_some(number);
        Ok(Preview { number, locale, rendered, notes })
    }

    /// A sealed person as a worker would load them; one who is named in another's notice is looked at in
    /// that one.
    async fn sealed_person(&self, people: &People, number: u64) -> Result<Looked, EngineError> {
        let load = async |number| {
            self.store.load_row(people.campaign, number).await?.ok_or_else(|| {
                EngineError::refused(format!(
                    "campaign `{}` has no recipient {number}; hint: `forthwith delivery list {}`",
                    people.name, people.name
                ))
            })
        };
        let (mut row, mut notes) = (load(number).await?, Vec::new());
        if let Some(carrier) = row.carrier {
            row = load(carrier).await?;
            notes.push(format!(
                "recipient {number} is told by the notice of recipient {carrier}, which stands for {} \
                 accounts at their address; this is that one",
                row.carried.len() + 1
            ));
        }
        let class = &row.state.class;
        if !matches!(class, DeliveryClass::Queued | DeliveryClass::Deferred) {
            notes.push(format!(
                "recipient {} is {class}: nothing is about to be mailed to them",
                row.number
            ));
        }
        let mut recipients = [Box::new(people.open(row.number, &row.body)?)];
        self.amend_loaded(people, std::slice::from_ref(&row), &mut recipients).await?;
        let [recipient] = recipients;
        let facing = Facing::of(&row, &recipient);
        Ok(Looked { number: row.number, recipient: *recipient, facing, notes })
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
        let writer = self.notice_draft(&row, &people)?.writer;
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
        let outcome =
            self.transact_errand(&people, 0, &mut connection, built, "a test message").await?;
        connection.close().await;
        self.store.end_errand(errand, 1, &outcome).await?;
        Ok(TestSent { preview, outcome })
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
fn invented(
    locale: Option<String>,
    addressee: Addressee,
    kind: AddressKind,
) -> Result<Looked, EngineError> {
    let broken = |what: &str| EngineError::Broken(format!("the invented person's {what}"));
    let recipient = Recipient {
        account: AccountRef::parse("sample").map_err(|_| broken("account"))?,
        address: Some(
            EmailAddress::parse("sample@customers.invalid").map_err(|_| broken("address"))?,
        ),
        address_text: None,
        reason: kind.reason(),
        locale,
        region: None,
        addressee,
        name: Name::parse("Alex Sample").ok(),
        name_refused: false,
        fields: BTreeMap::new(),
        refused: BTreeSet::new(),
        address_changed_at: None,
        address_before: None,
        password_changed_at: None,
        last_verified_on: None,
    };
    let readership = kind.readership();
    let others = match readership {
        Readership::Combined { accounts } => accounts.saturating_sub(1),
        Readership::Own | Readership::Shared => 0,
    };
    let facing = Facing {
        variant: Variant { addressee, readership },
        is_copy: kind == AddressKind::Copy,
        classes: Classes::new(),
        carried: (0..others).map(|_| Classes::new()).collect(),
    };
    Ok(Looked { number: 0, recipient, facing, notes: Vec::new() })
}
