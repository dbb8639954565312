//! Rows whose class follows another's: accounts that a carrier's notice names too, and second addresses.
//!
//! The rules of who follows where are in `fate`; this file finds the rows. Their persons' names for the
//! ledger stand beside them, so that they move in the leader's transaction without being opened.

mod fate;
mod group;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use sqlx::SqliteConnection;
use uuid::Uuid;

use self::fate::{copy_fate, fate, follows_as, is_shared};
pub(super) use self::group::{hand_over, is_claimable, leave, part};
use super::load::StateColumns;
use super::{StoreError, row};
use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::domain::ledger::Entry;
use crate::store::deliveries::{DeliveryState, Move};

/// Every row of the groups and persons that some rows belong to, by key from the few asked about.
const ABOUT: &str = "WITH asked (number) AS (SELECT CAST(value AS INTEGER) FROM json_each($1)),
          leading (number) AS (
              SELECT number FROM asked
              UNION
              SELECT f.leader
              FROM asked AS a
              CROSS JOIN follower AS f ON f.campaign_id = $2 AND f.number = a.number)
     SELECT f.number, f.leader, f.kind, f.person, d.class, d.reason, d.generation, d.doubts, d.attempts,
            d.first_attempt_at, d.due_at,
            EXISTS (SELECT 1 FROM intent AS i
                    LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
                    WHERE i.campaign_id = $2 AND i.number = f.number
                      AND o.number IS NULL) AS in_flight
     FROM leading AS l
     CROSS JOIN follower AS f INDEXED BY follower_by_leader
       ON f.campaign_id = $2 AND f.leader = l.number
     LEFT JOIN delivery AS d ON d.campaign_id = $2 AND d.number = f.number
     ORDER BY f.number";

/// What a row is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its notice names the others.
    Carrier,
    /// Another's notice names it.
    Carried,
    /// A second address of its leader's person.
    Copy,
}

#[derive(sqlx::FromRow)]
struct Columns {
    number: i64,
    leader: i64,
    kind: String,
    person: String,
    in_flight: i64,
    #[sqlx(flatten)]
    state: StateColumns,
}

/// A row of a group, as it stands.
#[derive(Debug)]
struct Member {
    number: u64,
    leader: u64,
    kind: Kind,
    person: String,
    state: DeliveryState,
    is_in_flight: bool,
}

/// The groups that some moves touch; empty for nearly all.
#[derive(Debug, Default)]
pub(super) struct Followers {
    members: HashMap<u64, Member>,
    campaign: String,
    now: i64,
}

