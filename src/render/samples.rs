//! Invented contexts, one for every way a notice can turn out.
//!
//! Templates are checked against all of them before anybody approves them, and their renderings are
//! digested into the approved snapshot. Deterministic: no clock, no randomness, nothing real.

use std::collections::BTreeMap;

use super::context::{
    BrandFacts, CampaignContext, ContactFacts, CredentialContext, IncidentFacts, NoticeContext,
    OfferFacts, RecipientContext, RecipientFacts, Reset, Trust,
};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::duration::HumanDuration;
use crate::domain::field::FieldType;
use crate::domain::recipient::Addressee;
use crate::domain::variant::{Readership, Variant};
use crate::secret::token::PlainToken;

/// One class for each sentence a template must have.
const SENTENCES: [CredentialClass; 7] = [
    CredentialClass::Expired,
    CredentialClass::ChangedSince,
    CredentialClass::NoPassword,
    CredentialClass::NotFound,
    CredentialClass::Exempt,
    CredentialClass::Pending,
    CredentialClass::Reset,
];

const OTHER_KINDS: [CredentialKind; 6] = [
    CredentialKind::Session,
    CredentialKind::RefreshToken,
    CredentialKind::ApiKey,
    CredentialKind::TotpSeed,
    CredentialKind::RecoveryCode,
    CredentialKind::SecurityAnswer,
];

type Fields = BTreeMap<String, FieldType>;
type Person = RecipientFacts<'static>;

impl NoticeContext {
    /// One context for every way a notice can turn out, with the campaign's merge fields filled, or
    /// empty for whoever has no name.
    ///
    /// Named `<person>/<mode>`, and `<person>/<mode>/<variant>` for whoever is not simply the person at an
    /// address of their own. Persons are named as the class of their password, in variants of all they
    /// have; then `other-secrets-<class>` (every kind but a password), `nothing` (no credential exposed,
    /// unsubscribed), `no-name` and, where one notice stands for several accounts, `mixed`. `bare-…` are
    /// campaigns in which nothing optional is known.
    pub fn samples(fields: &Fields) -> Vec<(String, Self)> {
        let mut samples = Vec::new();
        for (mode, reset) in modes() {
            // the modes differ in few words only, and the words for a class may differ by kind
            let few = [CredentialClass::Expired];
            let classes = if mode == "site" { SENTENCES.as_slice() } else { &few };
            let alone = |class: &CredentialClass| (class.to_string(), vec![password(*class)]);
            let others =
                |class: &CredentialClass| (format!("other-secrets-{class}"), all_others_in(*class));
            let plain = CredentialClass::ALL.iter().map(alone).chain(classes.iter().map(others));
            for (name, person) in people(plain, &reset, fields) {
                samples.extend(with_campaigns(&name, mode, None, &person));
            }
            for (variant, trust, word) in variants() {
                // a link goes to nobody but those: to the others mode `link` is mode `site`
                let is_own = variant.readership == Readership::Own && trust == Trust::Known;
                if mode == "link" && !is_own {
                    continue;
                }
                let all = |class: &CredentialClass| {
                    let every = [vec![password(*class)], all_others_in(*class)].concat();
                    (class.to_string(), every)
                };
                let varied = classes.iter().map(all).chain(few.iter().map(others));
                for (name, person) in people(varied, &reset, fields) {
                    let person = RecipientFacts { variant, trust, ..person };
                    samples.extend(with_campaigns(&name, mode, Some(&word), &person));
                }
            }
            let variant = combined(SENTENCES.len() as u64);
            let mixed = RecipientFacts {
                variant,
                carried: SENTENCES[1..].iter().map(|class| vec![password(*class)]).collect(),
                ..person(fields, vec![password(SENTENCES[0])], &reset)
            };
            samples.extend(with_campaigns("mixed", mode, Some("combined"), &mixed));
        }
        samples
    }
}

/// With everything known of the campaign; some also with nothing optional known.
fn with_campaigns(
    name: &str,
    mode: &str,
    variant: Option<&str>,
    person: &Person,
) -> Vec<(String, NoticeContext)> {
    let variant = variant.map(|word| format!("/{word}")).unwrap_or_default();
    let bare = match name {
        "no-name" => Some(bare_campaign(&[], ContactFacts::default())),
        // A telephone and no hours to it.
        "nothing" => {
            let phone = "+44 20 7946 0018".to_owned();
            Some(bare_campaign(&["name"], ContactFacts { phone, ..ContactFacts::default() }))
        }
        _ => None,
    };
    let bare = bare.map(|campaign| ("bare-", campaign));
    let all = bare.into_iter().chain([("", full_campaign())]);
    all.map(|(known, campaign)| {
        let recipient = RecipientContext::new(person.clone());
        (format!("{known}{name}/{mode}{variant}"), NoticeContext { campaign, recipient })
    })
    .collect()
}

