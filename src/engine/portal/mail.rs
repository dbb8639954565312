//! The mails of the portal: a code, what there is instead of one, and word that a password was set.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::served::Served;
use super::{Inner, Portal};
use crate::domain::incident::OneLine;
use crate::engine::EngineError;
use crate::engine::notice::{Built, mailbox};
use crate::mail::address::Mailbox;
use crate::mail::message::{Body, Draft, Party};
use crate::render::{CampaignContext, PortalMail};
use crate::secret::code::ResetCode;
use crate::secret::digest::sha256;
use crate::secret::mail::errand_id;
use crate::store::codes::Answer;
use crate::store::errands::{ErrandKind, TakenErrand};

impl Inner {
    /// The mail of an errand; nothing where it goes nowhere any more.
    pub(super) async fn build(
        &self,
        served: &Served,
        errand: &TakenErrand,
        dated_at: Timestamp,
    ) -> Result<Option<Built>, EngineError> {
        let row = self.engine.store.load_row(served.row.id, errand.number).await?;
        let Some(row) = row else { return Ok(None) };
        let recipient = served.people.open(errand.number, &row.body)?;
        let Some(address) = recipient.address else { return Ok(None) };
        let wanted = [errand.locale.as_str(), recipient.locale.as_deref().unwrap_or("")];
        let language = self.pages.choose(wanted.into_iter().chain([served.locale.as_str()]));
        let Some(mail) = self.words(served, errand, language)? else { return Ok(None) };
        let to = mailbox(address.as_str(), "an address")?;
        self.draft(served, errand, dated_at, to, language, &mail).map(Some)
    }

    fn words(
        &self,
        served: &Served,
        errand: &TakenErrand,
        language: &str,
    ) -> Result<Option<PortalMail>, EngineError> {
        let mut context = self.mail_context(served, language);
        let mail = match (errand.kind, errand.request) {
            (ErrandKind::Code, Some((request, Answer::Code, Some(salt)))) => {
                let code = ResetCode::derive(self.engine.keys.token(), request, &salt);
                context["code"] = Value::from(code.grouped());
                "code"
            }
            (ErrandKind::Code, Some((_, answer, _))) => {
                let body = match answer {
                    Answer::Support => "mail_support_body",
                    Answer::NotYet => "mail_not_yet_body",
                    Answer::NoPassword => "mail_no_password_body",
                    Answer::Ordinary => "mail_ordinary_body",
                    Answer::Code | Answer::Unknown | Answer::Limited => return Ok(None),
                };
                context["body"] = Value::from(body);
                "answer"
            }
            (ErrandKind::Confirmation, _) => {
                let when = errand.asked_at.to_zoned(served.zone.clone());
                // people do not count seconds, and dates write them where there are some
                let when = when.round(jiff::Unit::Minute).unwrap_or(when);
                context["when"] = Value::from(self.pages.instant(language, &when));
                "confirmation"
            }
            (ErrandKind::Code | ErrandKind::TestSend, _) => return Ok(None),
        };
        let made = self.pages.mail(mail, &context);
        made.map(Some).map_err(|error| EngineError::Broken(error.to_string()))
    }

    fn mail_context(&self, served: &Served, language: &str) -> Value {
        json!({
            "lang": language,
            "brand": served.brand_words(language),
            "page": self.page.as_str().trim_end_matches('/'),
        })
    }

    fn draft(
        &self,
        served: &Served,
        errand: &TakenErrand,
        dated_at: Timestamp,
        to: Mailbox,
        language: &str,
        mail: &PortalMail,
    ) -> Result<Built, EngineError> {
        let notice = &served.file.notice;
        let from = mailbox(notice.from.address.as_str(), "notice.from.address")?;
        let id = errand_id(self.engine.keys.mail(), &served.people.uuid, errand.id);
        let message_id = format!("{id}@{}", from.domain());
        let draft = Draft {
            from: Party { name: Some(&notice.from.name), address: &from },
            reply_to: None,
            to: Party { name: None, address: &to },
            subject: &mail.subject,
            text: Body::Text(&mail.text),
            html: None,
            message_id: &message_id,
            date: dated_at,
            boundary: &id,
            reference: None,
            feedback_id: None,
            language: Some(language),
            is_test: false,
        };
        let bytes = draft
            .build()
            .map_err(|fault| EngineError::refused(format!("a mail cannot be built: {fault}")))?;
        let bounce = notice.bounce_domain.as_deref().unwrap_or(from.domain());
        let content = *sha256(&bytes).as_bytes();
        Ok(Built { to, from: format!("errand-{id}@{bounce}"), bytes, content })
    }
}

impl Served {
    /// What templates may say of the brand in a language.
    pub(super) fn brand_words(&self, language: &str) -> Value {
        let brand = &self.brand;
        let text = |line: Option<&OneLine>| line.map(|line| line.as_str().to_owned());
        let hours = match self.incident.texts(language) {
            Some(texts) => texts.hours,
            None => brand.hours.as_ref(),
        };
        json!({
            "name": brand.name.as_str(),
            "site": brand.site.typed(),
            "url": brand.site.as_str(),
            "phone": text(brand.phone.as_ref()),
            "hours": text(hours),
            "email": text(brand.support_email.as_ref()),
            "help": brand.support_url.as_ref().map(|url| url.as_str().to_owned()),
        })
    }
}

impl Portal {
    /// What templates may say of the brand in a language.
    pub fn brand_words(&self, language: &str) -> Value {
        self.0.served[0].brand_words(language)
    }

    /// The incident's facts for the published notice, with the language they are told in: the page's where
    /// the incident is told in it, else its own. Whether passwords are reset is beside them.
    pub fn published(&self, language: &str) -> Option<(String, Value, bool)> {
        let served = &self.0.served[0];
        let told = [language, served.incident.language()]
            .into_iter()
            .find(|tag| served.incident.texts(tag).is_some())?;
        let facts = CampaignContext::new(&served.incident, told)?;
        let facts = serde_json::to_value(facts).ok()?;
        Some((told.to_owned(), facts, self.0.served.iter().any(Served::resets)))
    }
}
