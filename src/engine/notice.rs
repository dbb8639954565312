//! One person's notice: from the approved parts and their row to the exact bytes of a message.

mod test_message;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::campaign_file::{CampaignFile, Mode};
use super::link::{Links, Minted};
use super::people::People;
use super::plan::Parts;
use super::{Engine, EngineError};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::incident::Incident;
use crate::domain::recipient::Recipient;
use crate::mail::address::Mailbox;
use crate::mail::message::{Draft, Party};
use crate::render::{
    CampaignContext, CredentialContext, Prepared, RecipientContext, Rendered, Reset, Templates,
};
use crate::secret::digest::sha256;
use crate::secret::keyring::Keyring;
use crate::secret::mail::{boundary_seed, message_id, reference, verp_tag};
use crate::secret::token::{PlainToken, random_salt};
use crate::store::deliveries::LoadedRow;
use crate::store::tokens::{NewToken, StoredToken};

/// Renders and builds the notices of one campaign from approved bytes.
#[derive(Clone)]
pub struct NoticeWriter {
    prepared: Prepared,
    locales: Vec<String>,
    kinds: Vec<CredentialKind>,
    links: Option<Links>,
    file: Arc<CampaignFile>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    people: People,
    keys: Arc<Keyring>,
}

/// A message with the address it goes to.
pub struct Built {
    /// Where it goes.
    pub to: Mailbox,
    /// The signed envelope sender.
    pub from: String,
    /// The message.
    pub bytes: Vec<u8>,
    /// SHA-256 of the message: what an intent remembers of it.
    pub content: [u8; 32],
}

impl NoticeWriter {
    /// Compiles the approved parts.
    pub fn new(engine: &Engine, people: &People, parts: &Parts) -> Result<Self, EngineError> {
        let file = approved_file(engine, people, parts)?;
        let (_, incident_name) = engine.workspace.incident_file(&file.incident);
        let incident_text = String::from_utf8_lossy(part(parts, &incident_name)?).into_owned();
        let incident = Incident::parse(&incident_text, &incident_name)?;
        let templates: Parts = parts
            .iter()
            .filter_map(|(name, bytes)| {
                Some((name.strip_prefix("templates/")?.to_owned(), bytes.clone()))
            })
            .collect();
        let templates = Templates::compile(&file.notice.template, &templates)?;
        let (_, name) = engine.workspace.campaign_file(&people.name);
        let links = Links::of(&file, &name, &incident, &incident_name)?;
        if links.is_some() {
            templates.check_links()?;
        }
        let prepared = templates.prepare(&CampaignContext::new(&incident))?;
        Ok(Self {
            prepared,
            locales: templates.locales().map(str::to_owned).collect(),
            kinds: kinds(&file, &incident),
            links,
            from: mailbox(file.notice.from.address.as_str(), "notice.from.address")?,
            reply_to: file
                .notice
                .reply_to
                .as_ref()
                .map(|address| mailbox(address.as_str(), "notice.reply_to"))
                .transpose()?,
            file: Arc::new(file),
            people: people.clone(),
            keys: Arc::clone(&engine.keys),
        })
    }

    /// The approved campaign file.
    pub fn file(&self) -> &CampaignFile {
        &self.file
    }

    /// The exposed kinds of credentials.
    pub fn kinds(&self) -> &[CredentialKind] {
        &self.kinds
    }

    /// What is the same in all personal links; none where the mode has none.
    pub fn links(&self) -> Option<&Links> {
        self.links.as_ref()
    }

    fn credentials(
        &self,
        classes: &BTreeMap<CredentialKind, CredentialClass>,
    ) -> Vec<CredentialContext> {
        let class = |kind| classes.get(kind).copied().unwrap_or(CredentialClass::Pending);
        self.kinds
            .iter()
            .map(|kind| CredentialContext { kind: *kind, class: class(kind) })
            .collect()
    }

    /// The message of a loaded row, and what is kept of the token in it.
    pub fn message(
        &self,
        row: &LoadedRow,
        recipient: &Recipient,
        dated_at: Timestamp,
        now: Timestamp,
    ) -> Result<(Built, Option<NewToken>), EngineError> {
        let (number, generation) = (row.number, row.state.generation);
        let classes = classes(&row.credentials);
        let minted = self.mint((number, generation), recipient, &classes, row.token, now)?;
        let token = minted.as_ref().map(|minted| &minted.token);
        let rendered = self.render(number, recipient, &classes, token)?;
        let built = self.build(number, generation, dated_at, recipient, &rendered)?;
        Ok((built, minted.map(|minted| minted.kept)))
    }

    /// The token of one person's generation, to go out at `now`: of the salt that is stored, else of
    /// a new one. None for those who get no link. A stored digest that its salt does not yield is
    /// refused: that token could never be redeemed.
    pub fn mint(
        &self,
        (number, generation): (u64, u32),
        recipient: &Recipient,
        classes: &BTreeMap<CredentialKind, CredentialClass>,
        stored: Option<StoredToken>,
        now: Timestamp,
    ) -> Result<Option<Minted>, EngineError> {
        let credentials = self.credentials(classes);
        let Some(links) = self.links.as_ref().filter(|links| links.reach(recipient, &credentials))
        else {
            return Ok(None);
        };
        let salt = stored.map_or_else(|| random_salt(&mut rand::rng()), |token| token.salt);
        let token =
            PlainToken::derive(self.keys.token(), &self.people.uuid, number, generation, &salt);
        let digest = *token.digest(self.keys.digest()).as_bytes();
        if stored.is_some_and(|token| token.digest != digest) {
            return Err(EngineError::refused(format!(
                "the stored token of recipient {number} is not the one its salt yields; hint: its \
                 row was altered in the database, restore it from a backup"
            )));
        }
        let expires_at = now.saturating_add(links.token_for().signed()).unwrap_or(Timestamp::MAX);
        let kept = NewToken { stored: StoredToken { salt, digest }, expires_at };
        Ok(Some(Minted { token, kept }))
    }

