//! Everything that stands about somebody of whom a promise was broken: in the sink's record, in the
//! database, in the journals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use forthwith::engine::Workspace;
use forthwith::journal::{Journals, Mark, Origin};
use uuid::Uuid;

use super::database::Everybody;
use super::house::House;
use super::people::Directory;
use super::report::Report;
use super::shop::reading;

/// Adds their stories to the breaks of a report.
pub async fn tell(house: &House, report: &mut Report) -> Result<()> {
    let about: BTreeSet<u64> = report.breaks.iter().filter_map(|one| one.number).take(40).collect();
    if about.is_empty() {
        return Ok(());
    }
    let people = Directory::read(&house.forthwith.folder).await?;
    let everybody = Everybody::read(&house.database(), people.campaign).await?;
    let accepted = house.sink.record.accepted()?;
    let marks = marks(&house.forthwith.folder, people.campaign, &about).await?;
    for one in &mut report.breaks {
        let Some(number) = one.number.filter(|number| about.contains(number)) else { continue };
        let address = people.addresses.get(&number).cloned().unwrap_or_default();
        for copy in accepted.get(&address).into_iter().flatten() {
            let digest: String = copy.sha256.chars().take(16).collect();
            one.story.push(format!("record: accepted at {} {} {digest}", copy.at, copy.message_id));
        }
        if let Some(person) = everybody.people.get(&number) {
            one.story.push(format!(
                "database: {}/{}, {} intents, {} ended in doubt",
                person.class,
                person.reason,
                person.contents.len(),
                person.doubts
            ));
        }
        one.story.extend(marks.get(&number).into_iter().flatten().cloned());
    }
    Ok(())
}

/// The marks of some people, in the order of their workers' folders.
async fn marks(
    folder: &Path,
    campaign: i64,
    about: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Vec<String>>> {
    let workspace = Workspace::at(folder);
    let mut conn = reading(&workspace.database()).await?;
    let id: Vec<u8> = sqlx::query_scalar("SELECT database_id FROM database_identity")
        .fetch_one(&mut conn)
        .await?;
    let workers: Vec<(String, i64)> =
        sqlx::query_as("SELECT id, incarnation FROM worker ORDER BY started_at")
            .fetch_all(&mut conn)
            .await?;
    let database_id = *Uuid::from_slice(&id)?.as_bytes();
    let journals = Journals::under(workspace.journals());
    let mut told: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (worker, incarnation) in workers {
        let worker_id = *Uuid::parse_str(&worker)?.as_bytes();
        let origin = Origin { database_id, incarnation: incarnation.unsigned_abs(), worker_id };
        let visit = |segment: u64, mark: Mark| {
            let key = mark.key();
            if key.campaign != campaign || !about.contains(&key.number) {
                return;
            }
            let word = match mark {
                Mark::Begin { .. } => "begin",
                Mark::Dot { .. } => "dot",
                Mark::End { .. } => "end",
            };
            let (generation, n) = (key.generation, key.n);
            let text =
                format!("journal: {word} of {generation}.{n} in segment {segment} of {worker}");
            told.entry(key.number).or_default().push(text);
        };
        // A journal that is gone says nothing.
        let _ = journals.scan(&origin, visit);
    }
    Ok(told)
}
