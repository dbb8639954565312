//! The record: who was taken, and which transactions clients left open.

use std::time::Duration;

use super::*;
use crate::secret::digest::sha256;

/// The columns of each line without its instant.
fn lines(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let columns = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .map(|line| {
            let mut columns = columns(line);
            let instant = columns.remove(1);
            assert!(instant.parse::<jiff::Timestamp>().is_ok(), "{instant}");
            columns
        })
        .collect()
}

async fn until_lines(path: &Path, count: usize) -> Vec<Vec<String>> {
    let waited = async {
        while lines(path).len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap();
    lines(path)
}

#[tokio::test]
async fn the_record_has_a_message_before_its_answer_and_its_bytes_as_received() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let settings = Settings { record: Some(path.clone()), ..loopback() };
    let sink = Sink::start(Settings { faults: faults(&["drop-after-dot:to=lost@*"]), ..settings });
    let sink = sink.await.unwrap();
    let mut client = Client::connect(&sink).await;
    client.envelope("b@example.org").await;
    client.say(BODY).await;
    assert!(client.hear().await.starts_with("250 "));
    let digest = sha256(PLAIN.as_bytes()).to_string();
    let first = ["accepted", "b@example.org", "<m1@example.net>", digest.as_str(), "0"];
    assert_eq!(lines(&path), [first]);
    client.envelope("lost@example.org").await;
    client.say(BODY).await;
    assert_eq!(client.hear().await, "", "its answer is never said");
    let lost = ["accepted", "lost@example.org", "<m1@example.net>", digest.as_str(), "0"];
    assert_eq!(lines(&path), [first, lost], "the sink closed: no client left anything open");
}

#[tokio::test]
async fn a_transaction_that_its_client_leaves_open_is_recorded_with_how_far_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let dot_delay = Duration::from_secs(10);
    let settings = Settings { record: Some(path.clone()), dot_delay, ..loopback() };
    let sink = Sink::start(settings).await.unwrap();

    let idle = Client::connect(&sink).await;
    drop(idle);
    let mut begun = Client::connect(&sink).await;
    begun.say("MAIL FROM:<a@example.net>\r\n").await;
    begun.hear().await;
    drop(begun);
    assert_eq!(until_lines(&path, 1).await[0], ["cut", "-", "mail", "-", "1"]);

    let mut halfway = Client::connect(&sink).await;
    halfway.envelope("b@example.org").await;
    halfway.say("half of it\r\n").await;
    drop(halfway);
    assert_eq!(until_lines(&path, 2).await[1], ["cut", "b@example.org", "data", "-", "2"]);

    let mut waiting = Client::connect(&sink).await;
    waiting.envelope("c@example.org").await;
    waiting.say(BODY).await;
    until_lines(&path, 3).await;
    drop(waiting);
    let all = until_lines(&path, 4).await;
    assert_eq!(all[2][..2], ["accepted", "c@example.org"], "taken before it is answered");
    assert_eq!(all[3], ["cut", "c@example.org", "reply", "-", "3"]);

    let mut finished = Client::connect(&sink).await;
    finished.say("QUIT\r\n").await;
    finished.hear().await;
    let mut kept = Client::connect(&sink).await;
    kept.envelope("d@example.org").await;
    sink.stop().await;
    assert_eq!(lines(&path).len(), 4, "a sink that stops leaves nobody to blame");
}
