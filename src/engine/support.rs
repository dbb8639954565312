//! What support may know of somebody who calls: whether, when and how, and the words they get; no name,
//! account or address, and no code ever. Every look-up is kept, and there are so many a shift.

mod renotice;

use jiff::SignedDuration;
use serde::Serialize;

pub use self::renotice::Renotice;
use super::preview::Preview;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::address::EmailAddress;
use crate::domain::delivery::AttemptResult;
use crate::secret::lookup::{account_digest, address_digest};
use crate::secret::mail::{Reference, reference};
use crate::store::campaigns::CampaignRow;
use crate::store::support::LookUp;

/// How much one person may look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportLimits {
    /// People in a shift.
    pub look_ups: u64,
    /// How long a shift is.
    pub shift: SignedDuration,
}

/// What there is to say to somebody who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SupportView {
    /// The campaign.
    pub campaign: String,
    /// The recipient's number: what further commands name them by.
    pub number: u64,
    /// The number in their notice.
    pub reference: String,
    /// Where their notice stands: `class` or `class/reason`.
    pub notice: String,
    /// When it was sent last.
    pub told_on: Option<String>,
    /// About when it is sent, by the forecast; absent where that is not known, or it was sent.
    pub due_about: Option<String>,
    /// Class of their password; empty where none was exposed.
    pub password: String,
    /// When they set a new one here.
    pub reset_on: Option<String>,
    /// What is known of their address, as a word: `ok`, `suspect`, …
    pub address: &'static str,
}

/// How a text is read.
enum Sought {
    Reference(Reference),
    Text(String),
}

impl Engine {
    /// Looks somebody up by reference number, account or address, in one campaign or in all. Nobody found
    /// means that they are in no seal so far.
    pub async fn support_find(
        &self,
        who: &str,
        only: Option<&str>,
        by: &str,
        limits: SupportLimits,
        progress: &dyn Progress,
    ) -> Result<Vec<SupportView>, EngineError> {
        self.check_shift(by, limits).await?;
        let rows = match only {
            Some(name) => vec![self.campaign(name).await?],
            None => self.store.campaigns().await?,
        };
        let sought = match who.trim().parse::<Reference>() {
            Ok(reference) => Sought::Reference(reference),
            Err(_) => Sought::Text(who.trim().to_owned()),
        };
        let mut found = Vec::new();
        let mut look_ups = Vec::new();
        for row in rows.iter().filter(|row| row.seal_id.is_some() && row.wrapped_key.is_some()) {
            for (number, meant) in self.sought(row, &sought, progress).await? {
                found.push(self.support_view(row, number).await?);
                let whom = Some((row.id, number));
                look_ups.push(LookUp { by: by.to_owned(), meant, whom, what: "find" });
            }
        }
        if look_ups.is_empty() {
            let meant = match sought {
                Sought::Reference(_) => "reference",
                Sought::Text(_) => "account",
            };
            look_ups.push(LookUp { by: by.to_owned(), meant, whom: None, what: "find" });
        }
        self.store.log_look_ups(look_ups).await?;
        Ok(found)
    }

    /// The very words somebody gets, as they are approved or planned; their link is a sample.
    pub async fn support_text(
        &self,
        name: &str,
        number: u64,
        by: &str,
        limits: SupportLimits,
    ) -> Result<Preview, EngineError> {
        self.check_shift(by, limits).await?;
        let row = self.campaign(name).await?;
        let preview =
            self.preview_one(name, &super::preview::Subject::Person(number), None).await?;
        let whom = Some((row.id, number));
        let look_up = LookUp { by: by.to_owned(), meant: "number", whom, what: "text" };
        self.store.log_look_ups(vec![look_up]).await?;
        Ok(preview)
    }

