//! Somebody at a browser: they come to the form, send a new password, and try again where no answer came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use super::mails::{Mail, Mails};
use crate::drill::report::Break;
use crate::drill::shop::Account;
use crate::form;

/// How long somebody waits for a code before they ask again.
const PATIENCE: Duration = Duration::from_secs(10);

/// How they prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    Link(String),
    Code,
}

/// What they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// The password is set.
    Done,
    /// Link or code opens nothing any more.
    Void,
    /// Later: another reset is under way, or a system does not answer.
    Later,
    /// Nothing: the portal died.
    Nothing,
}

/// Somebody.
pub struct Person {
    pub account: String,
    pub address: String,
    pub number: u64,
    pub way: Way,
    /// Everything they ever sent.
    pub sent: Vec<String>,
    /// Those of which they were told that it is set.
    pub told: Vec<String>,
    /// Whether they were told that their proof opens nothing.
    pub was_refused: bool,
    client: Client,
    /// Another window of the same person's, for races.
    second: Client,
    root: String,
}

fn browser(number: u64) -> Result<Client> {
    // a network of their own each, as people have
    let [.., high, low] = number.to_be_bytes();
    let from = format!("10.{high}.{low}.7");
    let headers = [(reqwest::header::HeaderName::from_static("x-forwarded-for"), from.parse()?)];
    let client = Client::builder()
        .cookie_store(true)
        .redirect(Policy::none())
        .default_headers(headers.into_iter().collect())
        .timeout(Duration::from_secs(30));
    Ok(client.build()?)
}

impl Person {
    pub fn new(account: &Account, number: u64, way: Way, port: u16) -> Result<Self> {
        Ok(Self {
            account: account.id.clone(),
            address: account.address.clone(),
            number,
            way,
            sent: Vec::new(),
            told: Vec::new(),
            was_refused: false,
            client: browser(number)?,
            second: browser(number)?,
            root: format!("http://127.0.0.1:{port}"),
        })
    }

    /// A promise to them that did not hold.
    pub fn broken(&self, promise: &'static str, text: String) -> Break {
        Break::about(promise, Some(self.number), &self.address, text)
    }

    /// Comes to the form that takes the password; `None` where a portal says that there is nothing to set,
    /// or died.
    pub async fn come(&mut self, mails: &Arc<Mutex<Mails>>) -> Result<Option<String>> {
        if self.way != Way::Code {
            return Ok(self.get(&self.client, "/reset/link").await.ok());
        }
        let came = self.prove(mails).await;
        match came {
            Err(error) if is_gone(&error) => Ok(None),
            other => other,
        }
    }

