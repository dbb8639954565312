//! What templates may see: the campaign's facts, the same for everybody, and one person's.
//!
//! Every field is always there, so that a misspelt one is an error. What is not known is an empty
//! text or an empty list, which the lint lets stand only behind a condition.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::duration::HumanDuration;
use crate::domain::incident::{Brand, Incident, OneLine, SiteUrl};
use crate::secret::token::ResetLink;

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
    /// The facts of `incident`.
    pub fn new(incident: &Incident) -> Self {
        let brand = incident.brand();
        let phrases =
            |lines: &[OneLine]| lines.iter().map(|line| line.as_str().to_owned()).collect();
        let exposed = incident.exposed();
        let offer = incident.offer().map(|offer| OfferFacts {
            text: offer.text.as_str().to_owned(),
            enrol_by: offer.enrol_by.to_string(),
        });
        Self {
            brand: BrandFacts {
                name: brand.name.as_str().to_owned(),
                site: brand.site.as_str().to_owned(),
                address: brand.site.typed(),
                notice_page: brand.notice_url.as_ref().map(SiteUrl::typed).unwrap_or_default(),
            },
            contact: ContactFacts::of(brand),
            incident: IncidentFacts {
                title: incident.title().to_owned(),
                summary: incident.summary().as_slice().to_vec(),
                vendor: text_of(incident.vendor()),
                from: incident.window().from.to_string(),
                until: incident.window().until.to_string(),
                discovered_at: incident.discovered_at().to_string(),
                exposed: phrases(&exposed.data),
                not_exposed: phrases(incident.not_exposed()),
                actions_taken: phrases(incident.actions_taken()),
                advice: phrases(incident.advice()),
                offer: offer.unwrap_or_default(),
            },
        }
    }
}

impl ContactFacts {
    fn of(brand: &Brand) -> Self {
        Self {
            email: text_of(brand.support_email.as_ref()),
            page: brand.support_url.as_ref().map(SiteUrl::typed).unwrap_or_default(),
            phone: text_of(brand.phone.as_ref()),
            hours: text_of(brand.hours.as_ref()),
            postal: text_of(brand.postal.as_ref()),
        }
    }
}

fn text_of(line: Option<&OneLine>) -> String {
    line.map(|line| line.as_str().to_owned()).unwrap_or_default()
}

/// The tests a template can make on the kind of a credential.
const KIND_FLAGS: [(&str, CredentialKind); 7] = [
    ("is_password", CredentialKind::Password),
    ("is_session", CredentialKind::Session),
    ("is_refresh_token", CredentialKind::RefreshToken),
    ("is_api_key", CredentialKind::ApiKey),
    ("is_totp_seed", CredentialKind::TotpSeed),
    ("is_recovery_code", CredentialKind::RecoveryCode),
    ("is_security_answer", CredentialKind::SecurityAnswer),
];

/// The tests a template must make on the class of a credential; exactly one of them holds.
pub(super) const CLASS_FLAGS: [&str; 7] =
    ["expired", "changed_since", "no_password", "not_found", "exempt", "not_yet", "renewed"];

/// The one flag of [`CLASS_FLAGS`] that holds.
fn flag_of(class: CredentialClass) -> &'static str {
    match class {
        CredentialClass::Expired => "expired",
        CredentialClass::ChangedSince => "changed_since",
        CredentialClass::NoPassword => "no_password",
        CredentialClass::NotFound => "not_found",
        CredentialClass::Exempt => "exempt",
        // None of the three can promise that the old secret is dead.
        CredentialClass::Pending | CredentialClass::Failed | CredentialClass::Regressed => {
            "not_yet"
        }
        CredentialClass::Reset | CredentialClass::ResetElsewhere => "renewed",
    }
}

/// One exposed credential of one person, and what has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialContext {
    /// What it is.
    pub kind: CredentialKind,
    /// What has become of it, by read-back.
    pub class: CredentialClass,
}

impl Serialize for CredentialContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind)?;
        KIND_FLAGS
            .iter()
            .try_for_each(|(flag, of)| map.serialize_entry(flag, &(*of == self.kind)))?;
        map.serialize_entry("class", &self.class)?;
        let holds = flag_of(self.class);
        CLASS_FLAGS.iter().try_for_each(|flag| map.serialize_entry(flag, &(*flag == holds)))?;
        map.end()
    }
}

/// What is one person's own.
#[derive(Clone, Serialize)]
pub struct RecipientContext {
    pub(super) person: PersonFacts,
    pub(super) credentials: Vec<CredentialContext>,
    pub(super) reset: Reset,
    pub(super) reference: String,
    pub(super) locale: String,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a condition of its own in templates")]
#[derive(Clone, Serialize)]
pub(super) struct PersonFacts {
    name: String,
    has_name: bool,
    needs_new_password: bool,
    knew_secret: bool,
    unsubscribed: bool,
    link: PersonalLink,
}

/// A person's link, or an empty text.
#[derive(Clone)]
struct PersonalLink(Option<ResetLink>);

/// The one place where a link becomes text: a template is about to print it.
impl Serialize for PersonalLink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_ref().map_or("", ResetLink::expose))
    }
}

