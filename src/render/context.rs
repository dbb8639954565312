//! What templates may see: the campaign's facts, the same for everybody, and one person's.
//!
//! Every field is always there, so that a misspelt one is an error. What is not known is an empty
//! text or an empty list, which the lint lets stand only behind a condition.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::domain::duration::HumanDuration;
use crate::domain::incident::{Incident, OneLine, SiteUrl, Texts};
use crate::secret::token::ResetLink;

mod credential;
mod person;

pub(super) use credential::CLASS_FLAGS;
pub use credential::CredentialContext;
pub(super) use person::Shape;
pub use person::{RecipientContext, RecipientFacts, Trust, needed_flags};

/// How one person's notice leads to a new password.
#[derive(Debug, Clone)]
pub enum Reset {
    /// By the site people know: no link and no secret in the mail.
    Site,
    /// By a link of their own, which lives so long after it was sent; the site stays open to them.
    Link {
        /// Their link.
        link: ResetLink,
        /// How long it lives, in whole minutes.
        token_for: HumanDuration,
    },
    /// Not at all.
    None,
}

impl Reset {
    pub(super) fn link(&self) -> Option<&ResetLink> {
        match self {
            Self::Link { link, .. } => Some(link),
            Self::Site | Self::None => None,
        }
    }
}

/// Exactly one of `site`, `link` and `none` holds; `token_for` is empty without a link.
impl Serialize for Reset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token_for = match self {
            Self::Link { token_for, .. } => token_for.to_string(),
            Self::Site | Self::None => String::new(),
        };
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("site", &matches!(self, Self::Site))?;
        map.serialize_entry("link", &self.link().is_some())?;
        map.serialize_entry("none", &matches!(self, Self::None))?;
        map.serialize_entry("token_for", &token_for)?;
        map.end()
    }
}

/// What is the same in every notice of a campaign.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignContext {
    pub(super) brand: BrandFacts,
    pub(super) contact: ContactFacts,
    pub(super) incident: IncidentFacts,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct BrandFacts {
    pub(super) name: String,
    /// With its scheme, for machines.
    pub(super) site: String,
    /// As people type it.
    pub(super) address: String,
    /// As people type it; empty without one.
    pub(super) notice_page: String,
    /// What the site calls the way to a new password; empty where the template's own words fit.
    pub(super) new_password_label: String,
}

/// Each empty where there is none.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct ContactFacts {
    pub(super) email: String,
    pub(super) page: String,
    pub(super) phone: String,
    pub(super) hours: String,
    pub(super) postal: String,
}

/// Instants are in the canonical text of `ZonedInstant`, for the word `date`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct IncidentFacts {
    pub(super) title: String,
    pub(super) summary: Vec<String>,
    pub(super) vendor: String,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) discovered_at: String,
    pub(super) exposed: Vec<String>,
    pub(super) not_exposed: Vec<String>,
    pub(super) actions_taken: Vec<String>,
    pub(super) advice: Vec<String>,
    pub(super) offer: OfferFacts,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct OfferFacts {
    pub(super) text: String,
    pub(super) enrol_by: String,
}

impl CampaignContext {
    /// The facts of `incident` in one of its languages; `None` where it is not told in that one.
    pub fn new(incident: &Incident, locale: &str) -> Option<Self> {
        let texts = incident.texts(locale)?;
        let brand = incident.brand();
        let phrases =
            |lines: &[OneLine]| lines.iter().map(|line| line.as_str().to_owned()).collect();
        let offer = incident.offer().zip(texts.offer).map(|(offer, text)| OfferFacts {
            text: text.as_str().to_owned(),
            enrol_by: offer.enrol_by.to_string(),
        });
        Some(Self {
            brand: BrandFacts {
                name: brand.name.as_str().to_owned(),
                site: brand.site.as_str().to_owned(),
                address: brand.site.typed(),
                notice_page: brand.notice_url.as_ref().map(SiteUrl::typed).unwrap_or_default(),
                new_password_label: text_of(texts.new_password_label),
            },
            contact: ContactFacts::of(incident, texts),
            incident: IncidentFacts {
                title: texts.title.as_str().to_owned(),
                summary: texts.summary.as_slice().to_vec(),
                vendor: text_of(incident.vendor()),
                from: incident.window().from.to_string(),
                until: incident.window().until.to_string(),
                discovered_at: incident.discovered_at().to_string(),
                exposed: phrases(texts.exposed),
                not_exposed: phrases(texts.not_exposed),
                actions_taken: phrases(texts.actions_taken),
                advice: phrases(texts.advice),
                offer: offer.unwrap_or_default(),
            },
        })
    }
}

impl ContactFacts {
    fn of(incident: &Incident, texts: Texts<'_>) -> Self {
        let brand = incident.brand();
        Self {
            email: text_of(brand.support_email.as_ref()),
            page: brand.support_url.as_ref().map(SiteUrl::typed).unwrap_or_default(),
            phone: text_of(brand.phone.as_ref()),
            hours: text_of(texts.hours),
            postal: text_of(brand.postal.as_ref()),
        }
    }
}

fn text_of(line: Option<&OneLine>) -> String {
    line.map(|line| line.as_str().to_owned()).unwrap_or_default()
}

/// Everything one notice is made of. Templates see both halves side by side: `brand`, `contact`,
/// `incident`; `person`, `credentials`, `secrets`, `reset`, `reference`, `locale`.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeContext {
    /// The same for everybody.
    #[serde(flatten)]
    pub campaign: CampaignContext,
    /// This person's.
    #[serde(flatten)]
    pub recipient: RecipientContext,
}
