//! Nobody learns from an answer whether an address is known: not by its bytes, not by its status, and not by how
//! long it took. What is asked in turn, in an order drawn anew each time, is compared by the two-sample test of
//! Kolmogorov and Smirnov; a look-up that is made slow on purpose shows that it would be seen.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::secret::lookup::address_digest;
use forthwith::secret::mail::reference;
use forthwith::store::credentials::Pick;
use futures_util::future::join_all;
use rand::seq::SliceRandom as _;

use crate::harness::tampering::execute;
use crate::harness::visitor::{Served, Shown, Visitor};
use crate::harness::{CAMPAIGN, House, Plan, campaign_file, write};

/// Who is asked for: of each sort another person in every round.
const SORTS: [&str; 5] = ["known", "other", "aside", "moved", "multi"];
const ROUNDS: usize = 50;
/// How rarely chance alone may seem to be a difference, for one comparison.
const CHANCE: f64 = 1e-6;

fn address(sort: &str, round: usize) -> String {
    format!("{sort}-{round:03}@mail.example")
}

/// A house where of each round's people one is known, one unknown, one has an account that was not affected, one
/// whose address changed after the window began, and one with two accounts. Everybody is secured.
async fn house(rounds: usize) -> House {
    let campaign = campaign_file("").replace(
        "columns = { account = \"customer_id\", address = \"email\", name = \"name\" }",
        "columns = { account = \"customer_id\", address = \"email\", name = \"name\", \
         address_changed_at = \"changed\" }",
    );
    let customers = u32::try_from(6 * rounds + 20).unwrap();
    let house = House::furnished(Plan { campaign, customers, ..Plan::default() }).await;
    // every 25th customer has no password
    let mut accounts = (1..customers).filter(|place| place % 25 != 7 && place % 997 != 499);
    let mut list = "customer_id,name,email,changed\n".to_owned();
    for round in 0..rounds {
        for (sort, changed) in
            [("known", "2011"), ("moved", "2012"), ("multi", "2011"), ("multi", "2011")]
        {
            let (place, to) = (accounts.next().unwrap(), address(sort, round));
            writeln!(list, "C{place:07},Ann,{to},{changed}-01-15T10:00:00Z").unwrap();
        }
        let aside = format!("UPDATE customer SET email = '{}'", address("aside", round));
        let place = accounts.next().unwrap();
        execute(&house.shop, &format!("{aside} WHERE id = 'C{place:07}'")).await;
    }
    write(&house.path("affected.csv"), &list);
    house.seal().await;
    house.approve(Track::Containment).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    house
}

/// An answer, without what is drawn for it and what was typed for it.
struct Seen {
    plain: String,
    took: Duration,
}

async fn timed(visitor: &Visitor, page: &Shown, fields: &[(&str, &str)]) -> Seen {
    let begun = Instant::now();
    let answer = visitor.sent(page, fields).await;
    let mut plain = format!("{}\n", answer.status());
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "date" | "set-cookie") {
            writeln!(plain, "{name}: {value:?}").unwrap();
        }
    }
    let mut body = answer.text().await.unwrap();
    let took = begun.elapsed();
    let proof = crate::harness::form::between(&body, "name=\"proof\" value=\"", "\"");
    if let Some(proof) = proof.map(str::to_owned) {
        body = body.replace(&proof, "PROOF");
    }
    for (_, value) in fields {
        body = body.replace(value, "TYPED");
    }
    Seen { plain: plain + &body, took }
}

