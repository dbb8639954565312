//! The launch guard: nothing of a live campaign begins before somebody has typed its name and its head
//! count (promise 14). Once, so that a run that died is taken up again without a question.

use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::domain::track::{Environment, Track};
use crate::store::acts::LaunchRow;
use crate::store::campaigns::CampaignRow;

/// What somebody typed to let a live campaign loose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// The campaign's name.
    pub name: String,
    /// How many people it is for.
    pub head_count: u64,
}

impl std::str::FromStr for Typed {
    type Err = String;

    /// Reads `NAME COUNT`; the count may have `,`, `.` or `_` between its thousands.
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [name, count] = words[..] else {
            return Err(
                "expected the campaign's name and its head count, such as `spring 9950`".into()
            );
        };
        let head_count = count
            .replace([',', '.', '_'], "")
            .parse()
            .map_err(|_| format!("`{count}` is no head count"))?;
        Ok(Self { name: name.to_owned(), head_count })
    }
}

impl Engine {
    /// Those of these tracks of a live campaign that are approved and that nobody has let loose yet, with
    /// the head count that has to be typed; nothing for a rehearsal.
    pub async fn unlaunched(
        &self,
        name: &str,
        among: &[Track],
    ) -> Result<(Vec<Track>, u64), EngineError> {
        let row = self.campaign(name).await?;
        if row.environment == Environment::Rehearsal {
            return Ok((Vec::new(), 0));
        }
        let launched = self.store.launches(row.id).await?;
        let waits = |track: &Track| !launched.iter().any(|launch| launch.track == *track);
        let approved = [
            row.containment_digest.map(|_| Track::Containment),
            row.notice_digest.map(|_| Track::Notice),
        ];
        let is_asked = |track: &Track| among.contains(track);
        let tracks = approved.into_iter().flatten().filter(is_asked).filter(waits).collect();
        Ok((tracks, self.head_count(&row).await?))
    }

    async fn head_count(&self, row: &CampaignRow) -> Result<u64, EngineError> {
        let seal = self.store.live_seal(row.id).await?;
        Ok(seal.ok_or_else(|| super::plan::not_sealed(&row.name))?.totals.sealed)
    }

    /// Lets tracks of a live campaign loose, if what was typed is true.
    pub async fn launch(
        &self,
        name: &str,
        tracks: &[Track],
        typed: &Typed,
        by: &str,
    ) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        let head_count = self.head_count(&row).await?;
        if typed.name != name || typed.head_count != head_count {
            return Err(EngineError::refused(format!(
                "this is not what `{name}` is: it is for {head_count} people; nothing was begun; \
                 hint: look at `forthwith campaign status {name}`"
            )));
        }
        for track in tracks {
            let now = self.clock.now();
            let entry = Entry::Launched {
                campaign: people.ledger_name(),
                track: track.word(),
                head_count,
                by: by.to_owned(),
            };
            let launch = LaunchRow {
                track: *track,
                head_count,
                launched_by: by.to_owned(),
                launched_at: now,
            };
            self.store.launch(row.id, launch, vec![entry.line(now)]).await?;
        }
        Ok(())
    }

    /// Refuses to touch the living before the track was let loose.
    pub(super) async fn check_launched(
        &self,
        row: &CampaignRow,
        track: Track,
    ) -> Result<(), EngineError> {
        if row.environment == Environment::Rehearsal
            || self.store.launches(row.id).await?.iter().any(|launch| launch.track == track)
        {
            return Ok(());
        }
        let verb = match track {
            Track::Containment => "secure run",
            Track::Notice => "campaign run",
        };
        Err(EngineError::refused(format!(
            "`{name}` is live, and nobody has let its {track} loose; hint: `forthwith {verb} {name}` \
             asks for the campaign's name and its head count",
            name = row.name
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_a_name_and_a_number() {
        let typed =
            |text: &str| text.parse::<Typed>().ok().map(|typed| (typed.name, typed.head_count));
        assert_eq!(typed("spring 9950"), Some(("spring".into(), 9_950)));
        assert_eq!(typed(" spring  9,950 "), Some(("spring".into(), 9_950)));
        for text in ["spring", "9950", "spring 9950 yes", "y", "", "spring many"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }
}
