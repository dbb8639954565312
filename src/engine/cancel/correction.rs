//! The campaign that corrects what a cancelled one told: drafted as a file, to be read, sealed, planned
//! and signed like any other.

use std::path::PathBuf;

use crate::domain::class_selector::ClassSelector;
use crate::engine::campaign_file::CampaignFile;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};

/// Whom a correction is for.
const CLASSES: [&str; 2] = ["told", "in-doubt"];

impl Engine {
    /// Whether anybody was told or may have been, at whichever of their addresses: the sums count people
    /// by the address that is surely theirs.
    pub(super) async fn was_anybody_told(&self, people: &People) -> Result<bool, EngineError> {
        let classes: Result<Vec<ClassSelector>, _> =
            CLASSES.iter().map(|word| word.parse()).collect();
        let classes = classes.map_err(|error| EngineError::Broken(error.to_string()))?;
        Ok(!self.store.sealed_people(people.campaign, &classes, 0, 1).await?.is_empty())
    }

    /// Writes `campaigns/NAME-correction.toml`, unless there is one: an operator may have begun to edit
    /// it.
    pub(super) fn draft_correction(&self, people: &People) -> Result<PathBuf, EngineError> {
        let (path, _) = self.workspace.campaign_file(&format!("{}-correction", people.name));
        if !path.exists() {
            let file = self.campaign_file(&people.name)?;
            self.workspace.write_new(&path, &draft(people, &file))?;
        }
        Ok(path)
    }
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn draft(people: &People, file: &CampaignFile) -> String {
    let notice = &file.notice;
    let reply_to = notice
        .reply_to
        .as_ref()
        .map(|address| format!("reply_to = {}\n", quoted(address.as_str())))
        .unwrap_or_default();
    let bounce_domain = notice
        .bounce_domain
        .as_ref()
        .map(|domain| format!("bounce_domain = {}\n", quoted(domain)))
        .unwrap_or_default();
    let regions: Vec<String> = notice
        .region_locales
        .iter()
        .map(|(region, locale)| format!("{} = {}", quoted(region), quoted(locale)))
        .collect();
    let regions = match regions.as_slice() {
        [] => String::new(),
        all => format!("region_locales = {{ {} }}\n", all.join(", ")),
    };
    let directory = match &file.directory {
        Some(section) => format!(
            "# The people's accounts are named as in this directory; nothing is done to it.\n\
             directory_name = {}\n",
            quoted(&section.name)
        ),
        None => String::new(),
    };
    format!(
        "# Drafted when `{name}` was cancelled: tells those who were told, or may have been told, that it\n\
         # was a mistake, at each address where they were. Read it, look at `templates/mail/correction`, then\n\
         # seal, plan and approve it.\n\
         incident = {incident}\n\
         environment = {environment}\n\
         {directory}\n\
         [audience.campaign]\n\
         name = {quoted_name}\n\
         classes = {classes:?}\n\n\
         # Speaks of no credential and leads nowhere.\n\
         [notice]\n\
         template = \"correction\"\n\
         mode = \"none\"\n\
         locale = {locale}\n\
         {regions}\
         from = {{ name = {from}, address = {address} }}\n\
         {reply_to}{bounce_domain}",
        name = people.name,
        quoted_name = quoted(&people.name),
        classes = CLASSES,
        incident = quoted(&file.incident),
        environment = quoted(people.environment.word()),
        locale = quoted(&notice.locale),
        from = quoted(&notice.from.name),
        address = quoted(notice.from.address.as_str()),
    )
}
