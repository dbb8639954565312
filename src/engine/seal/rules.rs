//! The rules people are judged by at seal: gathered once from campaign file, incident and lists, applied to
//! every row, and kept as a part of the seal's provenance.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::super::campaign_file::CampaignFile;
use super::super::campaign_file::addresses::DeadDomains;
use crate::domain::address::{AddressFacts, AddressReason, DomainList, EmailAddress};
use crate::domain::duration::HumanDuration;
use crate::domain::incident::Incident;
use crate::domain::recipient::Recipient;
use crate::engine::{Engine, EngineError};
use crate::secret::digest::{LpBuilder, sha256};
use crate::secret::keys::Key;
use crate::secret::lookup::address_digest;
use crate::store::seals::SharedLimits;

/// Takes no mail, by RFC 2606 §2.
const NEVER: &str = ".invalid";

/// What an address is judged by.
pub(in crate::engine) struct AddressRules<'a> {
    digest_key: &'a Key,
    own: DomainList,
    dead: DomainList,
    /// Keyed digests, sorted: a list may be as long as an audience.
    suppressed: Vec<[u8; 16]>,
    window_from: Timestamp,
    /// Addresses proved last before this day are dormant.
    proved_from: Option<Date>,
    /// What is the same for the whole seal, as canonical JSON.
    pub(super) provenance: String,
    pub(super) limits: SharedLimits,
}

/// A source row as it is sealed.
pub(super) struct Judged {
    /// The person.
    pub(super) person: Box<Recipient>,
    /// A second notice to the address that may be the thief's, without any secret.
    pub(super) copy: Option<Box<Recipient>>,
}

impl Engine {
    /// Reads the lists that a campaign's `[addresses]` names, and the incident's window.
    pub(in crate::engine) async fn address_rules(
        &self,
        name: &str,
        file: &CampaignFile,
        as_of: Timestamp,
    ) -> Result<AddressRules<'_>, EngineError> {
        let (path, incident_name) = self.workspace.incident_file(&file.incident);
        if !path.exists() {
            return Err(EngineError::refused(format!(
                "there is no `{incident_name}`, and without its window nobody can say which addresses \
                 were changed since; hint: `forthwith incident new {}`",
                file.incident
            )));
        }
        let incident = Incident::parse(&self.workspace.read(&path)?, &incident_name)?;
        let section = &file.addresses;
        let own = domains("addresses.own_domains", section.own_domains.iter().map(String::as_str))?;
        let dead = match &section.dead_domains {
            DeadDomains::List(list) => {
                domains("addresses.dead_domains", list.iter().map(String::as_str).chain([NEVER]))?
            }
            DeadDomains::File(path) => {
                let text = self.workspace.read(&self.workspace.root().join(path))?;
                // The last entry, so that the numbers of the others are those of their lines.
                domains(&path.display().to_string(), text.lines().chain([NEVER]))?
            }
        };
        let mut suppressed = self.store.suppressed(name).await?;
        if let Some(path) = &section.suppressed {
            let text = self.workspace.read(&self.workspace.root().join(path))?;
            suppressed.extend(digests(self.keys.digest(), &path.display().to_string(), &text)?);
        }
        suppressed.sort_unstable();
        suppressed.dedup();
        let mut rules = AddressRules {
            digest_key: self.keys.digest(),
            own,
            dead,
            suppressed,
            window_from: incident.window().from.timestamp(),
            proved_from: section.dormant_after.and_then(|after| day_before(as_of, after)),
            provenance: String::new(),
            limits: SharedLimits {
                combine_above: section.combine_above,
                worklist_above: section.worklist_above,
            },
        };
        rules.provenance = rules.in_words(file);
        Ok(rules)
    }
}

impl Engine {
    /// Whether an address that an amendment brings may be mailed, by the lists of the campaign's
    /// `[addresses]` as they are now.
    pub(in crate::engine) async fn address_reason(
        &self,
        name: &str,
        address: &EmailAddress,
    ) -> Result<AddressReason, EngineError> {
        let file = self.campaign_file(name)?;
        let rules = self.address_rules(name, &file, self.clock.now()).await?;
        Ok(AddressReason::judge(AddressReason::Ok, rules.facts(address)))
    }
}

