//! One person's notice: from the approved parts and their row to the exact bytes of a message.

mod compiled;
mod facing;
mod test_message;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

pub use self::compiled::LastNotice;
pub use self::facing::{Classes, Facing};
use super::campaign_file::{CampaignFile, Mode};
use super::link::{Links, Minted};
use super::locale::Locales;
use super::people::People;
use super::plan::Parts;
use super::{Engine, EngineError};
use crate::domain::address::AddressReason;
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::field::{FieldType, Name};
use crate::domain::incident::Incident;
use crate::domain::recipient::Recipient;
use crate::mail::address::Mailbox;
use crate::mail::message::{Body, Draft, Party, encode_body};
use crate::render::{
    CredentialContext, Encoded, NoticeSpec, Prepared, RecipientContext, RecipientFacts, Rendered,
    Reset, Templates, Trust,
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
    templates: Templates,
    prepared: Prepared,
    /// Room for one person's bodies: a buffer of a message's size costs more than filling it.
    encoded: Arc<Mutex<Encoded>>,
    locales: Locales,
    kinds: Vec<CredentialKind>,
    /// From here on a changed address may be a thief's.
    window_from: Timestamp,
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
        let (file, incident) = approved_words(engine, people, parts)?;
        let (_, incident_name) = engine.workspace.incident_file(&file.incident);
        let templates: Parts = parts
            .iter()
            .filter_map(|(name, bytes)| {
                Some((name.strip_prefix("templates/")?.to_owned(), bytes.clone()))
            })
            .collect();
        let languages: Vec<&str> = incident.languages().collect();
        let spec = NoticeSpec {
            notice: &file.notice.template,
            languages: Some(&languages),
            fields: file.audience.fields(),
        };
        let (_, name) = engine.workspace.campaign_file(&people.name);
        let links = Links::of(&file, &name, &incident, &incident_name)?;
        let templates = engine.last_notice.compiled(spec, &templates, links.is_some())?;
        let locales = Locales::of(&file.notice, &name, &templates, &incident, &incident_name)?;
        Ok(Self {
            prepared: templates.prepare(&incident)?.encoding(encode_body),
            encoded: Arc::default(),
            templates,
            locales,
            window_from: incident.window().from.timestamp(),
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

    /// Who gets which language.
    pub fn locales(&self) -> &Locales {
        &self.locales
    }

    /// The campaign's merge fields.
    pub fn fields(&self) -> &BTreeMap<String, FieldType> {
        self.file.audience.fields()
    }

    /// Refuses a language without words for these flags.
    pub fn check_variants(
        &self,
        locale: &str,
        flags: impl IntoIterator<Item = &'static str>,
    ) -> Result<(), EngineError> {
        Ok(self.templates.check_variants(locale, flags)?)
    }

    /// What speaks against the address: that it is a copy's, that it was changed since the window began,
    /// that nobody proved it for long.
    pub fn trust(&self, recipient: &Recipient, is_copy: bool) -> Trust {
        let moved = recipient.moved_since(self.window_from);
        match recipient.reason {
            _ if is_copy => Trust::Copy,
            AddressReason::Suspect => Trust::Suspect,
            _ if moved => Trust::Suspect,
            AddressReason::Dormant => Trust::Dormant,
            _ => Trust::Known,
        }
    }

    fn credentials(&self, classes: &Classes) -> Vec<CredentialContext> {
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
        let facing = Facing::of(row, recipient);
        let minted = self.mint((number, generation), recipient, &facing, row.token, now)?;
        let token = minted.as_ref().map(|minted| &minted.token);
        let context =
            self.context(number, recipient, &facing, self.locales.choose(recipient), token);
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        self.prepared.encode(&context, &mut encoded)?;
        let built = self.build((number, generation), dated_at, recipient, &context, &encoded)?;
        Ok((built, minted.map(|minted| minted.kept)))
    }

    fn gets_link(&self, recipient: &Recipient, facing: &Facing) -> bool {
        let trust = self.trust(recipient, facing.is_copy);
        let credentials = self.credentials(&facing.classes);
        self.links.is_some() && Links::reach(recipient, facing.variant, trust, &credentials)
    }

    /// The token of one person's generation, to go out at `now`: of the salt that is stored, else of
    /// a new one. None for those who get no link. A stored digest that its salt does not yield is
    /// refused: that token could never be redeemed.
    pub fn mint(
        &self,
        (number, generation): (u64, u32),
        recipient: &Recipient,
        facing: &Facing,
        stored: Option<StoredToken>,
        now: Timestamp,
    ) -> Result<Option<Minted>, EngineError> {
        let Some(links) = self.links.as_ref().filter(|_| self.gets_link(recipient, facing)) else {
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

    /// The notice of one person as previews show it: with the sample token, where they get one; in their
    /// own language, or in the one asked for.
    pub fn render_sample(
        &self,
        number: u64,
        recipient: &Recipient,
        facing: &Facing,
        locale: Option<&str>,
    ) -> Result<Rendered, EngineError> {
        let token = self.gets_link(recipient, facing).then(PlainToken::sample);
        let locale = locale.unwrap_or_else(|| self.locales.choose(recipient));
        let context = self.context(number, recipient, facing, locale, token.as_ref());
        Ok(self.prepared.render(&context)?)
    }

    /// The notice of one person, its credential sentences by the classes given, its link by the
    /// token; those without one are told of the site.
    pub fn render(
        &self,
        number: u64,
        recipient: &Recipient,
        facing: &Facing,
        token: Option<&PlainToken>,
    ) -> Result<Rendered, EngineError> {
        let locale = self.locales.choose(recipient);
        Ok(self.prepared.render(&self.context(number, recipient, facing, locale, token))?)
    }

    fn context(
        &self,
        number: u64,
        recipient: &Recipient,
        facing: &Facing,
        locale: &str,
        token: Option<&PlainToken>,
    ) -> RecipientContext {
        let reset = match (self.file.notice.mode, self.links.as_ref().zip(token)) {
            (Mode::None, _) => Reset::None,
            (_, Some((links, token))) => links.with(token),
            (Mode::Site | Mode::Link, None) => Reset::Site,
        };
        let value = |name: &String| recipient.fields.get(name).cloned().unwrap_or_default();
        RecipientContext::new(RecipientFacts {
            name: recipient.name.as_ref().map(Name::as_str),
            variant: facing.variant,
            trust: self.trust(recipient, facing.is_copy),
            credentials: self.credentials(&facing.classes),
            carried: facing.carried.iter().map(|classes| self.credentials(classes)).collect(),
            reset,
            reference: &reference(self.keys.mail(), &self.people.uuid, number).to_string(),
            locale,
            unsubscribed: false,
            fields: self.fields().keys().map(|name| (name.clone(), value(name))).collect(),
        })
    }

    /// The message: the same inputs give the same bytes. `To` names the person only where the notice does.
    fn build(
        &self,
        (number, generation): (u64, u32),
        dated_at: Timestamp,
        recipient: &Recipient,
        context: &RecipientContext,
        encoded: &Encoded,
    ) -> Result<Built, EngineError> {
        let address = recipient.address.as_ref().ok_or_else(|| {
            EngineError::Broken(format!("recipient {number} has no address but was queued"))
        })?;
        let (key, uuid) = (self.keys.mail(), &self.people.uuid);
        let to = mailbox(address.as_str(), "address")?;
        let message_id =
            format!("{}@{}", message_id(key, uuid, number, generation), self.from.domain());
        let boundary = boundary_seed(key, uuid, number, generation);
        let draft = Draft {
            from: Party { name: Some(&self.file.notice.from.name), address: &self.from },
            reply_to: self.reply_to.as_ref().map(|address| Party { name: None, address }),
            to: Party { name: Some(context.name()).filter(|name| !name.is_empty()), address: &to },
            subject: &encoded.subject,
            text: Body::Encoded(&encoded.text),
            html: Some(Body::Encoded(&encoded.html)),
            message_id: &message_id,
            date: dated_at,
            boundary: &boundary,
            reference: Some(context.reference()),
            feedback_id: None,
            language: Some(context.locale()),
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

/// The approved campaign file alone, for who neither renders nor sends.
pub(super) fn approved_file(
    engine: &Engine,
    people: &People,
    parts: &Parts,
) -> Result<CampaignFile, EngineError> {
    let (_, name) = engine.workspace.campaign_file(&people.name);
    CampaignFile::parse_canonical(part(parts, &name)?, &name)
}

/// The campaign's and the incident's own words, out of an approved notice.
pub(super) fn approved_words(
    engine: &Engine,
    people: &People,
    parts: &Parts,
) -> Result<(CampaignFile, Incident), EngineError> {
    let file = approved_file(engine, people, parts)?;
    let (_, name) = engine.workspace.incident_file(&file.incident);
    let text = String::from_utf8_lossy(part(parts, &name)?).into_owned();
    let incident = Incident::parse(&text, &name)?;
    Ok((file, incident))
}

fn part<'a>(parts: &'a Parts, name: &str) -> Result<&'a [u8], EngineError> {
    parts.get(name).map(Vec::as_slice).ok_or_else(|| {
        EngineError::refused(format!(
            "the approved snapshot has no `{name}`; hint: was the campaign renamed? plan it anew"
        ))
    })
}

pub(super) fn mailbox(address: &str, key: &str) -> Result<Mailbox, EngineError> {
    address.parse().map_err(|error| EngineError::refused(format!("`{key}`: {error}")))
}
