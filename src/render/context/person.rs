//! What is one person's own, and how much of it the mailbox the notice goes to may see.
//!
//! Owns the rule that whoever may not be the person gets no secret, no name and none of their details:
//! templates are given nothing they could leak.

mod shape;

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::credential::{Secret, ToldCredential, told};
use super::{CredentialContext, Reset};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::recipient::Addressee;
use crate::domain::variant::{Readership, Variant};
use crate::secret::token::ResetLink;
pub(in crate::render) use shape::Shape;

/// What is known of the address a notice goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Trust {
    /// Nothing speaks against it.
    #[default]
    Known,
    /// It was changed since the window began: a thief may have done that.
    Suspect,
    /// Nobody has proved it for a long time: it may be another's by now.
    Dormant,
    /// A second, newer address of somebody whose notice went to the one known before.
    Copy,
}

/// The tests on whom a notice speaks to; exactly one of them holds.
const ADDRESSEE_FLAGS: [(&str, Addressee); 4] = [
    ("to_self", Addressee::SelfPerson),
    ("to_guardian", Addressee::Guardian),
    ("to_estate", Addressee::Estate),
    ("to_organisation", Addressee::Organisation),
];

/// The tests on who may read the mailbox; exactly one of them holds.
const READERSHIP_FLAGS: [&str; 3] = ["own", "shared", "combined"];

/// The tests on the address; at most one of them holds.
const TRUST_FLAGS: [(&str, Trust); 3] =
    [("suspect", Trust::Suspect), ("dormant", Trust::Dormant), ("copy", Trust::Copy)];

/// What is known of one recipient when their notice is written.
#[derive(Clone)]
pub struct RecipientFacts<'a> {
    /// The name that passed its type at seal.
    pub name: Option<&'a str>,
    /// Whom the notice speaks to, and who else may read it.
    pub variant: Variant,
    /// Whether the address is theirs.
    pub trust: Trust,
    /// The credentials of their own account.
    pub credentials: Vec<CredentialContext>,
    /// Those of each further account the notice stands for.
    pub carried: Vec<Vec<CredentialContext>>,
    /// The way to a new password.
    pub reset: Reset,
    /// What support looks up.
    pub reference: &'a str,
    /// The language of the notice, as its templates are named.
    pub locale: &'a str,
    /// They have asked for no news, which this is not.
    pub unsubscribed: bool,
    /// Every merge field of the campaign by name; empty where this person has none.
    pub fields: BTreeMap<String, String>,
}

/// What is one person's own.
#[derive(Clone, Serialize)]
pub struct RecipientContext {
    person: PersonFacts,
    credentials: Vec<ToldCredential>,
    secrets: Vec<Secret>,
    reset: Reset,
    reference: String,
    locale: String,
}

#[derive(Clone)]
struct PersonFacts {
    name: String,
    variant: Variant,
    trust: Trust,
    needs_new_password: bool,
    knew_secret: bool,
    unsubscribed: bool,
    link: Option<ResetLink>,
    fields: BTreeMap<String, String>,
}

impl RecipientFacts<'_> {
    /// A person at an address of their own, in English, about whom nothing else is known.
    pub fn plain(credentials: Vec<CredentialContext>, reset: Reset) -> Self {
        Self {
            name: None,
            variant: Variant::default(),
            trust: Trust::Known,
            credentials,
            carried: Vec::new(),
            reset,
            reference: "FW-SAMPLE",
            locale: "en",
            unsubscribed: false,
            fields: BTreeMap::new(),
        }
    }

    /// Nobody else reads that mailbox, and it is the person's.
    fn is_theirs_alone(&self) -> bool {
        self.variant.readership == Readership::Own && self.trust == Trust::Known
    }
}