impl AddressRules<'_> {
    /// The rules without the instant of reading, and how the source is read: the same words mean the same
    /// people from the same bytes, but for what a later day makes dormant.
    fn in_words(&self, file: &CampaignFile) -> String {
        let digest = |parts: &mut dyn Iterator<Item = &[u8]>| {
            sha256(&parts.fold(LpBuilder::new(), LpBuilder::lp).finish()).to_string()
        };
        let dead = self.dead.entries();
        let cohorts: Vec<_> = file.cohorts.iter().map(|one| (&one.name, &one.regions)).collect();
        json!({
            "audience_sha256": sha256(file.audience.reading().as_bytes()).to_string(),
            "window_from": self.window_from.to_string(),
            "own_domains": self.own.entries(),
            "dead_domains": dead.len(),
            "dead_domains_sha256": digest(&mut dead.iter().map(String::as_bytes)),
            "suppressed": self.suppressed.len(),
            "suppressed_sha256": digest(&mut self.suppressed.iter().map(|one| &one[..])),
            "dormant_after": file.addresses.dormant_after,
            "combine_above": self.limits.combine_above,
            "worklist_above": self.limits.worklist_above,
            "canary": file.canary().map(|canary| canary.size),
            "cohorts": cohorts,
        })
        .to_string()
    }

    /// Decides a source row's reason and address. Where the address was changed since the window began
    /// and the one before it can be mailed, the person is told there, and the newer address gets a copy
    /// if mail goes there at all.
    pub(super) fn judge(&self, mut row: Box<Recipient>) -> Judged {
        let same = |a: &EmailAddress, b: &EmailAddress| a.canonical() == b.canonical();
        if let (Some(now), Some(before)) = (&row.address, &row.address_before)
            && same(now, before)
        {
            row.address_before = None;
        }
        let is_new = row.address_changed_at.is_some_and(|at| at >= self.window_from);
        let read = row.reason;
        // an earlier campaign's people bring what they were sealed as
        let is_suspect = is_new || read == AddressReason::Suspect;
        row.reason = match &row.address {
            Some(address) => {
                let is_old = self.is_old(&row);
                let facts = AddressFacts { is_new: is_suspect, is_old, ..self.facts(address) };
                AddressReason::judge(read, facts)
            }
            None => read,
        };
        if !is_new {
            return Judged { person: row, copy: None };
        }
        let Some(before) = &row.address_before else { return Judged { person: row, copy: None } };
        let facts = AddressFacts { is_old: self.is_old(&row), ..self.facts(before) };
        let reason = AddressReason::judge(AddressReason::Ok, facts);
        if !reason.is_mailed() {
            return Judged { person: row, copy: None };
        }
        let person = Recipient {
            address: row.address_before.clone(),
            address_text: None,
            reason,
            ..(*row).clone()
        };
        Judged { person: Box::new(person), copy: row.reason.is_mailed().then_some(row) }
    }

    fn facts(&self, address: &EmailAddress) -> AddressFacts {
        let is_suppressed = !self.suppressed.is_empty() && {
            let digest = address_digest(self.digest_key, &address.canonical());
            self.suppressed.binary_search(&digest).is_ok()
        };
        AddressFacts {
            is_suppressed,
            is_own: self.own.contains(address.domain()),
            is_dead: self.dead.contains(address.domain()),
            is_new: false,
            is_old: false,
        }
    }

    fn is_old(&self, row: &Recipient) -> bool {
        self.proved_from.zip(row.last_verified_on).is_some_and(|(from, proved_on)| proved_on < from)
    }
}

fn domains<'t>(
    key: &str,
    entries: impl IntoIterator<Item = &'t str>,
) -> Result<DomainList, EngineError> {
    DomainList::parse(entries).map_err(|error| EngineError::refused(format!("`{key}`: {error}")))
}

/// The keyed digests of a list of addresses, one a line; empty lines and remarks are passed over.
fn digests(key: &Key, file: &str, text: &str) -> Result<Vec<[u8; 16]>, EngineError> {
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| match EmailAddress::parse(line) {
            Ok(address) => Ok(address_digest(key, &address.canonical())),
            Err(error) => Err(EngineError::refused(format!(
                "`{file}`, line {}: {error}; hint: `addresses.suppressed` names a file of addresses, \
                 one a line",
                at + 1
            ))),
        })
        .collect()
}