    async fn check_shift(&self, by: &str, limits: SupportLimits) -> Result<(), EngineError> {
        let now = self.clock.now();
        let since = now.saturating_sub(limits.shift).unwrap_or(now);
        let before = self.store.look_ups(by, since).await?;
        if before < limits.look_ups {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "{before} people were looked up by `{by}` in this shift already, and {} may be; hint: \
             somebody else looks, or `[support] look_ups` in `forthwith.toml`",
            limits.look_ups
        )))
    }

    /// Who is meant in a campaign, and how the text was read.
    async fn sought(
        &self,
        row: &CampaignRow,
        sought: &Sought,
        progress: &dyn Progress,
    ) -> Result<Vec<(u64, &'static str)>, EngineError> {
        let text = match sought {
            Sought::Reference(reference) => {
                let found = self.by_reference(row, *reference, progress).await?;
                return Ok(found.into_iter().map(|number| (number, "reference")).collect());
            }
            Sought::Text(text) => text,
        };
        let key = self.keys.digest();
        let account = account_digest(key, &row.directory, text.as_bytes());
        let accounts = self.store.find_numbers(row.id, &account).await?;
        let mut found: Vec<(u64, &'static str)> =
            accounts.into_iter().map(|number| (number, "account")).collect();
        if let Ok(address) = EmailAddress::parse(text) {
            let address = address_digest(key, &address.canonical());
            let numbers = self.store.find_numbers(row.id, &address).await?;
            found.extend(numbers.into_iter().map(|number| (number, "address")));
        }
        found.sort_unstable();
        found.dedup_by_key(|(number, _)| *number);
        Ok(found)
    }

    /// A reference number holds nothing, so it is made for everybody until one is the same: a second for a
    /// million people.
    async fn by_reference(
        &self,
        row: &CampaignRow,
        sought: Reference,
        progress: &dyn Progress,
    ) -> Result<Option<u64>, EngineError> {
        let blocks = self.store.blocks(row.id).await?;
        progress.begin("Looking for the reference number", Some(blocks.len() as u64), "blocks");
        let mut found = None;
        for (done, (first, last)) in blocks.into_iter().enumerate() {
            let (keys, uuid) = (std::sync::Arc::clone(&self.keys), row.uuid);
            let search =
                move || (first..=last).find(|number| sought.is_for(keys.mail(), &uuid, *number));
            found = tokio::task::spawn_blocking(search)
                .await
                .map_err(|error| EngineError::Broken(error.to_string()))?;
            progress.at(done as u64 + 1);
            if found.is_some() {
                break;
            }
        }
        progress.end();
        Ok(found)
    }

    async fn support_view(
        &self,
        row: &CampaignRow,
        number: u64,
    ) -> Result<SupportView, EngineError> {
        let story = self.story(&row.name, number).await?;
        let attempts = self.store.attempts(row.id, number).await?;
        let accepted = attempts.iter().filter(|one| one.result == Some(AttemptResult::Accepted));
        let told_on = accepted.map(|one| one.dated_at).max().map(|at| at.to_string());
        let password = story.credentials.iter().find(|one| one.kind == "password");
        let reset = password.filter(|one| one.class == "reset");
        let class = &story.delivery;
        let notice = match class.reason.as_str() {
            "" => class.class.to_owned(),
            reason => format!("{}/{reason}", class.class),
        };
        let due_about = match (&told_on, class.class) {
            (None, "queued" | "deferred") => self.due_about(row, number).await?,
            _ => None,
        };
        Ok(SupportView {
            campaign: row.name.clone(),
            number,
            reference: reference(self.keys.mail(), &row.uuid, number).to_string(),
            notice,
            told_on,
            due_about,
            password: password.map_or_else(String::new, |one| one.class.to_owned()),
            reset_on: reset.map(|one| one.changed_at.clone()),
            address: story.address_reason,
        })
    }

    /// When their wave ends by the forecast; nothing where no notice is approved yet.
    async fn due_about(
        &self,
        row: &CampaignRow,
        number: u64,
    ) -> Result<Option<String>, EngineError> {
        if row.notice_digest.is_none() {
            return Ok(None);
        }
        let wave = self.store.wave_of(row.id, number).await?;
        let forecast = self.forecast(&row.name).await?;
        let of_wave = forecast.waves.into_iter().find(|one| Some(one.number) == wave);
        Ok(of_wave.and_then(|one| one.finish).or(forecast.finish))
    }
}
