//! One person's notice: from the approved parts and their row to the exact bytes of a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::campaign_file::{CampaignFile, Mode};
use super::people::People;
use super::plan::Parts;
use super::{Engine, EngineError};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::incident::Incident;
use crate::domain::recipient::Recipient;
use crate::mail::address::Mailbox;
use crate::mail::message::{Draft, Party};
use crate::render::{
    CampaignContext, CredentialContext, Prepared, RecipientContext, Rendered, ResetMode, Templates,
};
use crate::secret::digest::sha256;
use crate::secret::keyring::Keyring;
use crate::secret::mail::{boundary_seed, message_id, reference, verp_tag};

/// Renders and builds the notices of one campaign from approved bytes.
#[derive(Clone)]
pub struct NoticeWriter {
    prepared: Prepared,
    locales: Vec<String>,
    kinds: Vec<CredentialKind>,
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
        let reset = match file.notice.mode {
            Mode::Site => ResetMode::Site,
            Mode::None => ResetMode::None,
        };
        let prepared = templates.prepare(&CampaignContext::new(&incident, reset))?;
        Ok(Self {
            prepared,
            locales: templates.locales().map(str::to_owned).collect(),
            kinds: incident.exposed().credentials.clone(),
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

    /// The notice of one person, its credential sentences by the classes given.
    pub fn render(
        &self,
        number: u64,
        recipient: &Recipient,
        classes: &BTreeMap<CredentialKind, CredentialClass>,
    ) -> Result<Rendered, EngineError> {
        let credentials = self
            .kinds
            .iter()
            .map(|kind| CredentialContext {
                kind: *kind,
                class: classes.get(kind).copied().unwrap_or(CredentialClass::Pending),
            })
            .collect();
        let reference = reference(self.keys.mail(), &self.people.uuid, number).to_string();
        let context = RecipientContext::new(
            recipient.name.as_ref().map(crate::domain::field::Name::as_str),
            credentials,
            &reference,
            self.locale(recipient),
            false,
        );
        Ok(self.prepared.render(&context)?)
    }

    /// The person's language if there are templates in it, by tag then by primary language, else the
    /// campaign's.
    fn locale(&self, recipient: &Recipient) -> &str {
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
        };
        let bytes = draft.build().map_err(|source| EngineError::Build { number, source })?;
        let bounce = self.file.notice.bounce_domain.as_deref().unwrap_or(self.from.domain());
        let from = format!("b-{}@{bounce}", verp_tag(key, uuid, number, generation));
        let content = *sha256(&bytes).as_bytes();
        Ok(Built { to, from, bytes, content })
    }
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