/// What each sort was answered, in the order of the rounds.
#[derive(Default)]
struct Answers(Vec<(&'static str, Vec<Seen>)>);

impl Answers {
    fn of(&mut self, sort: &'static str) -> &mut Vec<Seen> {
        if let Some(at) = self.0.iter().position(|(known, _)| *known == sort) {
            return &mut self.0[at].1;
        }
        self.0.push((sort, Vec::new()));
        &mut self.0.last_mut().unwrap().1
    }

    /// One answer for all of them, and times that do not tell them from those of somebody unknown.
    fn are_alike(mut self, form: &str) {
        let plain = self.0[0].1[0].plain.clone();
        let unknown: Vec<Duration> = self.of("other").iter().map(|seen| seen.took).collect();
        for (sort, seen) in &self.0 {
            for one in seen {
                assert_eq!(one.plain, plain, "{form}, {sort}");
            }
            let took: Vec<Duration> = seen.iter().map(|seen| seen.took).collect();
            let (apart, bound) = (distance(&unknown, &took), bound(unknown.len(), took.len()));
            assert!(apart < bound, "{form}, {sort}: {apart} of {bound}; {unknown:?} {took:?}");
        }
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// The largest distance between the two empirical distributions.
fn distance(one: &[Duration], other: &[Duration]) -> f64 {
    let share = |of: &[Duration], at: Duration| {
        number(of.iter().filter(|took| **took <= at).count()) / number(of.len())
    };
    let all = one.iter().chain(other);
    all.map(|at| (share(one, *at) - share(other, *at)).abs()).fold(0.0, f64::max)
}

/// The distance that chance reaches with probability [`CHANCE`] at most (Smirnov's asymptotic bound).
fn bound(one: usize, other: usize) -> f64 {
    let (one, other) = (number(one), number(other));
    (-(CHANCE / 2.0).ln() / 2.0).sqrt() * ((one + other) / (one * other)).sqrt()
}

/// Every sort, in an order of its own.
fn shuffled(sorts: &[&'static str]) -> Vec<&'static str> {
    let mut sorts = sorts.to_vec();
    sorts.shuffle(&mut rand::rng());
    sorts
}

/// A visitor from a network that nobody else is in.
fn visitor(served: &Served, round: usize, sort: &str) -> Visitor {
    let at = SORTS.iter().position(|known| *known == sort).unwrap();
    served.visitor_from(&format!("10.{at}.{round}.1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_bytes_nor_status_nor_time_tell_who_is_known_by_address_and_code() {
    let house = house(ROUNDS).await;
    let served = house.portal().await;
    let (mut asked, mut asking) = (Answers::default(), Vec::new());
    for round in 0..ROUNDS {
        for sort in shuffled(&SORTS) {
            let visitor = visitor(&served, round, sort);
            let start = visitor.get("/reset").await;
            let to = address(sort, round);
            asked.of(sort).push(timed(&visitor, &start, &[("address", &to)]).await);
            asking.push((round, sort, visitor));
        }
    }
    asked.are_alike("address");
    served.post().await;
    for (round, sort, is_code) in
        [(0, "known", true), (0, "multi", true), (0, "other", false), (0, "aside", false)]
    {
        assert_eq!(house.code_to(&address(sort, round)).is_some(), is_code, "{sort}");
    }
    let mut typed = Answers::default();
    asking.shuffle(&mut rand::rng());
    for (_, sort, visitor) in &asking {
        let page = visitor.get("/reset/code").await;
        typed.of(sort).push(timed(visitor, &page, &[("code", "0000-0000-0000")]).await);
    }
    typed.are_alike("code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_bytes_nor_status_nor_time_tell_whose_a_reference_number_is() {
    const ROUNDS: usize = 25;
    let house = house(ROUNDS).await;
    let served = house.portal().await;
    let (row, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let keys = &house.engine.keys;
    let mut told = Answers::default();
    for round in 0..ROUNDS {
        let digest = address_digest(
            keys.digest(),
            &address("known", round)
                .parse::<forthwith::domain::address::EmailAddress>()
                .unwrap()
                .canonical(),
        );
        let number = house.engine.store.find_numbers(row.id, &digest).await.unwrap()[0];
        let own = reference(keys.mail(), &people.uuid, number).to_string();
        // the right pair is among them: nobody was told yet
        let asks = shuffled(&SORTS).into_iter().map(async |sort| {
            let visitor = visitor(&served, round, sort);
            let page = visitor.get("/reset/verify").await;
            let to = address(sort, round);
            (sort, timed(&visitor, &page, &[("reference", &own), ("address", &to)]).await)
        });
        for (sort, seen) in join_all(asks).await {
            assert!(seen.plain.contains("cannot confirm"), "{}", seen.plain);
            told.of(sort).push(seen);
        }
    }
    told.are_alike("verify");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "address, known")]
async fn a_look_up_that_is_slow_for_whoever_is_known_is_seen() {
    const ROUNDS: usize = 25;
    let house = house(ROUNDS).await;
    let database = house.database();
    execute(&database, "CREATE TABLE slow_for (address BLOB PRIMARY KEY)").await;
    execute(
        &database,
        "CREATE VIEW long_work AS WITH RECURSIVE n(at) AS
         (SELECT 1 UNION ALL SELECT at + 1 FROM n LIMIT 500000) SELECT sum(at) AS sum FROM n",
    )
    .await;
    execute(
        &database,
        "CREATE TRIGGER slow AFTER INSERT ON code_request
         WHEN NEW.address IN (SELECT address FROM slow_for) BEGIN SELECT sum FROM long_work; END",
    )
    .await;
    for round in 0..ROUNDS {
        let known: forthwith::domain::address::EmailAddress =
            address("known", round).parse().unwrap();
        let digest = address_digest(house.engine.keys.digest(), &known.canonical());
        let sql = format!("INSERT INTO slow_for VALUES (x'{}')", hex::encode(digest));
        execute(&database, &sql).await;
    }
    let served = house.portal().await;
    let mut asked = Answers::default();
    for round in 0..ROUNDS {
        for sort in shuffled(&["known", "other"]) {
            let visitor = visitor(&served, round, sort);
            let start = visitor.get("/reset").await;
            let to = address(sort, round);
            asked.of(sort).push(timed(&visitor, &start, &[("address", &to)]).await);
        }
    }
    asked.are_alike("address");
}

#[test]
fn the_bound_is_smirnov_s_and_the_distance_that_of_the_distributions() {
    let times =
        |from: u64| -> Vec<Duration> { (from..from + 50).map(Duration::from_millis).collect() };
    let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-3, "{found} {wanted}");
    near(distance(&times(0), &times(0)), 0.0);
    near(distance(&times(0), &times(10)), 0.2);
    near(distance(&times(0), &times(50)), 1.0);
    near(bound(50, 50), 0.5387);
}