impl RecipientContext {
    /// A person as the notice addresses them. A link for somebody who has no password to replace is
    /// dropped, and so are link, name and merge fields where others may read the mailbox: those people
    /// are told of the site. A copy says nothing of credentials.
    pub fn new(facts: RecipientFacts<'_>) -> Self {
        let is_theirs_alone = facts.is_theirs_alone();
        let mut accounts = vec![facts.credentials.as_slice()];
        accounts.extend(facts.carried.iter().map(Vec::as_slice));
        let secrets = secrets(&accounts, facts.trust == Trust::Copy);
        if facts.trust == Trust::Copy {
            accounts.clear();
        }
        let any = |test: fn(CredentialContext) -> bool| {
            accounts.iter().any(|account| account.iter().copied().any(test))
        };
        let needs_new_password = any(CredentialContext::needs_new_password);
        let reset = match facts.reset {
            Reset::Link { .. } if !needs_new_password || !is_theirs_alone => Reset::Site,
            other => other,
        };
        // A line break in a name would write lines of its own into the text part.
        let line = |text: &str| text.replace(char::is_control, " ").trim().to_owned();
        let name = facts.name.filter(|_| is_theirs_alone).map(line).unwrap_or_default();
        let shown = |(field, value): (String, String)| {
            (field, if is_theirs_alone { line(&value) } else { String::new() })
        };
        Self {
            person: PersonFacts {
                name,
                variant: facts.variant,
                trust: facts.trust,
                needs_new_password,
                knew_secret: any(CredentialContext::is_remembered),
                unsubscribed: facts.unsubscribed,
                link: reset.link().cloned(),
                fields: facts.fields.into_iter().map(shown).collect(),
            },
            credentials: told(&accounts),
            secrets,
            reset,
            reference: facts.reference.to_owned(),
            locale: facts.locale.to_owned(),
        }
    }

    /// The language the person is written to in, as a BCP 47 tag.
    pub fn locale(&self) -> &str {
        &self.locale
    }

    /// Whether there is anything to tell of credentials.
    pub(in crate::render) fn has_credentials(&self) -> bool {
        !self.credentials.is_empty()
    }

    /// The person's link, where they get one.
    pub(in crate::render) fn link(&self) -> Option<&ResetLink> {
        self.reset.link()
    }

    /// The number the person can name to support.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The name the notice and its `To` may show; empty where it must show none.
    pub fn name(&self) -> &str {
        &self.person.name
    }
}

/// The tests a template has to make for notices of this variant: whoever is not simply the person at an
/// address of their own needs words of their own.
pub fn needed_flags(variant: Variant, trust: Trust) -> impl Iterator<Item = &'static str> {
    let addressee = ADDRESSEE_FLAGS.into_iter().find(|(_, of)| *of == variant.addressee);
    let reads = match variant.readership {
        Readership::Own if trust == Trust::Copy => Some("shared"),
        Readership::Own => None,
        Readership::Shared => Some("shared"),
        Readership::Combined { .. } => Some("combined"),
    };
    let trust = TRUST_FLAGS.into_iter().find(|(_, of)| *of == trust).map(|(flag, _)| flag);
    let addressee = addressee
        .filter(|(_, of)| *of != Addressee::SelfPerson && reads != Some("combined"))
        .map(|(flag, _)| flag);
    [addressee, reads, trust].into_iter().flatten()
}

/// The kinds strangers may have of at least one account; in a copy all that were exposed, whatever became
/// of them.
fn secrets(accounts: &[&[CredentialContext]], all: bool) -> Vec<Secret> {
    let mut kinds: Vec<CredentialKind> = Vec::new();
    for credential in accounts.iter().flat_map(|account| account.iter()) {
        let is_exposed = all || credential.class != CredentialClass::NoPassword;
        if is_exposed && !kinds.contains(&credential.kind) {
            kinds.push(credential.kind);
        }
    }
    kinds.into_iter().map(Secret).collect()
}

