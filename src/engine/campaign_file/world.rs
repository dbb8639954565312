//! The wall between rehearsal and the living, as far as a file's text tells (promise 14).

use super::CampaignFile;
use crate::domain::loopback::leads_elsewhere;
use crate::domain::toml_file::Problems;
use crate::domain::track::Environment;

impl CampaignFile {
    /// A rehearsal reads and touches databases on this machine only: every `url` in the file is
    /// looked at, whichever section it stands in.
    pub(super) fn check_world(&self, problems: &mut Problems<'_>) {
        if self.environment == Environment::Live {
            return;
        }
        let urls = problems.texts("url");
        for (key, url) in urls.iter().chain(self.directory_url(&urls).as_ref()) {
            if let Some(place) = leads_elsewhere(url) {
                problems.at_all(&[key, "environment"], elsewhere(key, &place));
            }
        }
    }

    /// The directory's URL where the file's text is not at hand.
    fn directory_url(&self, urls: &[(String, String)]) -> Option<(String, String)> {
        let section = self.directory.as_ref()?;
        let adapter = section.adapter()?;
        let key = format!("{}.url", adapter.key());
        let is_known = urls.iter().any(|(known, _)| *known == key);
        (!is_known).then(|| (key, adapter.url().to_owned()))
    }
}

/// The refusal of a database that a rehearsal may not touch.
pub fn elsewhere(key: &str, place: &str) -> String {
    format!(
        "`{key}` leads to {place}, and a rehearsal touches this machine only; hint: a copy on \
         localhost, or environment = \"live\" if these are the living"
    )
}