fn modes() -> [(&'static str, Reset); 3] {
    let link = PlainToken::sample().link("https://www.northwind.example/reset");
    let token_for = HumanDuration::from_secs(24 * 60 * 60);
    [("site", Reset::Site), ("link", Reset::Link { link, token_for }), ("none", Reset::None)]
}

/// Everything but the person at an address of their own.
fn variants() -> Vec<(Variant, Trust, String)> {
    let mut variants = Vec::new();
    for addressee in Addressee::ALL {
        let word = addressee.word();
        if addressee != Addressee::SelfPerson {
            let variant = Variant { addressee, readership: Readership::Own };
            variants.push((variant, Trust::Known, word.to_owned()));
        }
        let variant = Variant { addressee, readership: Readership::Shared };
        variants.push((variant, Trust::Known, format!("{word}-shared")));
    }
    variants.push((combined(7), Trust::Known, "combined".to_owned()));
    for (trust, word) in
        [(Trust::Suspect, "suspect"), (Trust::Dormant, "dormant"), (Trust::Copy, "copy")]
    {
        variants.push((Variant::default(), trust, word.to_owned()));
    }
    variants
}

fn combined(accounts: u64) -> Variant {
    Variant { addressee: Addressee::SelfPerson, readership: Readership::Combined { accounts } }
}

fn password(class: CredentialClass) -> CredentialContext {
    CredentialContext { kind: CredentialKind::Password, class }
}

fn person(fields: &Fields, credentials: Vec<CredentialContext>, reset: &Reset) -> Person {
    let value = |kind: &FieldType| match kind {
        FieldType::Name => "Robin Sample",
        FieldType::Text => "a sample",
        FieldType::Date => "2018-08-21",
        FieldType::Number => "1234.50",
    };
    let filled = fields.iter().map(|(name, kind)| (name.clone(), value(kind).to_owned()));
    RecipientFacts {
        name: Some("Robin Sample"),
        reference: "NW-7Q4K-29XD",
        fields: filled.collect(),
        ..RecipientFacts::plain(credentials, reset.clone())
    }
}

/// Every kind but a password, in this class.
fn all_others_in(class: CredentialClass) -> Vec<CredentialContext> {
    OTHER_KINDS.map(|kind| CredentialContext { kind, class }).to_vec()
}

/// Whoever has these credentials, by name, and the two besides.
fn people(
    holding: impl Iterator<Item = (String, Vec<CredentialContext>)>,
    reset: &Reset,
    fields: &Fields,
) -> Vec<(String, Person)> {
    let mut people: Vec<_> =
        holding.map(|(name, credentials)| (name, person(fields, credentials, reset))).collect();
    let nothing = RecipientFacts { unsubscribed: true, ..person(fields, Vec::new(), reset) };
    people.push(("nothing".to_owned(), nothing));
    let plain = person(fields, vec![password(CredentialClass::Expired)], reset);
    let empty = fields.keys().map(|name| (name.clone(), String::new())).collect();
    let no_name = RecipientFacts { name: None, fields: empty, ..plain };
    people.push(("no-name".to_owned(), no_name));
    people
}

fn phrases(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn full_campaign() -> CampaignContext {
    let contact = ContactFacts {
        email: "security@northwind.example".to_owned(),
        page: "help.northwind.example".to_owned(),
        phone: "+44 20 7946 0018".to_owned(),
        hours: "every day, 08:00 to 20:00 UK time".to_owned(),
        postal: "Northwind Outfitters, 1 Quay Street, Bristol".to_owned(),
    };
    let bare = bare_campaign(&["name", "email address", "order history"], contact);
    CampaignContext {
        brand: BrandFacts { notice_page: "www.northwind.example/notice".to_owned(), ..bare.brand },
        incident: IncidentFacts {
            vendor: "Harbour Hosting Ltd".to_owned(),
            not_exposed: phrases(&["payment card number", "delivery instructions"]),
            actions_taken: phrases(&["We shut the server off within an hour."]),
            advice: phrases(&["Look through your recent orders."]),
            offer: OfferFacts {
                text: "We pay for twelve months of identity monitoring.".to_owned(),
                enrol_by: "2018-12-31T23:59:00+00:00[Europe/London]".to_owned(),
            },
            ..bare.incident
        },
        ..bare
    }
}

/// What an incident file must say.
fn bare_campaign(exposed: &[&str], contact: ContactFacts) -> CampaignContext {
    CampaignContext {
        brand: BrandFacts {
            name: "Northwind Outfitters".to_owned(),
            site: "https://www.northwind.example/".to_owned(),
            address: "www.northwind.example".to_owned(),
            notice_page: String::new(),
            new_password_label: String::new(),
        },
        contact,
        incident: IncidentFacts {
            title: "Unauthorised access to customer accounts".to_owned(),
            summary: phrases(&[
                "Someone without permission could copy account details from one of our servers.",
            ]),
            vendor: String::new(),
            from: "2018-08-21T22:58:00+01:00[Europe/London]".to_owned(),
            until: "2018-09-05T21:45:00+01:00[Europe/London]".to_owned(),
            discovered_at: "2018-09-05T21:45:00+01:00[Europe/London]".to_owned(),
            exposed: phrases(exposed),
            not_exposed: Vec::new(),
            actions_taken: Vec::new(),
            advice: Vec::new(),
            offer: OfferFacts::default(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_class_occurs_in_every_mode_and_no_variant_twice() {
        let samples = NoticeContext::samples(&Fields::new());
        let names: BTreeSet<_> = samples.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), samples.len());
        for class in CredentialClass::ALL {
            for mode in ["site", "link", "none"] {
                assert!(names.contains(format!("{class}/{mode}").as_str()), "{class}/{mode}");
            }
        }
        for variant in ["guardian", "estate-shared", "organisation", "self-shared", "copy"] {
            let name = format!("reset/site/{variant}");
            assert!(names.contains(name.as_str()), "{name}");
        }
        assert!(names.contains("mixed/site/combined"));
    }
}
