//! Mail scanners open every link of every mail, often twice. None of that may cost anybody their link.

use std::collections::BTreeSet;

use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;
use futures_util::{StreamExt as _, stream};
use mail_parser::MessageParser;
use reqwest::{Method, Request};

use super::NEW;
use crate::harness::link::{PAGE, link_file, link_of, ready};
use crate::harness::tampering::query;
use crate::harness::{House, Plan};

/// Mails that are scanned.
const MAILS: usize = 1_000;

/// Every address in both parts of a mail.
fn links(mail: &str) -> BTreeSet<String> {
    let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
    let parts = [parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap()];
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | ')');
    let mut found = BTreeSet::new();
    for part in &parts {
        for (at, _) in part.match_indices("https://") {
            found.insert(part[at..].split(ends).next().unwrap().to_owned());
        }
    }
    found
}

/// What a scanner asks for: the address as browsers send it, and, as careless ones do, with what stands behind
/// the `#` in the query or the path.
fn visits(root: &str, link: &str) -> Vec<Request> {
    let place = link.replace(PAGE, &format!("{root}/reset"));
    let (page, token) = place.split_once('#').unwrap_or((&place, ""));
    let urls = [page.to_owned(), format!("{page}?{token}"), format!("{page}/link?token={token}")];
    let request =
        |method: &Method, url: &String| Request::new(method.clone(), url.parse().unwrap());
    let methods = [Method::GET, Method::HEAD];
    methods.iter().flat_map(|method| urls.iter().map(move |url| request(method, url))).collect()
}

async fn tokens(house: &House) -> (i64, i64) {
    let sql = "SELECT COUNT(*), COUNT(consumed_at) + COUNT(revoked_at) FROM reset_token";
    query::<(i64, i64)>(&house.database(), sql).await[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_link_of_a_thousand_mails_opened_twice_spends_no_token() {
    let plan = Plan { customers: 1_100, campaign: link_file(""), ..Plan::default() };
    let house = ready(plan).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    let served = house.portal().await;
    let root = format!("http://{}", served.address);
    let mails: Vec<String> = house.mails().into_iter().take(MAILS).collect();
    assert_eq!(mails.len(), MAILS);
    let (issued, spent) = tokens(&house).await;
    assert!(issued >= 1_000 && spent == 0, "{issued}, {spent}");
    let own: Vec<String> =
        mails.iter().flat_map(|mail| links(mail)).filter(|link| link.starts_with(PAGE)).collect();
    assert!(own.len() > MAILS * 9 / 10, "{} links of ours", own.len());

    let scanner = served.visitor();
    let twice = own.iter().chain(&own).flat_map(|link| visits(&root, link));
    let answers = stream::iter(twice)
        .map(|request| async { scanner.client().execute(request).await.unwrap().status() })
        .buffer_unordered(8);
    let refused = answers.filter(|status| std::future::ready(status.is_server_error())).count();
    assert_eq!(refused.await, 0);

    assert_eq!(tokens(&house).await, (issued, 0), "nothing is spent and nothing taken back");
    let traces = "SELECT (SELECT COUNT(*) FROM reset) + (SELECT COUNT(*) FROM code_request)";
    assert_eq!(query::<(i64,)>(&house.database(), traces).await[0].0, 0);
    let parsed = mails
        .iter()
        .find_map(|mail| link_of(&MessageParser::default().parse(mail.as_bytes()).unwrap()));
    let visitor = served.visitor();
    let form = visitor.get("/reset/link").await;
    let fields = [("token", parsed.as_deref().unwrap()), ("password", NEW)];
    let done = visitor.send_and_wait(&form, &fields).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}
