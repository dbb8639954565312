//! Houses of mode `link`: their tokens, where a mail shows its own, and the search for one where none
//! may stand.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use forthwith::secret::token::PlainToken;
use mail_parser::Message;
use mail_parser::decoders::quoted_printable::quoted_printable_decode_char;
use tracing::subscriber::DefaultGuard;

use super::files_under;
use super::tampering::query;
use super::{CAMPAIGN, House, INCIDENT, Plan, campaign_file, write};

pub const PAGE: &str = "https://www.northwind.example/account/new-password";

/// A row of `reset_token` beside its delivery's generation.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Row {
    pub number: i64,
    pub generation: i64,
    pub salt: Vec<u8>,
    pub digest: Vec<u8>,
    pub expires_at: i64,
    pub revoked_at: Option<i64>,
}

/// A campaign file with further top-level keys.
pub fn link_file(more: &str) -> String {
    campaign_file(more).replace("template =", "mode = \"link\"\ntemplate =")
}

/// A house whose incident names the page that links lead to.
pub async fn furnished(plan: Plan) -> House {
    let house = House::furnished(plan).await;
    let incident =
        INCIDENT.replace("support_email", &format!("reset_url = \"{PAGE}\"\nsupport_email"));
    write(&house.path("incidents/cold-night/incident.toml"), &incident);
    house
}

/// The same, sealed and approved on both tracks.
pub async fn ready(plan: Plan) -> House {
    let house = furnished(plan).await;
    house.make_ready().await;
    house
}

pub async fn rows(house: &House) -> Vec<Row> {
    let sql = "SELECT number, generation, salt, digest, expires_at, revoked_at FROM reset_token
               ORDER BY number, generation";
    query(&house.database(), sql).await
}

pub async fn number_of(house: &House, address: &str) -> i64 {
    let found = house.engine.find(CAMPAIGN, address).await.unwrap();
    assert_eq!(found.len(), 1, "{address}");
    i64::try_from(found[0]).unwrap()
}

/// The one link of a mail, the same in both parts; none where there is none.
pub fn link_of(mail: &Message<'_>) -> Option<String> {
    let (text, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("https://")).collect();
    let hrefs: Vec<&str> = html
        .match_indices("<a href=\"")
        .map(|(at, opening)| html[at + opening.len()..].split('"').next().unwrap())
        .collect();
    assert_eq!(text.matches("fw1_").count(), lines.len(), "{text}");
    assert_eq!(html.matches("fw1_").count(), hrefs.len(), "{html}");
    assert_eq!(lines, hrefs, "text and HTML lead to the same place");
    assert!(lines.len() <= 1, "{lines:?}");
    assert!(!mail.subject().unwrap().contains("fw1_"));
    lines.first().map(|line| (*line).to_owned())
}

pub fn token_in(link: &str) -> PlainToken {
    let (page, token) = link.split_once('#').unwrap();
    assert_eq!(page, PAGE);
    PlainToken::parse(token).unwrap()
}

/// The token of a row, made anew from the key outside the database and the salt inside it.
pub async fn token_of(house: &House, row: &Row) -> PlainToken {
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().uuid;
    let (number, generation) = (u64::try_from(row.number), u32::try_from(row.generation));
    let salt = row.salt.as_slice().try_into().unwrap();
    let key = house.engine.keys.token();
    let token = PlainToken::derive(key, &campaign, number.unwrap(), generation.unwrap(), salt);
    assert!(is_digest_of(house, row, &token));
    token
}

/// Whether the row keeps this token's digest.
pub fn is_digest_of(house: &House, row: &Row, token: &PlainToken) -> bool {
    token.digest(house.engine.keys.digest()).as_bytes()[..] == row.digest[..]
}

/// What every log line of this thread says, from the most talkative level on.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Listens until the guard goes. A test with one thread hears the whole log of its engine.
    pub fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        let kept = log.clone();
        let logging = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || kept.clone());
        (log, tracing::subscriber::set_default(logging.finish()))
    }

    fn said(&self) -> Vec<u8> {
        tracing::info!("the log is kept");
        let said = self.0.lock().unwrap().clone();
        assert!(String::from_utf8_lossy(&said).contains("the log is kept"));
        said
    }
}

/// Something written: where it stands, and its bytes.
pub type Paper = (String, Vec<u8>);

/// Every file, ledger entry, story and log line of a house.
pub async fn papers(house: &House, log: &Log) -> Vec<Paper> {
    let mut papers = Vec::new();
    for folder in ["data", "journal", "state", "rejects"] {
        for file in files_under(&house.path(folder)) {
            papers.push((file.display().to_string(), std::fs::read(&file).unwrap()));
        }
    }
    for part in ["forthwith.db", "forthwith.db-wal", "/journal/", "/state/"] {
        assert!(papers.iter().any(|(name, _)| name.contains(part)), "{part}");
    }
    for (batch, line) in house.engine.store.ledger_lines(0, 100_000).await.unwrap() {
        papers.push((format!("ledger batch {batch}"), line.into_bytes()));
    }
    for row in rows(house).await {
        let number = u64::try_from(row.number).unwrap();
        let story = house.engine.story(CAMPAIGN, number).await.unwrap();
        let text = serde_json::to_string(&story).unwrap();
        assert!(
            !text.contains(&hex::encode(&row.digest)) && !text.contains(&hex::encode(&row.salt))
        );
        papers.push((format!("story of {number}"), text.into_bytes()));
    }
    papers.push(("the log".into(), log.said()));
    papers
}

/// No paper holds a token, or the piece of one that is all a thief would need; as it is written, or
/// read as quoted-printable.
pub fn none_holds(papers: &[Paper], tokens: &BTreeSet<String>) {
    let mut searched = 0;
    for (name, paper) in papers {
        let (found, runs) = among(paper, tokens);
        searched += runs;
        assert!(found.is_empty(), "{name} holds a token");
    }
    assert!(searched > 100, "{searched} runs: the search is broken");
}

/// Those of the tokens that the same search finds in mails.
pub fn found_in(mails: &[impl AsRef<[u8]>], tokens: &BTreeSet<String>) -> BTreeSet<String> {
    mails.iter().flat_map(|mail| among(mail.as_ref(), tokens).0).cloned().collect()
}

/// The tokens that stand in some bytes, and how many runs of characters were long enough for one.
fn among<'t>(bytes: &[u8], tokens: &'t BTreeSet<String>) -> (Vec<&'t String>, usize) {
    // only a run of characters that a token is made of can hold one
    let is_of_a_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let (mut found, mut searched) = (Vec::new(), 0);
    for form in [bytes, &unquoted(bytes)] {
        let runs = form.split(|byte| !is_of_a_token(byte)).filter(|run| run.len() >= 43);
        for run in runs.map(|run| std::str::from_utf8(run).unwrap()) {
            searched += 1;
            // the part after prefix and key id
            found.extend(tokens.iter().filter(|token| run.contains(&token[6..])));
        }
    }
    (found, searched)
}

/// Bytes read as quoted-printable, whatever they are: what is no escape stays as it stands, because a
/// whole mail has headers and boundaries too.
fn unquoted(bytes: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match (byte, after) {
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => Some((None, after)),
            (b'=', [high, low, after @ ..]) => {
                quoted_printable_decode_char(*high, *low).map(|byte| (Some(byte), after))
            }
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((Some(byte), after));
        plain.extend(byte);
        rest = after;
    }
    plain
}
