//! A portal on this machine, and a browser without scripts to visit it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use forthwith::config::WebSettings;
use forthwith::engine::portal::{Portal, PortalSettings};
use forthwith::web::{Listening, portal as pages};
use mail_parser::MessageParser;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::House;
use super::form::{self, between, code_in};

/// A portal that is served.
pub struct Served {
    pub portal: Portal,
    pub address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One page as a browser has it.
#[derive(Debug, Clone)]
pub struct Shown {
    pub status: StatusCode,
    pub path: String,
    pub html: String,
}

/// A browser with its cookies; it follows where it is sent on.
pub struct Visitor {
    client: Client,
    root: String,
}

impl House {
    /// The settings of a portal at this address.
    pub fn portal_settings(&self, address: SocketAddr) -> PortalSettings {
        PortalSettings {
            address: Some(format!("http://{address}/reset").parse().unwrap()),
            hashes_at_once: 2,
            relay: self.engine.relay.clone(),
            connections: 2,
            status_key: None,
            events: None,
            password_filter: None,
        }
    }

    /// A portal for the house's campaign.
    pub async fn portal(&self) -> Served {
        self.portal_with(|_| {}).await
    }

    pub async fn portal_with(&self, change: impl FnOnce(&mut WebSettings)) -> Served {
        self.portal_of(|_| {}, change).await
    }

    /// A portal with settings of its own.
    pub async fn portal_set(&self, change: impl FnOnce(&mut PortalSettings)) -> Served {
        self.portal_of(change, |_| {}).await
    }

    pub async fn portal_of(
        &self,
        change: impl FnOnce(&mut PortalSettings),
        change_web: impl FnOnce(&mut WebSettings),
    ) -> Served {
        let mut web = web_settings();
        change_web(&mut web);
        let listening = Listening::bind(&web).await.unwrap();
        let address = listening.address().unwrap();
        let mut settings = self.portal_settings(address);
        change(&mut settings);
        let portal = self.engine.portal(&[], settings).await.unwrap();
        Served::of(portal, listening, &web)
    }

    /// A portal that asks this filter of breached passwords.
    pub async fn portal_with_filter(&self, filter: PathBuf) -> Served {
        self.portal_set(|settings| settings.password_filter = Some(filter)).await
    }

    /// A portal that does TLS itself, at the address its notices lead to.
    pub async fn portal_at_its_own_address(&self, certificate: (PathBuf, PathBuf)) -> Served {
        let web = WebSettings { certificate: Some(certificate), ..web_settings() };
        let listening = Listening::bind(&web).await.unwrap();
        let address = listening.address().unwrap();
        let settings = PortalSettings { address: None, ..self.portal_settings(address) };
        let portal = self.engine.portal(&[], settings).await.unwrap();
        Served::of(portal, listening, &web)
    }

    /// The mails to an address, newest first: subject, then text.
    pub fn mails_to(&self, address: &str) -> Vec<String> {
        let (taken, mails) = (self.taken(), self.mails());
        let own = taken.iter().rev().filter(|(_, to, _)| to == address);
        own.filter_map(|(queue_id, ..)| {
            let mail = mails.iter().find(|mail| mail.contains(queue_id))?;
            let parsed = MessageParser::default().parse(mail.as_bytes())?;
            Some(format!("{}\n{}", parsed.subject()?, parsed.body_text(0)?))
        })
        .collect()
    }

    /// The newest code that was sent to an address.
    pub fn code_to(&self, address: &str) -> Option<String> {
        self.mails_to(address).iter().find_map(|mail| code_in(mail))
    }
}

/// The address of the shop's customer of this place, as the shop makes them.
pub fn address(place: u32) -> String {
    let domains = ["mail.example", "post.example", "inbox.example", "letters.example"];
    format!("customer{place}@{}", domains[place as usize % domains.len()])
}

/// Asks for a code and returns the page that takes it.
pub async fn ask(visitor: &Visitor, address: &str) -> Shown {
    let start = visitor.get("/reset").await;
    visitor.send(&start, &[("address", address)]).await
}

impl House {
    /// A customer proves their mailbox; the page that takes the new password.
    pub async fn prove(&self, served: &Served, visitor: &Visitor, place: u32) -> Shown {
        let address = address(place);
        let code_page = ask(visitor, &address).await;
        served.post().await;
        let code = self.code_to(&address).expect("a mail came, with a code");
        visitor.send(&code_page, &[("code", &code)]).await
    }