impl Followers {
    /// The groups of some rows.
    pub(super) async fn about(
        conn: &mut SqliteConnection,
        campaign: i64,
        numbers: &[u64],
        now: i64,
    ) -> Result<Self, StoreError> {
        let found: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT c.uuid
             FROM campaign AS c
             WHERE c.id = $1 AND EXISTS (SELECT 1 FROM follower AS f WHERE f.campaign_id = c.id)",
        )
        .bind(campaign)
        .fetch_optional(&mut *conn)
        .await
        .map_err(StoreError::on("look for groups"))?;
        let Some(uuid) = found else { return Ok(Self::default()) };
        let uuid = Uuid::from_bytes(row::bytes(&uuid, "campaign", "uuid", campaign)?);
        let rows: Vec<Columns> = sqlx::query_as(ABOUT)
            .bind(json!(numbers).to_string())
            .bind(campaign)
            .fetch_all(conn)
            .await
            .map_err(StoreError::on("find the rows of groups"))?;
        let members = rows.into_iter().map(|found| Ok((row::uint(found.number), found.read()?)));
        Ok(Self {
            members: members.collect::<Result<_, StoreError>>()?,
            campaign: uuid.to_string(),
            now,
        })
    }

    /// Whether another's notice names this row.
    pub(super) fn is_carried(&self, number: u64) -> bool {
        self.members.get(&number).is_some_and(|member| member.kind == Kind::Carried)
    }

    /// The hold of a carrier that was handed a notice in doubt: the doubt is over an attempt of another,
    /// so only a person can tell what to do.
    pub(super) fn held(&self, carrier: u64) -> Option<Move> {
        let member = self.members.get(&carrier)?;
        let held = DeliveryClass::Held(HeldReason::Operator);
        matches!(member.state.class, DeliveryClass::InDoubt(_))
            .then(|| self.step(member, held, "carrier"))
    }

    /// The ledger line of a change. A copy's says that it is one, so that people can be counted from the
    /// ledger alone.
    pub(super) fn line(&self, change: &Move) -> String {
        let is_copy = self.members.get(&change.number).is_some_and(|one| one.kind == Kind::Copy);
        if is_copy && let Ok(Value::Object(mut entry)) = serde_json::from_str(&change.line) {
            entry.insert("copy".into(), true.into());
            return Value::Object(entry).to_string();
        }
        change.line.clone()
    }

    /// Whether a row is carried, and its carrier did not go its own way since.
    fn stands_with_carrier(&self, number: u64) -> bool {
        let Some(member) = self.members.get(&number).filter(|one| one.kind == Kind::Carried) else {
            return false;
        };
        let carrier = self.members.get(&member.leader);
        carrier.is_some_and(|carrier| member.state.class == follows_as(&carrier.state.class))
    }

    /// What is asked of a carried row and means its whole group is asked of its carrier instead, once.
    pub(super) fn lead<'m>(&self, moves: Vec<Cow<'m, Move>>) -> Vec<Cow<'m, Move>> {
        if self.members.is_empty() {
            return moves;
        }
        let mut seen = HashSet::new();
        let mut led: Vec<Cow<'m, Move>> = Vec::with_capacity(moves.len());
        // The caller's own moves of carriers come first: they bring their own line.
        let (carried, own): (Vec<_>, Vec<_>) = moves.into_iter().partition(|change| {
            self.stands_with_carrier(change.number) && is_shared(&change.from, &change.to)
        });
        led.extend(own.into_iter().filter(|change| seen.insert(change.number)));
        for change in carried {
            let Some(leader) = self.members.get(&change.number).map(|member| member.leader) else {
                continue;
            };
            let carrier = self.members.get(&leader).filter(|carrier| {
                !carrier.is_in_flight && carrier.state.class == change.from && seen.insert(leader)
            });
            led.extend(
                carrier.map(|carrier| Cow::Owned(self.step(carrier, change.to.clone(), "carried"))),
            );
        }
        led
    }

    /// The moves that these changes bring about, and the carriers whose groups need another one.
    pub(super) fn follow(&self, changed: &[Cow<'_, Move>]) -> (Vec<Move>, Vec<u64>) {
        let (mut steps, mut vacant) = (Vec::new(), Vec::new());
        if self.members.is_empty() {
            return (steps, vacant);
        }
        let moved: HashSet<u64> = changed.iter().map(|change| change.number).collect();
        let by_leader: HashMap<u64, &Move> =
            changed.iter().map(|change| (change.number, &**change)).collect();
        let mut members: Vec<&Member> = self.members.values().collect();
        members.sort_unstable_by_key(|member| member.number);
        for member in members {
            let Some(change) = by_leader.get(&member.leader) else { continue };
            match member.kind {
                Kind::Carrier => {
                    let is_vacant = fate(&change.from, &change.to).is_vacant;
                    vacant.extend(is_vacant.then_some(member.number));
                }
                Kind::Carried if moved.contains(&member.number) => {}
                Kind::Carried => {
                    let stands = member.state.class == follows_as(&change.from);
                    let to = fate(&change.from, &change.to).to.filter(|_| stands);
                    steps.extend(to.map(|to| self.step(member, to, "carrier")));
                }
                Kind::Copy => {
                    let is_free = !member.is_in_flight && !moved.contains(&member.number);
                    let to = copy_fate(change, &member.state.class).filter(|_| is_free);
                    steps.extend(to.map(|to| self.step(member, to, "person")));
                }
            }
        }
        (steps, vacant)
    }

    fn step(&self, member: &Member, to: DeliveryClass, by: &str) -> Move {
        let from = member.state.class.clone();
        let entry = Entry::Moved {
            campaign: self.campaign.clone(),
            person: member.person.clone(),
            from: from.label(),
            to: to.label(),
            by: by.into(),
        };
        Move {
            number: member.number,
            from,
            state: DeliveryState { class: to.clone(), due_at: None, ..member.state.clone() },
            to,
            line: entry.line(row::instant(self.now)),
        }
    }
}

impl Columns {
    fn read(self) -> Result<Member, StoreError> {
        let kind = match self.kind.as_str() {
            "carrier" => Kind::Carrier,
            "carried" => Kind::Carried,
            "copy" => Kind::Copy,
            _ => {
                return Err(StoreError::Corrupt {
                    table: "follower",
                    column: "kind",
                    row: self.number.to_string(),
                });
            }
        };
        Ok(Member {
            number: row::uint(self.number),
            leader: row::uint(self.leader),
            kind,
            person: self.person,
            state: self.state.read(self.number)?,
            is_in_flight: self.in_flight == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn groups_are_found_by_key_and_never_by_walking_the_campaign() {
        let steps = steps(&ABOUT.replace("ORDER BY f.number", "AND $3 = $3")).await;
        for table in ["f", "d", "i", "o"] {
            let scan = format!("SCAN {table}");
            assert!(!steps.iter().any(|step| step.starts_with(&scan)), "{steps:?}");
        }
        let by_leader = "follower_by_leader (campaign_id=? AND leader=?)";
        assert!(steps.iter().any(|step| step.contains(by_leader)), "{steps:?}");
    }
}