    /// To the form by a code: by the one proved before, by one that waits in the mailbox, or by a new one.
    async fn prove(&mut self, mails: &Arc<Mutex<Mails>>) -> Result<Option<String>> {
        let open = self.get(&self.client, "/reset/password").await?;
        if open.contains("name=\"password\"") {
            return Ok(Some(open));
        }
        let before = codes(mails, &self.address)?.len();
        let start = self.get(&self.client, "/reset").await?;
        let asked = self.send(&self.client, &start, &[("address", &self.address)]).await?;
        let asked = self.follow(&self.client, asked).await?.1;
        let began = Instant::now();
        let code = loop {
            if let Some(code) =
                codes(mails, &self.address)?.get(before..).and_then(<[String]>::last)
            {
                break code.clone();
            }
            if began.elapsed() > PATIENCE {
                return Ok(None);
            }
            // whether the portal lives is found out by asking it
            self.get(&self.client, "/reset").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let proved = self.send(&self.client, &asked, &[("code", &code)]).await?;
        let form = self.follow(&self.client, proved).await?.1;
        Ok(form.contains("name=\"password\"").then_some(form))
    }

    /// Sends a new password; twice at the same moment, with two passwords by two windows, where it is a race.
    pub async fn choose(&mut self, form: String, race: bool) -> Result<Said> {
        let place = self.sent.len();
        let mut words: Vec<String> = Vec::new();
        for window in ["harbour", "umbrella"].into_iter().take(if race { 2 } else { 1 }) {
            words.push(format!("{window} lantern gravel {} {place}", self.number));
        }
        self.sent.extend(words.iter().cloned());
        let second = if race {
            self.get(&self.second, "/reset/link").await.unwrap_or_default()
        } else {
            String::new()
        };
        let one = self.save(&self.client, &form, &words[0]);
        let (one, two) = if race && !second.is_empty() {
            let (one, two) = tokio::join!(one, self.save(&self.second, &second, &words[1]));
            (one?, two?)
        } else {
            (one.await?, Said::Nothing)
        };
        for (said, word) in [one, two].into_iter().zip(&words) {
            if said == Said::Done {
                self.told.push(word.clone());
            }
        }
        let said = if two == Said::Done { two } else { one };
        self.was_refused |= said == Said::Void;
        Ok(said)
    }

    async fn save(&self, client: &Client, form: &str, password: &str) -> Result<Said> {
        let token = if let Way::Link(token) = &self.way { token.as_str() } else { "" };
        let sent = self.send(client, form, &[("token", token), ("password", password)]).await;
        let (mut status, mut html, mut path) = match sent {
            Err(error) if is_gone(&error) => return Ok(Said::Nothing),
            Err(error) => return Err(error),
            Ok(response) => match self.follow(client, response).await {
                Ok((status, html, path)) => (status, html, path),
                Err(error) if is_gone(&error) => return Ok(Said::Nothing),
                Err(error) => return Err(error),
            },
        };
        let began = Instant::now();
        while html.contains("action=\"/reset/wait\"") {
            ensure!(began.elapsed() < Duration::from_mins(1), "the line does not move");
            let response = client.get(format!("{}/reset/wait", self.root)).send().await;
            let Ok(response) = response else { return Ok(Said::Nothing) };
            let Ok(next) = self.follow(client, response).await else { return Ok(Said::Nothing) };
            (status, html, path) = next;
        }
        Ok(match status {
            StatusCode::OK if path == "/reset/done" => Said::Done,
            StatusCode::GONE => Said::Void,
            StatusCode::UNPROCESSABLE_ENTITY if html.contains("id=\"address\"") => Said::Void,
            StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => Said::Later,
            // sent on to the start: the code's proof is spent
            StatusCode::OK if path == "/reset" => Said::Void,
            _ => anyhow::bail!("{} was shown {status} at {path}: {html}", self.account),
        })
    }

    async fn get(&self, client: &Client, path: &str) -> Result<String> {
        let response = client.get(format!("{}{path}", self.root)).send().await?;
        Ok(self.follow(client, response).await?.1)
    }

    async fn send(&self, client: &Client, html: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let (action, proof) = form::action(html).context("a page without a form")?;
        let mut filled = vec![("proof", proof)];
        filled.extend(fields.iter().filter(|(_, value)| !value.is_empty()));
        Ok(client.post(format!("{}{action}", self.root)).form(&filled).send().await?)
    }

    /// Goes where a response leads: its status, text and path.
    async fn follow(
        &self,
        client: &Client,
        mut response: Response,
    ) -> Result<(StatusCode, String, String)> {
        for _ in 0..5 {
            if response.status() != StatusCode::SEE_OTHER {
                break;
            }
            let place = response.headers()[LOCATION].to_str()?.to_owned();
            response = client.get(format!("{}{place}", self.root)).send().await?;
        }
        let (status, path) = (response.status(), response.url().path().to_owned());
        Ok((status, response.text().await?, path))
    }
}

/// Whether an error is that nobody answered: the portal is dead.
fn is_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(|error| !error.is_builder())
}

fn codes(mails: &Arc<Mutex<Mails>>, address: &str) -> Result<Vec<String>> {
    let mut mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
    let codes = mails.to(address)?.iter().filter_map(|mail: &Mail| mail.code.clone());
    Ok(codes.collect())
}