    /// A customer sets a new password by a code; the page they see at the end.
    pub async fn reset(&self, place: u32, password: &str) -> Shown {
        let served = self.portal().await;
        let visitor = served.visitor();
        let form = self.prove(&served, &visitor, place).await;
        visitor.send_and_wait(&form, &[("password", password)]).await
    }
}

fn web_settings() -> WebSettings {
    WebSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        certificate: None,
        connections: 200,
        anonymous_per_minute: 60_000,
        questions_per_second: 200,
    }
}

impl Served {
    fn of(portal: Portal, listening: Listening, web: &WebSettings) -> Self {
        let address = listening.address().unwrap();
        let stop = CancellationToken::new();
        let router = pages::router(portal.clone(), web);
        tokio::spawn(listening.serve(router, stop.clone()));
        Self { portal, address, stop }
    }

    pub fn visitor(&self) -> Visitor {
        self.visitor_from("198.51.100.7")
    }

    /// A visitor behind the trusted proxy.
    pub fn visitor_from(&self, client: &str) -> Visitor {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = [("x-forwarded-for", client.parse().unwrap())]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value))
            .collect();
        let client = Client::builder()
            .cookie_store(true)
            .redirect(Policy::none())
            .default_headers(headers)
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Visitor { client, root: format!("http://{}", self.address) }
    }

    /// Answers every request so far and sends the mails.
    pub async fn post(&self) {
        while self.portal.answer_requests().await.unwrap() > 0 {}
        while self.portal.send_errands().await.unwrap() > 0 {}
    }
}

impl Visitor {
    pub async fn get(&self, path: &str) -> Shown {
        let response = self.client.get(format!("{}{path}", self.root)).send().await.unwrap();
        self.follow(response).await
    }

    pub async fn raw(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.root)).send().await.unwrap()
    }

    /// The same browser at another portal: cookies know no ports.
    pub fn at(&self, served: &Served) -> Self {
        Self { client: self.client.clone(), root: format!("http://{}", served.address) }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a shown page's form, with its hidden fields and these.
    pub async fn send(&self, shown: &Shown, fields: &[(&str, &str)]) -> Shown {
        let response = self.sent(shown, fields).await;
        self.follow(response).await
    }

    /// As [`Self::send`], without following.
    pub async fn sent(&self, shown: &Shown, fields: &[(&str, &str)]) -> Response {
        let (action, proof) = form::action(&shown.html).unwrap();
        let mut form = vec![("proof", proof)];
        form.extend_from_slice(fields);
        self.client.post(format!("{}{action}", self.root)).form(&form).send().await.unwrap()
    }

    async fn follow(&self, mut response: Response) -> Shown {
        for _ in 0..5 {
            if response.status() != StatusCode::SEE_OTHER {
                break;
            }
            let place = response.headers()[LOCATION].to_str().unwrap().to_owned();
            response = self.client.get(format!("{}{place}", self.root)).send().await.unwrap();
        }
        let (status, path) = (response.status(), response.url().path().to_owned());
        Shown { status, path, html: response.text().await.unwrap() }
    }

    /// As [`Self::send`]; presses the button of the waiting page until it is over.
    pub async fn send_and_wait(&self, shown: &Shown, fields: &[(&str, &str)]) -> Shown {
        let mut shown = self.send(shown, fields).await;
        for _ in 0..60 {
            if !shown.html.contains("action=\"/reset/wait\"") {
                break;
            }
            shown = self.get("/reset/wait").await;
        }
        shown
    }
}

impl Shown {
    /// The text of the problem that the page tells.
    pub fn problem(&self) -> Option<String> {
        let part = between(&self.html, "<h2 id=\"problem-title\">", "</div>")?;
        let text = between(part, "<p>", "</p>")?;
        Some(text.rsplit_once("\">").map_or(text, |(_, text)| text).replace("</a>", ""))
    }
}
