//! Which language a person's notice is in: their own tag, then their region's language, then the
//! campaign's. A notice is in one language throughout, so a language counts only where both the
//! templates and the incident's texts are there in it.

use std::collections::BTreeMap;

use super::EngineError;
use super::campaign_file::NoticeSection;
use crate::domain::incident::Incident;
use crate::domain::recipient::Recipient;
use crate::render::Templates;

/// The languages a campaign's notices can be in, and who gets which.
#[derive(Debug, Clone)]
pub struct Locales {
    spoken: Vec<String>,
    regions: BTreeMap<String, String>,
    default: String,
}

impl Locales {
    /// The languages that both sides speak. Refused where the campaign's own is none of them, or one of
    /// `notice.require_locales`; the names are those of the files.
    pub fn of(
        notice: &NoticeSection,
        campaign_name: &str,
        templates: &Templates,
        incident: &Incident,
        incident_name: &str,
    ) -> Result<Self, EngineError> {
        let told: Vec<&str> = incident.languages().collect();
        let spoken: Vec<String> =
            templates.locales().filter(|locale| told.contains(locale)).map(str::to_owned).collect();
        let missing = |key: &str, wanted: &str| {
            let lacks_templates = !templates.is_written(wanted);
            let what = if lacks_templates {
                format!("`{}` has no templates in it", notice.template)
            } else {
                format!("`{incident_name}` has no texts in it")
            };
            let hint = if lacks_templates {
                format!("write templates/mail/{}/{wanted}/", notice.template)
            } else {
                format!("add [locale.{wanted}] there")
            };
            EngineError::refused(format!(
                "`{campaign_name}`: `{key}` names `{wanted}`, but {what}; hint: {hint}"
            ))
        };
        let default = closest(&spoken, &notice.locale)
            .ok_or_else(|| missing("notice.locale", &notice.locale))?
            .to_owned();
        for required in &notice.require_locales {
            if closest(&spoken, required).is_none() {
                return Err(missing("notice.require_locales", required));
            }
        }
        Ok(Self { spoken, regions: notice.region_locales.clone(), default })
    }

    /// The languages, the campaign's own first, then sorted.
    pub fn spoken(&self) -> Vec<String> {
        let mut spoken = self.spoken.clone();
        spoken.sort_by_key(|locale| *locale != self.default);
        spoken
    }

    /// The language of a person's notice.
    pub fn choose(&self, recipient: &Recipient) -> &str {
        let region = recipient.region.as_deref().and_then(|region| self.of_region(region));
        [recipient.locale.as_deref(), region]
            .into_iter()
            .flatten()
            .find_map(|wanted| closest(&self.spoken, wanted))
            .unwrap_or(&self.default)
    }

    /// The language a person would have got, were it there: their tag, else their region's. `None` where
    /// they get it, or where nothing is known of them.
    pub fn missed<'a>(&'a self, recipient: &'a Recipient) -> Option<&'a str> {
        let region = recipient.region.as_deref().and_then(|region| self.of_region(region));
        let wanted = recipient.locale.as_deref().or(region)?;
        closest(&self.spoken, wanted).is_none().then_some(wanted)
    }

    /// By the region itself, then by what it lies in: `Canada/QC`, then `Canada`; `US-CA`, then `US`.
    fn of_region(&self, region: &str) -> Option<&str> {
        let mut region = region;
        loop {
            if let Some(locale) = self.regions.get(region) {
                return Some(locale);
            }
            region = &region[..region.rfind(['/', '-'])?];
        }
    }
}

/// The tag itself, else what is left of it without its last part: `pt-BR`, then `pt`.
pub fn closest<'s>(spoken: &'s [String], wanted: &str) -> Option<&'s str> {
    let mut wanted = wanted;
    loop {
        if let Some(found) = spoken.iter().find(|known| same(known, wanted)) {
            return Some(found);
        }
        wanted = &wanted[..wanted.rfind('-')?];
    }
}

fn same(known: &str, wanted: &str) -> bool {
    known.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address::AddressReason;
    use crate::domain::recipient::{AccountRef, Addressee};

    fn locales() -> Locales {
        let regions = [("Belgium", "fr"), ("Canada/QC", "fr"), ("Canada", "en"), ("US-PR", "es")];
        Locales {
            spoken: ["de", "en", "fr", "pt"].map(str::to_owned).to_vec(),
            regions: regions.map(|(region, to)| (region.to_owned(), to.to_owned())).into(),
            default: "en".to_owned(),
        }
    }

    fn person(locale: Option<&str>, region: Option<&str>) -> Recipient {
        Recipient {
            account: AccountRef::parse("c-7").unwrap(),
            address: None,
            address_before: None,
            address_text: None,
            reason: AddressReason::Missing,
            locale: locale.map(str::to_owned),
            region: region.map(str::to_owned),
            addressee: Addressee::SelfPerson,
            name: None,
            name_refused: false,
            fields: BTreeMap::new(),
            refused: std::collections::BTreeSet::new(),
            address_changed_at: None,
            password_changed_at: None,
            last_verified_on: None,
        }
    }

    #[test]
    fn ones_own_tag_comes_first_then_the_region_then_the_campaigns_language() {
        for (locale, region, gets, missed) in [
            (Some("de-AT"), Some("Belgium"), "de", None),
            (Some("pt-BR"), None, "pt", None),
            (Some("fi"), Some("Belgium"), "fr", Some("fi")),
            (Some("fi"), None, "en", Some("fi")),
            (None, Some("Belgium"), "fr", None),
            (None, Some("Canada/QC"), "fr", None),
            (None, Some("Canada/ON"), "en", None),
            (None, Some("US-PR"), "en", Some("es")),
            (None, Some("Baden-Württemberg"), "en", None),
            (None, None, "en", None),
        ] {
            let person = person(locale, region);
            let locales = locales();
            assert_eq!(locales.choose(&person), gets, "{locale:?} {region:?}");
            assert_eq!(locales.missed(&person), missed, "{locale:?} {region:?}");
        }
    }
}