/// The day that lies this long before an instant, in UTC.
fn day_before(as_of: Timestamp, after: HumanDuration) -> Option<Date> {
    let from = as_of.checked_sub(after.signed()).ok()?;
    Some(from.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::recipient::{AccountRef, Addressee};
    use crate::secret::keys::{KeyPurpose, fixed_key};

    const FROM: &str = "2026-03-01T00:00:00Z";

    fn person(now: &str, before: &str, changed_at: &str, proved_on: &str) -> Recipient {
        let address = EmailAddress::parse(now).ok();
        Recipient {
            account: AccountRef::parse("c-7").unwrap(),
            reason: if address.is_some() { AddressReason::Ok } else { AddressReason::Invalid },
            address,
            address_text: None,
            locale: None,
            region: None,
            addressee: Addressee::SelfPerson,
            name: None,
            name_refused: false,
            fields: BTreeMap::new(),
            refused: BTreeSet::new(),
            address_changed_at: changed_at.parse().ok(),
            address_before: EmailAddress::parse(before).ok(),
            password_changed_at: None,
            last_verified_on: proved_on.parse().ok(),
        }
    }

    /// Where the person is told with which reason, and where the copy goes.
    fn judged(now: &str, before: &str, changed_at: &str, proved_on: &str) -> String {
        let key = fixed_key(KeyPurpose::Digest);
        let list = |entries: &[&str]| DomainList::parse(entries.iter().copied()).unwrap();
        let rules = AddressRules {
            digest_key: &key,
            own: list(&[".ours.example"]),
            dead: list(&["gone.example", NEVER]),
            suppressed: vec![address_digest(&key, "stop@post.example")],
            window_from: FROM.parse().unwrap(),
            proved_from: "2024-06-01".parse().ok(),
            provenance: String::new(),
            limits: SharedLimits { combine_above: 5, worklist_above: 50 },
        };
        let Judged { person, copy } =
            rules.judge(Box::new(person(now, before, changed_at, proved_on)));
        let show = |row: &Recipient| {
            let to = row.address.as_ref().map_or("-", EmailAddress::as_str);
            format!("{to} {}", row.reason)
        };
        match copy {
            Some(copy) => format!("{} + {}", show(&person), show(&copy)),
            None => show(&person),
        }
    }

    #[test]
    fn every_fact_has_its_treatment() {
        let (never, window, earlier) = ("", "2026-03-01T00:00:00Z", "2026-02-28T23:59:59Z");
        for (now, before, changed, proved, expected) in [
            ("a@post.example", "", never, "", "a@post.example ok"),
            ("n/a", "", never, "", "- invalid"),
            ("Stop@post.example", "", never, "", "Stop@post.example suppressed"),
            ("a@ours.example", "", never, "", "a@ours.example own-mailbox"),
            ("a@mail.ours.example", "", window, "", "a@mail.ours.example own-mailbox"),
            ("a@gone.example", "", never, "", "a@gone.example dead-domain"),
            ("a@x.invalid", "", never, "", "a@x.invalid dead-domain"),
            ("a@post.example", "", window, "", "a@post.example suspect"),
            ("a@post.example", "", earlier, "", "a@post.example ok"),
            ("a@post.example", "", never, "2024-05-31", "a@post.example dormant"),
            ("a@post.example", "", never, "2024-06-01", "a@post.example ok"),
            // the address before the change
            (
                "t@new.example",
                "a@post.example",
                window,
                "",
                "a@post.example ok + t@new.example suspect",
            ),
            ("t@new.example", "a@post.example", earlier, "", "t@new.example ok"),
            (
                "t@new.example",
                "a@post.example",
                window,
                "2020-01-01",
                "a@post.example dormant + t@new.example suspect",
            ),
            ("A@post.example", "a@Post.example", window, "", "A@post.example suspect"),
            // one that can't be mailed is no way to the person
            ("t@new.example", "a@gone.example", window, "", "t@new.example suspect"),
            ("t@new.example", "a@ours.example", window, "", "t@new.example suspect"),
            ("t@new.example", "stop@post.example", window, "", "t@new.example suspect"),
            // no copy goes where no mail goes, and the person is told all the same
            ("t@gone.example", "a@post.example", window, "", "a@post.example ok"),
            ("t@ours.example", "a@post.example", window, "", "a@post.example ok"),
            ("stop@post.example", "a@post.example", window, "", "a@post.example ok"),
            ("n/a", "a@post.example", window, "", "a@post.example ok"),
        ] {
            assert_eq!(judged(now, before, changed, proved), expected, "{now} {before} {changed}");
        }
    }

    #[test]
    fn a_list_of_suppressed_addresses_is_read_by_line_and_names_no_address() {
        let key = fixed_key(KeyPurpose::Digest);
        let read = digests(&key, "stop.txt", "# asked us\n\n Ada@Post.example \n").unwrap();
        assert_eq!(read, [address_digest(&key, "ada@post.example")]);
        let refused =
            digests(&key, "stop.txt", "a@b.example\nsecret@\n").err().unwrap().to_string();
        assert!(refused.contains("`stop.txt`, line 2") && refused.contains("hint:"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