impl RecipientContext {
    /// A person as the notice addresses them. `name` has passed its type at seal; without one the
    /// salutation is neutral. `reference` is what support looks up. `unsubscribed`: they have told
    /// us to send no news, which this is not. A link for somebody who has no password to replace is
    /// dropped: they are told of the site.
    pub fn new(
        name: Option<&str>,
        credentials: Vec<CredentialContext>,
        reset: Reset,
        reference: &str,
        locale: &str,
        unsubscribed: bool,
    ) -> Self {
        // A line break in a name would write lines of its own into the text part.
        let name = name.unwrap_or_default().replace(char::is_control, " ").trim().to_owned();
        let any = |test: fn(CredentialContext) -> bool| credentials.iter().copied().any(test);
        let reset = match reset {
            Reset::Link { .. } if !any(CredentialContext::needs_new_password) => Reset::Site,
            other => other,
        };
        Self {
            person: PersonFacts {
                has_name: !name.is_empty(),
                name,
                needs_new_password: any(CredentialContext::needs_new_password),
                knew_secret: any(CredentialContext::is_remembered),
                unsubscribed,
                link: PersonalLink(reset.link().cloned()),
            },
            credentials,
            reset,
            reference: reference.to_owned(),
            locale: locale.to_owned(),
        }
    }

    /// The language the person is written to in, as a BCP 47 tag.
    pub fn locale(&self) -> &str {
        &self.locale
    }
}

impl CredentialContext {
    /// Whether the person has a password with us that they should now replace.
    pub fn needs_new_password(self) -> bool {
        self.kind == CredentialKind::Password
            && matches!(flag_of(self.class), "expired" | "not_yet" | "exempt")
    }

    /// Whether it is something people know and use in several places.
    fn is_remembered(self) -> bool {
        matches!(self.kind, CredentialKind::Password | CredentialKind::SecurityAnswer)
            && self.class != CredentialClass::NoPassword
    }
}

/// Names stay out of logs.
impl fmt::Debug for RecipientContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecipientContext")
            .field("credentials", &self.credentials)
            .field("reference", &self.reference)
            .field("locale", &self.locale)
            .finish_non_exhaustive()
    }
}

/// Everything one notice is made of. Templates see both halves side by side: `brand`, `contact`,
/// `incident`; `person`, `credentials`, `reset`, `reference`, `locale`.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeContext {
    /// The same for everybody.
    #[serde(flatten)]
    pub campaign: CampaignContext,
    /// This person's.
    #[serde(flatten)]
    pub recipient: RecipientContext,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::token::PlainToken;

    fn of(
        name: Option<&str>,
        credentials: Vec<CredentialContext>,
        reset: Reset,
    ) -> RecipientContext {
        RecipientContext::new(name, credentials, reset, "R-1", "en", false)
    }

    fn password(class: CredentialClass) -> CredentialContext {
        CredentialContext { kind: CredentialKind::Password, class }
    }

    fn linked() -> Reset {
        let link = PlainToken::sample().link("https://www.northwind.example/reset");
        Reset::Link { link, token_for: HumanDuration::from_secs(86_400) }
    }

    #[test]
    fn exactly_one_class_flag_holds_for_every_class() {
        for (_, recipient) in RecipientContext::samples(&Reset::Site) {
            let value = serde_json::to_value(&recipient.credentials).unwrap();
            for credential in value.as_array().unwrap() {
                let holding = CLASS_FLAGS.iter().filter(|flag| credential[**flag] == true).count();
                assert_eq!(holding, 1, "{credential}");
            }
        }
    }

    #[test]
    fn a_name_of_control_characters_is_no_name() {
        let person = of(Some("\r\n\t"), Vec::new(), Reset::Site);
        assert!(!person.person.has_name);
        let person = of(Some("Ada\r\nReset: here"), Vec::new(), Reset::Site);
        assert!(!person.person.name.contains(['\r', '\n']));
    }

    #[test]
    fn neither_a_name_nor_a_link_is_shown_by_debug() {
        let person = of(Some("Ada Byron"), vec![password(CredentialClass::Expired)], linked());
        let shown = format!("{person:?} {:?}", person.reset);
        assert!(!shown.contains("Ada") && !shown.contains("fw1_"), "{shown}");
    }

    #[test]
    fn only_those_with_a_password_to_replace_get_a_link() {
        for (class, gets) in [
            (CredentialClass::Expired, true),
            (CredentialClass::Exempt, true),
            (CredentialClass::Pending, true),
            (CredentialClass::NoPassword, false),
            (CredentialClass::NotFound, false),
            (CredentialClass::ChangedSince, false),
            (CredentialClass::Reset, false),
        ] {
            let person = of(None, vec![password(class)], linked());
            let value = serde_json::to_value(&person).unwrap();
            assert_eq!(value["reset"]["link"], gets, "{class}");
            assert_eq!(value["reset"]["site"], !gets, "{class}");
            assert_eq!(value["person"]["link"] != "", gets, "{class}");
        }
    }
}
