//! Lists that come in pages: where the next begins stands in the `Link` header (RFC 8288).

use reqwest::Client;
use reqwest::header::LINK;
use serde::de::DeserializeOwned;
use url::Url;

use super::TABLE;
use super::server::{Ask, Server, read};
use crate::directory::rest::{Answered, RestFault};

/// The most pages of one list.
const MOST_PAGES: usize = 1_000;

/// What names a page, by newer servers and by older ones.
const OF_PAGES: [&str; 4] = ["page_token", "page_size", "page", "per_page"];

impl Server {
    /// A list to its end; empty where there is none (404).
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        client: &Client,
        mut ask: Ask<'_>,
    ) -> Result<Vec<T>, RestFault> {
        let mut all = Vec::new();
        let mut last = None;
        for _ in 0..MOST_PAGES {
            let answer = self.ask(client, &ask).await?;
            match answer.status {
                200 => all.extend(read::<Vec<T>>(ask.doing, &answer)?),
                404 => return Ok(all),
                status => {
                    return Err(RestFault::Status { table: TABLE, doing: ask.doing, status });
                }
            }
            let Some(next) = next_page(&self.admin, &answer) else { return Ok(all) };
            if last.as_ref() == Some(&next) {
                break;
            }
            ask.query.retain(|(name, _)| !OF_PAGES.contains(name));
            ask.query.extend(next.iter().map(|(name, value)| (*name, value.clone())));
            last = Some(next);
        }
        Err(RestFault::Unreadable { table: TABLE, doing: ask.doing })
    }
}

/// What the next page is named by; its place is ours to know, whatever host stands in the header.
fn next_page(base: &Url, answer: &Answered) -> Option<Vec<(&'static str, String)>> {
    let links = answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let next = links.flat_map(|value| value.split(',')).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|one| {
            one.trim().strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"') == "next")
        });
        is_next.then(|| base.join(target).ok()).flatten()
    })?;
    let named = next.query_pairs().filter_map(|(name, value)| {
        let name = OF_PAGES.into_iter().find(|known| *known == name)?;
        Some((name, value.into_owned()))
    });
    Some(named.collect())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn the_next_page_is_the_one_that_is_called_so() {
        let next = |text: &str| {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_str(text).unwrap())]);
            let body = zeroize::Zeroizing::default();
            let base = Url::parse("http://127.0.0.1:4434/admin").unwrap();
            next_page(&base, &Answered { status: 200, headers, body })
        };
        let of = |name, value: &str| Some(vec![(name, value.to_owned())]);
        assert_eq!(
            next(
                "</x?page_token=a>; rel=\"first\",<https://other.example/x?page_token=b&z=1>; rel=\"next\""
            ),
            of("page_token", "b")
        );
        assert_eq!(next("</x?page=3>;rel=next"), of("page", "3"));
        assert_eq!(next("</x?page=3>; rel=\"last\""), None);
        assert_eq!(next("nonsense"), None);
    }
}
