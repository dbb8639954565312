//! The same replies over the wire: the sink says each to one person, and a worker's whole way from the
//! socket to the database ends where the reading says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use forthwith::domain::reply::{Phase, SmtpReply};
use forthwith::domain::track::Track;
use forthwith::engine::Engine;
use forthwith::engine::operators::Signer;
use forthwith::engine::progress::Silent;
use forthwith::engine::report::Story;
use forthwith::sink::{ReplyScript, Settings, Sink};
use tokio_util::sync::CancellationToken;

use super::texts::{REPLIES, Told};
use crate::harness::{ANN, BOB, House, INCIDENT, Plan, campaign_file, person, write};

/// How long one campaign may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// A campaign pauses itself at the third reply that shows a fault of ours with nobody told in between.
const PAUSING: usize = 3;
/// So many are told after each such reply in lane `other`: one, and one in reserve, because whoever finds
/// a closed connection comes last.
const WELL: usize = 2;

/// A text with the person who hears it, who is alone at their domain.
#[derive(Clone, Copy)]
struct Cue {
    place: usize,
    told: &'static Told,
}

impl Cue {
    /// The texts that a recipient hears; those of a connection and of MAIL, where nobody is named yet,
    /// stay with the reading.
    fn all() -> impl Iterator<Item = Self> {
        let is_heard = |told: &Told| matches!(told.phase, "rcpt" | "data" | "dot");
        let cues = REPLIES.iter().enumerate().map(|(place, told)| Self { place, told });
        cues.filter(move |cue| is_heard(cue.told))
    }

    fn domain(self) -> String {
        format!("text{}.example", self.place)
    }

    fn address(self) -> String {
        format!("ann@{}", self.domain())
    }

    /// The line of the sink's script.
    fn line(self) -> String {
        let reply = self.told.reply.replace("\r\n", "\\n");
        format!("{}\t{}\t{reply}\n", self.address(), self.told.phase)
    }

    fn pauses(self) -> bool {
        self.told.does.contains("the campaign pauses")
    }

    fn is_of_lane_other(self) -> bool {
        self.told.provider == "other"
    }

    /// Whether others of its provider wait from the first time on: its rule touches the lane at once, or
    /// it is a 5yz of our making. Of lane `other` only its own domain rests.
    fn stops_its_lane(self) -> bool {
        let is_of_a_mailbox = matches!(
            self.told.class,
            "address-dead" | "mailbox-full" | "mailbox-off" | "mailbox-busy"
        );
        let is_refusal = self.told.reply.starts_with('5') && !is_of_a_mailbox;
        let does = self.told.does;
        let is_at_once = !does.starts_with("after") && !does.starts_with("the person");
        !self.is_of_lane_other() && (is_refusal || !does.is_empty() && is_at_once)
    }

    /// Those who are told after it, in its lane, so that it is no fault of ours for everybody.
    fn well(self) -> Vec<String> {
        let is_wanted = self.pauses() && self.is_of_lane_other();
        let well = |n: usize| format!("bob@well{n}-{}.example", self.place);
        (0..if is_wanted { WELL } else { 0 }).map(well).collect()
    }

    /// Whether it and those of a campaign leave each other alone.
    fn fits(self, campaign: &[Self]) -> bool {
        let mut neighbours = campaign.iter().filter(|cue| cue.told.provider == self.told.provider);
        let is_shared = neighbours.any(|cue| cue.stops_its_lane() || self.stops_its_lane());
        let pausing = campaign.iter().chain([&self]).filter(|cue| cue.pauses());
        let (other, named): (Vec<&Self>, Vec<&Self>) =
            pausing.partition(|cue| cue.is_of_lane_other());
        !is_shared && other.len().min(1) + named.len() < PAUSING
    }
}

/// A few campaigns, in which no reply keeps another from being said.
fn campaigns() -> Vec<Vec<Cue>> {
    let mut campaigns: Vec<Vec<Cue>> = Vec::new();
    for cue in Cue::all() {
        match campaigns.iter_mut().find(|campaign| cue.fits(campaign)) {
            Some(campaign) => campaign.push(cue),
            None => campaigns.push(vec![cue]),
        }
    }
    campaigns
}

/// The provider table in which each text's domain belongs to the text's provider.
fn providers() -> String {
    let mut domains: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for cue in Cue::all().filter(|cue| !cue.is_of_lane_other()) {
        domains.entry(cue.told.provider).or_default().push(cue.domain());
    }
    domains.into_iter().fold("[provider.other]\n".to_owned(), |table, (provider, domains)| {
        table + &format!("[provider.{provider}]\ndomains = {domains:?}\n")
    })
}

/// A house without credentials to expire, whose relay says every text to its person.
async fn stage() -> (House, Sink) {
    let mut house = House::furnished(Plan { customers: 1, ..Plan::default() }).await;
    let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
    write(&house.engine.workspace.incident_file("cold-night").0, &incident);
    let script: String = Cue::all().map(Cue::line).collect();
    let sink = Sink::start(Settings {
        replies: ReplyScript::parse(&script).unwrap(),
        ..Settings::counting("127.0.0.1:0".parse().unwrap())
    });
    let sink = sink.await.unwrap();
    house.engine.relay.port = sink.addr().port();
    // One connection, so that a lane's replies come in the order of its list.
    house.engine.relay.connections = 1;
    house.engine.providers = Arc::new(toml::from_str(&providers()).unwrap());
    (house, sink)
}

