//! A campaign as a portal serves it: its people, its brand, its directory while that can be reached.

use std::sync::{Arc, OnceLock};

use tokio::sync::Mutex;

use super::{Portal, no_campaign};
use crate::domain::credential::CredentialKind;
use crate::domain::incident::{Brand, Incident};
use crate::domain::password_rule::{PasswordRule, SHORTEST};
use crate::domain::track::{NoticeState, Track};
use crate::engine::campaign_file::{Adapter, CampaignFile, DirectorySection, Mode};
use crate::engine::notice::{NoticeWriter, approved_words};
use crate::engine::people::People;
use crate::engine::secure::Company;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;

/// One campaign.
pub(super) struct Served {
    pub row: CampaignRow,
    pub people: People,
    pub brand: Brand,
    pub file: CampaignFile,
    /// The campaign's own language.
    pub locale: String,
    /// As far as the approved files say it.
    rule: PasswordRule,
    /// The most bytes that the directory's form reads, once the directory was opened.
    longest: OnceLock<Option<usize>>,
    /// From here on a changed address may be a thief's.
    pub window_from: jiff::Timestamp,
    /// What writes its notices, once one is approved.
    pub writer: Option<NoticeWriter>,
    pub incident: Incident,
    /// The incident's own zone.
    pub zone: jiff::tz::TimeZone,
    /// Passwords were exposed and are expired here.
    pub secures_passwords: bool,
    company: Mutex<Option<Arc<Company>>>,
}

impl Served {
    /// Whether its notice carries links.
    pub(super) fn has_links(&self) -> bool {
        self.file.notice.mode == Mode::Link
    }

    /// Whether a new password is set here.
    pub(super) fn resets(&self) -> bool {
        self.secures_passwords && self.file.notice.mode != Mode::None
    }

    /// The company's directory, opened when first asked for and kept.
    pub(super) async fn company(&self, engine: &Engine) -> Result<Arc<Company>, EngineError> {
        let mut held = self.company.lock().await;
        if let Some(company) = held.as_ref() {
            return Ok(Arc::clone(company));
        }
        let company = Arc::new(engine.company(&self.row, &self.people).await?);
        self.longest.get_or_init(|| company.directory.password_form().longest());
        *held = Some(Arc::clone(&company));
        Ok(company)
    }

    /// What a new password is judged by.
    pub(super) fn rule(&self) -> PasswordRule {
        let longest_bytes = self.longest.get().copied().unwrap_or(self.rule.longest_bytes);
        PasswordRule { longest_bytes, ..self.rule.clone() }
    }

    /// Opens a directory that says only then which passwords it takes, unless it said so already.
    async fn learn(&self, engine: &Engine) -> Result<(), EngineError> {
        let says_late = matches!(
            self.file.directory.as_ref().and_then(DirectorySection::adapter),
            Some(Adapter::Http(_))
        );
        if self.resets() && says_late && self.longest.get().is_none() {
            self.company(engine).await?;
        }
        Ok(())
    }

    /// Forgets the opened directory: the next one who asks opens it anew.
    pub(super) async fn forget_company(&self) {
        *self.company.lock().await = None;
    }
}

impl Portal {
    /// Asks every directory that says only when it is opened which passwords it takes, so that people are told
    /// before they type one. Called again until all have answered; the error is the first that did not.
    pub async fn learn_bounds(&self) -> Result<(), EngineError> {
        let mut first = Ok(());
        for served in &self.0.served {
            first = first.and(served.learn(&self.0.engine).await);
        }
        first
    }
}

impl Engine {
    pub(super) async fn served(&self, names: &[String]) -> Result<Vec<Served>, EngineError> {
        let all = self.store.campaigns().await?;
        let rows: Vec<CampaignRow> = if names.is_empty() {
            let is_open = |row: &CampaignRow| {
                row.containment_digest.is_some()
                    && row.wrapped_key.is_some()
                    && row.control.notice != NoticeState::Closed
            };
            all.into_iter().filter(is_open).collect()
        } else {
            let mut rows = Vec::with_capacity(names.len());
            for name in names {
                rows.push(self.campaign(name).await?);
            }
            rows
        };
        let mut served = Vec::with_capacity(rows.len());
        for row in rows {
            served.push(self.serve(row).await?);
        }
        if served.is_empty() { Err(no_campaign()) } else { Ok(served) }
    }

    async fn serve(&self, row: CampaignRow) -> Result<Served, EngineError> {
        let (row, people) = self.people(&row.name).await?;
        let containment = self.approved_containment(&row, &people).await?;
        let kinds = containment.as_ref().map(|it| it.kinds.clone()).unwrap_or_default();
        let shortest = containment.as_ref().map_or(SHORTEST, |it| it.section.shortest_password());
        let (file, incident, writer) = self.own_words(&row, &people).await?;
        let brand = incident.brand().clone();
        let longest_bytes = file.directory.as_ref().and_then(DirectorySection::longest_password);
        let words = vec![brand.name.as_str().to_owned(), brand.site.typed()];
        Ok(Served {
            rule: PasswordRule { shortest, longest_bytes, brand: words },
            longest: OnceLock::new(),
            secures_passwords: kinds.contains(&CredentialKind::Password),
            locale: file.notice.locale.clone(),
            zone: incident.window().from.zoned().time_zone().clone(),
            window_from: incident.window().from.timestamp(),
            company: Mutex::new(None),
            writer,
            incident,
            row,
            people,
            brand,
            file,
        })
    }

    /// The campaign's and the incident's words: those approved for the notice, else as the files are now;
    /// credentials are secured, and people come, before counsel has approved a notice.
    async fn own_words(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<(CampaignFile, Incident, Option<NoticeWriter>), EngineError> {
        if row.notice_digest.is_some() {
            let approved = self.approved(row, people, Track::Notice).await?;
            let (file, incident) = approved_words(self, people, &approved.parts)?;
            let writer = NoticeWriter::new(self, people, &approved.parts)?;
            return Ok((file, incident, Some(writer)));
        }
        let files = self.files(&row.name)?;
        Ok((files.campaign, files.incident, None))
    }
}
