//! Everything that stands about somebody of whom a promise was broken: in the sink's record, in the
//! database, in the journals.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use forthwith::engine::Workspace;
use forthwith::journal::{Journals, Mark, folders};

use super::database::Everybody;
use super::house::House;
use super::people::Directory;
use super::report::Report;

/// Adds their stories to the breaks of a report.
pub async fn tell(house: &House, report: &mut Report) -> Result<()> {
    let about: BTreeSet<u64> = report.breaks.iter().filter_map(|one| one.number).take(40).collect();
    if about.is_empty() {
        return Ok(());
    }
    let people = Directory::read(&house.forthwith.folder).await?;
    let everybody = Everybody::read(&house.database(), people.campaign).await?;
    let accepted = house.sink.record.accepted()?;
    let marks = marks(&house.forthwith.folder, people.campaign, &about);
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

/// The marks of some people, folder by folder. A journal that is gone, or cannot be read, says nothing.
fn marks(folder: &Path, campaign: i64, about: &BTreeSet<u64>) -> BTreeMap<u64, Vec<String>> {
    let root = Workspace::at(folder).journals();
    let mut told: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for one in folders(&root).unwrap_or_default() {
        let Some(origin) = one.origin else { continue };
        let Ok(mut walk) = Journals::under(&root).walk(&origin) else { continue };
        while let Ok(Some((segment, marks))) = walk.next_segment() {
            for mark in marks {
                let key = mark.key();
                if key.campaign != campaign || !about.contains(&key.number) {
                    continue;
                }
                let word = match mark {
                    Mark::Begin { .. } => "begin",
                    Mark::Dot { .. } => "dot",
                    Mark::End { .. } => "end",
                };
                let (generation, n) = (key.generation, key.n);
                let worker = uuid::Uuid::from_bytes(one.worker_id);
                let text =
                    format!("journal: {word} of {generation}.{n} in segment {segment} of {worker}");
                told.entry(key.number).or_default().push(text);
            }
        }
    }
    told
}
