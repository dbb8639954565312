//! New passwords by links, as many as the cores can hash, and what a page takes meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use forthwith::secret::password::{Params, Password, PasswordForm, keep_memory};
use mail_parser::MessageParser;
use reqwest::header::{HeaderName, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::form;
use crate::harness::link::link_of;
use crate::pages::Served;
use crate::table::Table;

/// People who set a password.
const PEOPLE: usize = 1_000;
/// Of them at the same time.
const AT_ONCE: usize = 64;
/// The rest between two looks at a page.
const LOOK: Duration = Duration::from_millis(10);

/// Hashes a second on all cores, with nothing else to do.
pub fn hash_alone() -> f64 {
    let cores = std::thread::available_parallelism().unwrap().get();
    let (began, time) = (Instant::now(), Duration::from_secs(10));
    let hash = || {
        keep_memory();
        let mut made = 0_u32;
        while began.elapsed() < time {
            let password = Password::new("harbour lantern gravel".into());
            PasswordForm::Argon2id.hash(&password, Params::default(), &mut rand::rng()).unwrap();
            made += 1;
        }
        made
    };
    let made: u32 = std::thread::scope(|scope| {
        let all: Vec<_> = (0..cores).map(|_| scope.spawn(hash)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    f64::from(made) / began.elapsed().as_secs_f64()
}

/// Somebody who has the form before them.
struct Ready {
    client: Client,
    html: String,
    token: String,
}

/// Everybody sends their password; one more looks at the first page meanwhile.
pub async fn measure(served: &Served, alone: f64, table: &mut Table) {
    let people = everybody(served).await;
    let count = people.len();
    let is_over = Arc::new(AtomicBool::new(false));
    let looking = tokio::spawn(look(served.root.clone(), Arc::clone(&is_over)));
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let began = Instant::now();
    let mut sending = JoinSet::new();
    for person in people {
        let (turns, root) = (Arc::clone(&turns), served.root.clone());
        sending.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            person.save(&root).await;
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    let mut looks = looking.await.unwrap();
    looks.sort();
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let rate = count as f64 / took;
    let share = rate / alone;
    table.goal(
        &format!("redeems by link, {count} people, {AT_ONCE} at once, SQLite directory"),
        &format!("{rate:.1}/s, {:.0} % of Argon2id alone", share * 100.0),
        "≥ 85 %",
        share >= 0.85,
    );
    let slow = looks[looks.len() * 99 / 100];
    let (middle, worst) = (looks[looks.len() / 2], looks[looks.len() - 1]);
    table.goal(
        &format!("GET of the first page meanwhile, {} of them", looks.len()),
        &format!("p50 {middle:.1?}, p99 {slow:.1?}, slowest {worst:.1?}"),
        "p99 < 50 ms",
        slow < Duration::from_millis(50),
    );
}

/// Everybody who got a link, at the form.
async fn everybody(served: &Served) -> Vec<Ready> {
    let mails = served.house.mails();
    let links = mails.iter().filter_map(|mail| {
        let parsed = MessageParser::default().parse(mail.as_bytes())?;
        link_of(&parsed)
    });
    let mut people = Vec::new();
    for (place, link) in links.take(PEOPLE).enumerate() {
        let client = browser(place);
        let page = client.get(format!("{}/reset/link", served.root)).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        people.push(Ready { client, html: page.text().await.unwrap(), token: link });
    }
    people
}

/// A browser in a network of its own, as people have.
pub fn browser(place: usize) -> Client {
    let from = format!("10.{}.{}.7", place / 256, place % 256);
    let headers = [(HeaderName::from_static("x-forwarded-for"), from.parse().unwrap())];
    Client::builder()
        .cookie_store(true)
        .redirect(Policy::none())
        .default_headers(headers.into_iter().collect())
        .pool_max_idle_per_host(1)
        .build()
        .unwrap()
}

impl Ready {
    async fn save(self, root: &str) {
        let (action, proof) = form::action(&self.html).unwrap();
        let fields =
            [("proof", proof), ("token", &self.token), ("password", "harbour lantern gravel")];
        let request = self.client.post(format!("{root}{action}")).form(&fields);
        let mut response = request.send().await.unwrap();
        loop {
            let status = response.status();
            if status == StatusCode::SEE_OTHER {
                let place = response.headers()[LOCATION].to_str().unwrap();
                assert_eq!(place, "/reset/done");
                return;
            }
            let html = response.text().await.unwrap();
            assert!(html.contains("action=\"/reset/wait\""), "{status}: {html}");
            response = self.client.get(format!("{root}/reset/wait")).send().await.unwrap();
        }
    }
}

/// How long the first page takes, again and again.
async fn look(root: String, is_over: Arc<AtomicBool>) -> Vec<Duration> {
    let client = Client::new();
    let mut looks = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let page = client.get(format!("{root}/reset")).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        page.bytes().await.unwrap();
        looks.push(began.elapsed());
        tokio::time::sleep(LOOK).await;
    }
    looks
}