    /// The notice of one person as previews show it: with the sample token, where they get one.
    pub fn render_sample(
        &self,
        number: u64,
        recipient: &Recipient,
        classes: &BTreeMap<CredentialKind, CredentialClass>,
    ) -> Result<Rendered, EngineError> {
        let credentials = self.credentials(classes);
        let is_linked =
            self.links.as_ref().is_some_and(|links| links.reach(recipient, &credentials));
        let token = is_linked.then(PlainToken::sample);
        self.render(number, recipient, classes, token.as_ref())
    }

    /// The notice of one person, its credential sentences by the classes given, its link by the
    /// token; those without one are told of the site.
    pub fn render(
        &self,
        number: u64,
        recipient: &Recipient,
        classes: &BTreeMap<CredentialKind, CredentialClass>,
        token: Option<&PlainToken>,
    ) -> Result<Rendered, EngineError> {
        let reset = match (self.file.notice.mode, self.links.as_ref().zip(token)) {
            (Mode::None, _) => Reset::None,
            (_, Some((links, token))) => links.with(token),
            (Mode::Site | Mode::Link, None) => Reset::Site,
        };
        let reference = reference(self.keys.mail(), &self.people.uuid, number).to_string();
        let context = RecipientContext::new(
            recipient.name.as_ref().map(crate::domain::field::Name::as_str),
            self.credentials(classes),
            reset,
            &reference,
            self.locale(recipient),
            false,
        );
        Ok(self.prepared.render(&context)?)
    }

    /// The person's language if there are templates in it, by tag then by primary language, else the
    /// campaign's.
    pub(super) fn locale(&self, recipient: &Recipient) -> &str {
        let wanted = recipient.locale.as_deref().unwrap_or(&self.file.notice.locale);
        let primary = wanted.split('-').next().unwrap_or(wanted);
        [wanted, primary]
            .into_iter()
            .find_map(|tag| self.locales.iter().find(|known| known.eq_ignore_ascii_case(tag)))
            .map_or(self.file.notice.locale.as_str(), String::as_str)
    }

    /// The message: the same inputs give the same bytes.
    pub fn build(
        &self,
        number: u64,
        generation: u32,
        dated_at: Timestamp,
        recipient: &Recipient,
        rendered: &Rendered,
    ) -> Result<Built, EngineError> {
        let address = recipient.address.as_ref().ok_or_else(|| {
            EngineError::Broken(format!("recipient {number} has no address but was queued"))
        })?;
        let (key, uuid) = (self.keys.mail(), &self.people.uuid);
        let to = mailbox(address.as_str(), "address")?;
        let message_id =
            format!("{}@{}", message_id(key, uuid, number, generation), self.from.domain());
        let boundary = boundary_seed(key, uuid, number, generation);
        let reference = reference(key, uuid, number).to_string();
        let draft = Draft {
            from: Party { name: Some(&self.file.notice.from.name), address: &self.from },
            reply_to: self.reply_to.as_ref().map(|address| Party { name: None, address }),
            to: Party {
                name: recipient.name.as_ref().map(crate::domain::field::Name::as_str),
                address: &to,
            },
            subject: &rendered.subject,
            text: &rendered.text,
            html: Some(&rendered.html),
            message_id: &message_id,
            date: dated_at,
            boundary: &boundary,
            reference: Some(&reference),
            feedback_id: None,
            language: Some(self.locale(recipient)),
            is_test: false,
        };
        let bytes = draft.build().map_err(|source| EngineError::Build { number, source })?;
        let bounce = self.file.notice.bounce_domain.as_deref().unwrap_or(self.from.domain());
        let from = format!("b-{}@{bounce}", verp_tag(key, uuid, number, generation));
        let content = *sha256(&bytes).as_bytes();
        Ok(Built { to, from, bytes, content })
    }
}

/// The credentials a notice speaks of: those exposed, or in mode `none` not one.
fn kinds(file: &CampaignFile, incident: &Incident) -> Vec<CredentialKind> {
    match file.notice.mode {
        Mode::None => Vec::new(),
        Mode::Site | Mode::Link => incident.exposed().credentials.clone(),
    }
}

fn classes(words: &BTreeMap<String, String>) -> BTreeMap<CredentialKind, CredentialClass> {
    words
        .iter()
        .filter_map(|(kind, class)| {
            Some((CredentialKind::parse(kind)?, CredentialClass::parse(class)?))
        })
        .collect()
}

/// The approved campaign file alone, for who neither renders nor sends.
pub(super) fn approved_file(
    engine: &Engine,
    people: &People,
    parts: &Parts,
) -> Result<CampaignFile, EngineError> {
    let (_, name) = engine.workspace.campaign_file(&people.name);
    CampaignFile::parse_canonical(part(parts, &name)?, &name)
}

fn part<'a>(parts: &'a Parts, name: &str) -> Result<&'a [u8], EngineError> {
    parts.get(name).map(Vec::as_slice).ok_or_else(|| {
        EngineError::refused(format!(
            "the approved snapshot has no `{name}`; hint: was the campaign renamed? plan it anew"
        ))
    })
}

fn mailbox(address: &str, key: &str) -> Result<Mailbox, EngineError> {
    address.parse().map_err(|error| EngineError::refused(format!("`{key}`: {error}")))
}