impl Serialize for PersonFacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Variant { addressee, readership } = self.variant;
        // A copy names nobody and is as short as what several people read.
        let (reads, accounts) = match readership {
            Readership::Combined { accounts } => ("combined", accounts),
            Readership::Own if self.trust != Trust::Copy => ("own", 1),
            Readership::Own | Readership::Shared => ("shared", 1),
        };
        let direct =
            reads == "own" && matches!(addressee, Addressee::SelfPerson | Addressee::Organisation);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("has_name", &!self.name.is_empty())?;
        for (flag, of) in ADDRESSEE_FLAGS {
            map.serialize_entry(flag, &(of == addressee))?;
        }
        for flag in READERSHIP_FLAGS {
            map.serialize_entry(flag, &(flag == reads))?;
        }
        map.serialize_entry("direct", &direct)?;
        map.serialize_entry("accounts", &accounts)?;
        for (flag, of) in TRUST_FLAGS {
            map.serialize_entry(flag, &(of == self.trust))?;
        }
        map.serialize_entry("needs_new_password", &self.needs_new_password)?;
        map.serialize_entry("knew_secret", &self.knew_secret)?;
        map.serialize_entry("unsubscribed", &self.unsubscribed)?;
        // The one place where a link becomes text: a template is about to print it.
        map.serialize_entry("link", self.link.as_ref().map_or("", ResetLink::expose))?;
        map.serialize_entry("fields", &self.fields)?;
        map.end()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::duration::HumanDuration;
    use crate::secret::token::PlainToken;

    fn password(class: CredentialClass) -> CredentialContext {
        CredentialContext { kind: CredentialKind::Password, class }
    }

    fn linked() -> Reset {
        let link = PlainToken::sample().link("https://www.northwind.example/reset");
        Reset::Link { link, token_for: HumanDuration::from_secs(86_400) }
    }

    fn ada(class: CredentialClass) -> RecipientFacts<'static> {
        RecipientFacts {
            name: Some("Ada Byron"),
            fields: BTreeMap::from([("product".to_owned(), "Opera".to_owned())]),
            ..RecipientFacts::plain(vec![password(class)], linked())
        }
    }

    fn value(facts: RecipientFacts<'_>) -> serde_json::Value {
        serde_json::to_value(RecipientContext::new(facts)).unwrap()
    }

    #[test]
    fn a_name_of_control_characters_is_no_name() {
        let named = |name| {
            value(RecipientFacts { name: Some(name), ..ada(CredentialClass::Expired) })["person"]
                .clone()
        };
        assert_eq!(named("\r\n\t")["has_name"], false);
        assert_eq!(named("Ada\r\nReset: here")["name"], "Ada  Reset: here");
    }

    #[test]
    fn neither_a_name_nor_a_link_is_shown_by_debug() {
        let person = RecipientContext::new(ada(CredentialClass::Expired));
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
            let value = value(ada(class));
            assert_eq!(value["reset"]["link"], gets, "{class}");
            assert_eq!(value["reset"]["site"], !gets, "{class}");
            assert_eq!(value["person"]["link"] != "", gets, "{class}");
        }
    }

    #[test]
    fn whoever_may_not_be_the_person_gets_no_link_no_name_and_no_field() {
        let at = |readership, trust| {
            let variant = Variant { readership, ..Variant::default() };
            let facts = RecipientFacts { variant, trust, ..ada(CredentialClass::Expired) };
            let value = value(facts);
            let person = &value["person"];
            let shows = [
                person["name"] != "",
                person["fields"]["product"] != "",
                person["link"] != "",
                value["reset"]["link"] == true,
            ];
            assert!(shows.iter().all(|one| *one == shows[0]), "{value}");
            shows[0]
        };
        assert!(at(Readership::Own, Trust::Known));
        assert!(!at(Readership::Shared, Trust::Known));
        assert!(!at(Readership::Combined { accounts: 7 }, Trust::Known));
        for trust in [Trust::Suspect, Trust::Dormant, Trust::Copy] {
            assert!(!at(Readership::Own, trust), "{trust:?}");
        }
    }

    #[test]
    fn a_copy_is_short_and_silent_on_what_became_of_credentials() {
        let facts = RecipientFacts { trust: Trust::Copy, ..ada(CredentialClass::NoPassword) };
        let value = value(facts);
        assert_eq!(
            (value["person"]["shared"].clone(), value["person"]["own"].clone()),
            (true.into(), false.into())
        );
        assert_eq!(value["credentials"], serde_json::json!([]));
        assert_eq!(value["secrets"][0]["is_password"], true, "what the incident exposed");
        assert_eq!(value["person"]["needs_new_password"], false);
    }

    #[test]
    fn every_flag_is_always_there_and_one_of_each_group_holds() {
        for addressee in Addressee::ALL {
            for readership in
                [Readership::Own, Readership::Shared, Readership::Combined { accounts: 6 }]
            {
                let variant = Variant { addressee, readership };
                let value = value(RecipientFacts { variant, ..ada(CredentialClass::Expired) });
                let person = value["person"].as_object().unwrap();
                let holding = |flags: &[&str]| flags.iter().filter(|f| person[**f] == true).count();
                let addressees = ADDRESSEE_FLAGS.map(|(flag, _)| flag);
                assert_eq!(holding(&addressees), 1);
                assert_eq!(holding(&READERSHIP_FLAGS), 1);
                assert_eq!(holding(&TRUST_FLAGS.map(|(flag, _)| flag)), 0);
            }
        }
    }
}