/// Sends a campaign to these people until each was tried once.
async fn play(house: &House, signers: &[Signer], name: &str, cues: &[Cue]) {
    let engine = &house.engine;
    let list = format!("{name}.csv");
    let file = campaign_file("")
        .replace("affected.csv", &list)
        .replace("schedule = [\"1s\"]", "schedule = [\"1h\"]")
        .replace("max_age = \"1h\"", "max_age = \"5d\"")
        .replace("[notice]\n", "[notice]\nmode = \"none\"\n");
    write(&engine.workspace.campaign_file(name).0, &file);
    let people = cues.iter().flat_map(|cue| [vec![cue.address()], cue.well()].concat());
    let rows = people.fold(String::new(), |rows, one| rows + &format!("{one},Ann,{one}\n"));
    write(&house.path(&list), &format!("customer_id,name,email\n{rows}"));
    engine.seal(name, &Silent).await.unwrap();
    engine.plan(name, Track::Notice, false).await.unwrap();
    for signer in signers {
        engine.approve(name, Track::Notice, signer).await.unwrap();
    }
    let stop = CancellationToken::new();
    let (running, soft, of) = (engine.clone(), stop.clone(), name.to_owned());
    let run = tokio::spawn(async move { running.run(&of, &Silent, &soft).await });
    let tried = tokio::time::timeout(PATIENCE, async {
        let is_open = async || {
            let now = engine.status(name).await.unwrap().deliveries;
            now.queued + now.in_flight > 0
        };
        while !run.is_finished() && is_open().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if tried.await.is_err() {
        let status = engine.status(name).await.unwrap();
        panic!("{name}: not everybody was tried: {:?} {status:?}", texts(cues));
    }
    stop.cancel();
    if let Err(error) = run.await.unwrap() {
        panic!("{name}: {error}: {:?}", texts(cues));
    }
}

fn texts(cues: &[Cue]) -> Vec<(&str, &str)> {
    cues.iter().map(|cue| (cue.told.provider, cue.told.reply)).collect()
}

/// What is wrong with where a person stands, if anything is.
fn judge(engine: &Engine, cue: Cue, story: &Story) -> Option<String> {
    let reply = SmtpReply::parse(cue.told.reply).unwrap();
    let phase = Phase::parse(cue.told.phase).unwrap();
    let reading = engine.replies.read(phase, cue.told.provider, &reply);
    // One that found the connection closed is none.
    let began = story.attempts.iter().filter(|attempt| attempt.result != Some("not-started"));
    let [attempt] = began.collect::<Vec<_>>()[..] else {
        return Some(format!("{}: {} attempts", cue.told.reply, story.attempts.len()));
    };
    let is_dead = cue.told.class == "address-dead";
    let end = if is_dead { ("fallback", "bounced") } else { ("deferred", "") };
    let found = (story.delivery.class, story.delivery.reason.as_str());
    let heard = (attempt.class, attempt.result, attempt.code, attempt.phase.as_str());
    let result = reading.class.result(reply.code()).word();
    let read = (Some(cue.told.class), Some(result), Some(reply.code()), cue.told.phase);
    let status = reply.enhanced().map(|status| status.to_string());
    let is_read_alike = reading.class.word() == cue.told.class && attempt.enhanced == status;
    let is_right = found == end && heard == read && is_read_alike;
    (!is_right)
        .then(|| format!("{}: {found:?}, {heard:?}; wanted {end:?}, {read:?}", cue.told.reply))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures are what the test is asked for")]
async fn over_the_wire_only_a_true_unknown_user_is_dead_too() {
    let (house, sink) = stage().await;
    let engine = &house.engine;
    let mut signers = Vec::new();
    for who in [ANN, BOB] {
        signers.push(engine.signer(person(who)).await.unwrap());
    }
    let (mut wrong, mut dead, mut told) = (Vec::new(), 0, 0);
    let (campaigns, mut heard) = (campaigns(), BTreeSet::new());
    for (turn, cues) in campaigns.iter().enumerate() {
        let name = format!("replay{turn}");
        play(&house, &signers, &name, cues).await;
        let status = engine.status(&name).await.unwrap();
        let well: usize = cues.iter().map(|cue| cue.well().len()).sum();
        assert_eq!((status.pause_cause, status.deliveries.told), (None, well as u64), "{status:?}");
        told += well as u64;
        for cue in cues {
            let [number] = engine.find(&name, &cue.address()).await.unwrap()[..] else {
                panic!("{} is not one person", cue.address())
            };
            let story = engine.story(&name, number).await.unwrap();
            wrong.extend(judge(engine, *cue, &story));
            dead += usize::from(story.delivery.class == "fallback");
            assert!(heard.insert(cue.place), "{} stands twice", cue.address());
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), heard.len(), wrong.join("\n"));
    let is_dead = |cue: &Cue| cue.told.class == "address-dead";
    assert_eq!(dead, Cue::all().filter(is_dead).count());
    assert_eq!((heard.len(), sink.counts().accepted), (Cue::all().count(), told));
    println!("{} replies in {} campaigns, {told} told, {dead} dead", heard.len(), campaigns.len());
}
