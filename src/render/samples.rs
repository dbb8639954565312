//! Invented contexts, one for every way a notice can turn out.
//!
//! Templates are checked against all of them before anybody approves them, and their renderings are
//! digested into the approved snapshot. Deterministic: no clock, no randomness, nothing real.

use super::context::{
    BrandFacts, CampaignContext, ContactFacts, CredentialContext, IncidentFacts, NoticeContext,
    OfferFacts, RecipientContext, Reset,
};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::duration::HumanDuration;
use crate::secret::token::PlainToken;

const CLASSES: [CredentialClass; 10] = [
    CredentialClass::Pending,
    CredentialClass::Expired,
    CredentialClass::ChangedSince,
    CredentialClass::NoPassword,
    CredentialClass::NotFound,
    CredentialClass::Exempt,
    CredentialClass::Failed,
    CredentialClass::Regressed,
    CredentialClass::Reset,
    CredentialClass::ResetElsewhere,
];

const OTHER_KINDS: [CredentialKind; 6] = [
    CredentialKind::Session,
    CredentialKind::RefreshToken,
    CredentialKind::ApiKey,
    CredentialKind::TotpSeed,
    CredentialKind::RecoveryCode,
    CredentialKind::SecurityAnswer,
];

impl RecipientContext {
    /// A person for every credential class, named as the class; then `other-secrets` (every kind
    /// but a password), `nothing` (no credential exposed, unsubscribed) and `no-name`. A link goes to
    /// those alone who have a password to replace.
    pub fn samples(reset: &Reset) -> Vec<(String, Self)> {
        let person = |name, credentials, unsubscribed| {
            Self::new(name, credentials, reset.clone(), "NW-7Q4K-29XD", "en", unsubscribed)
        };
        let of = |kind, class| CredentialContext { kind, class };
        let named = Some("Robin Sample");
        let mut samples: Vec<_> = CLASSES
            .iter()
            .map(|&class| {
                (class.to_string(), person(named, vec![of(CredentialKind::Password, class)], false))
            })
            .collect();
        let others = OTHER_KINDS.iter().map(|&kind| of(kind, CredentialClass::Expired)).collect();
        samples.push(("other-secrets".to_owned(), person(named, others, false)));
        samples.push(("nothing".to_owned(), person(named, Vec::new(), true)));
        let expired = vec![of(CredentialKind::Password, CredentialClass::Expired)];
        samples.push(("no-name".to_owned(), person(None, expired, false)));
        samples
    }
}

impl NoticeContext {
    /// One context per variant, named `<person>/<mode>` with the persons of
    /// [`RecipientContext::samples`]; `bare-…` are campaigns in which nothing optional is known.
    pub fn samples() -> Vec<(String, Self)> {
        let mut samples = Vec::new();
        let link = PlainToken::sample().link("https://www.northwind.example/reset");
        let token_for = HumanDuration::from_secs(24 * 60 * 60);
        let modes = [
            ("site", Reset::Site),
            ("link", Reset::Link { link, token_for }),
            ("none", Reset::None),
        ];
        for (mode, reset) in modes {
            for (name, recipient) in RecipientContext::samples(&reset) {
                let bare = match name.as_str() {
                    "no-name" => Some(bare_campaign(&[], ContactFacts::default())),
                    // A telephone and no hours to it.
                    "nothing" => {
                        let phone = "+44 20 7946 0018".to_owned();
                        let contact = ContactFacts { phone, ..ContactFacts::default() };
                        Some(bare_campaign(&["name"], contact))
                    }
                    _ => None,
                };
                if let Some(campaign) = bare {
                    let recipient = recipient.clone();
                    samples.push((format!("bare-{name}/{mode}"), Self { campaign, recipient }));
                }
                let campaign = full_campaign();
                samples.push((format!("{name}/{mode}"), Self { campaign, recipient }));
            }
        }
        samples
    }
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
        let samples = NoticeContext::samples();
        let names: BTreeSet<_> = samples.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), samples.len());
        for class in CLASSES {
            for mode in ["site", "link", "none"] {
                assert!(names.contains(format!("{class}/{mode}").as_str()), "{class}/{mode}");
            }
        }
    }
}
