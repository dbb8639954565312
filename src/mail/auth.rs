//! AUTH (RFC 4954): who we say we are to the relay, by PLAIN, LOGIN or XOAUTH2.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::dialogue::Dialogue;
use super::settings::text_or_none;
use super::transaction::BreakCause;
use crate::domain::reply::SmtpReply;
use crate::secret::relay::RelaySecret;
use crate::secret::secret_file::SecretFileError;

/// Logged in.
const SUCCEEDED: u16 = 235;
/// The server waits for more.
const GO_ON: u16 = 334;

/// How we log in at the relay; without a user we don't.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Which mechanism.
    pub mechanism: Mechanism,
    /// The user; empty = no log-in.
    #[serde(deserialize_with = "plain_text")]
    pub user: String,
    /// The file whose first line is the secret, read anew for every connection.
    #[serde(deserialize_with = "text_or_none")]
    pub secret_file: Option<PathBuf>,
    /// The secret from the environment; used where no file is named. Not for files.
    #[serde(skip)]
    pub secret: Option<RelaySecret>,
}

/// A user without control characters: NUL and U+0001 are separators of the mechanisms.
fn plain_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.contains(char::is_control) {
        return Err(serde::de::Error::custom("`relay.auth.user` holds a control character"));
    }
    Ok(text)
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// PLAIN where it is offered, else LOGIN.
    #[default]
    Auto,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which no RFC describes and older servers have instead.
    Login,
    /// XOAUTH2, with an access token of OAuth 2.0, as Google's and Microsoft's relays want it.
    Xoauth2,
}

impl Mechanism {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Plain => "plain",
            Self::Login => "login",
            Self::Xoauth2 => "xoauth2",
        }
    }

    /// The mechanism to use with a server that offers these; none where it lacks what is asked for.
    pub fn among(self, offered: Capabilities) -> Option<Self> {
        let all = [
            (Self::Plain, offered.auth.plain),
            (Self::Login, offered.auth.login),
            (Self::Xoauth2, offered.auth.xoauth2),
        ];
        let wanted = |mechanism| match self {
            Self::Auto => matches!(mechanism, Self::Plain | Self::Login),
            named => mechanism == named,
        };
        all.into_iter().find(|(mechanism, has)| *has && wanted(*mechanism)).map(|(found, _)| found)
    }
}

/// Why we are not logged in.
#[derive(Debug, thiserror::Error)]
pub enum AuthFault {
    /// There is no secret.
    #[error(
        "there is no secret for user `relay.auth.user`; hint: `relay.auth.secret_file`, or the \
         variable FORTHWITH_RELAY_SECRET"
    )]
    NoSecret,
    /// The secret's file cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The connection could be overheard.
    #[error(
        "it would hear our secret over a connection that is {0}; hint: relay.tls = \"starttls\" or \
         \"implicit\""
    )]
    Overheard(super::tls::Security),
    /// The server offers no mechanism we may use.
    #[error(
        "it does not offer to log in by {0}; hint: `relay.auth.mechanism`, or leave relay.auth.user empty"
    )]
    NotOffered(&'static str),
    /// The server refused.
    #[error("it refused our log-in: {0}; hint: `relay.auth.user` and its secret")]
    Refused(SmtpReply),
    /// No clean answer came.
    #[error("logging in broke: {0}; hint: `forthwith relay check` tries the relay alone")]
    Broken(#[source] BreakCause),
}

impl AuthFault {
    /// Whether trying again by itself could help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(reply) => reply.code() < 500,
            Self::Broken(cause) => !matches!(cause, BreakCause::Garbage(_)),
            _ => false,
        }
    }
}

impl AuthSettings {
    /// The secret, from its file or as it was given.
    pub(super) fn read_secret(&self) -> Result<RelaySecret, AuthFault> {
        match (&self.secret_file, &self.secret) {
            (Some(path), _) => Ok(RelaySecret::read(path)?),
            (None, Some(secret)) => Ok(secret.clone()),
            (None, None) => Err(AuthFault::NoSecret),
        }
    }
}

/// The lines of one mechanism, in the order they are said; each but the last wants a 334.
fn lines(mechanism: Mechanism, user: &str, secret: &RelaySecret) -> Vec<Zeroizing<String>> {
    let encoded = |text: Zeroizing<String>| Zeroizing::new(STANDARD.encode(text.as_bytes()));
    let secret = secret.expose();
    match mechanism {
        Mechanism::Plain | Mechanism::Auto => {
            let response = encoded(Zeroizing::new(format!("\0{user}\0{secret}")));
            vec![Zeroizing::new(format!("AUTH PLAIN {}\r\n", *response))]
        }
        Mechanism::Login => vec![
            Zeroizing::new("AUTH LOGIN\r\n".to_owned()),
            Zeroizing::new(format!("{}\r\n", STANDARD.encode(user))),
            Zeroizing::new(format!("{}\r\n", *encoded(Zeroizing::new(secret.to_owned())))),
        ],
        Mechanism::Xoauth2 => {
            let text = format!("user={user}\u{1}auth=Bearer {secret}\u{1}\u{1}");
            let response = encoded(Zeroizing::new(text));
            vec![Zeroizing::new(format!("AUTH XOAUTH2 {}\r\n", *response))]
        }
    }
}

/// Logs in.
pub(super) async fn log_in(
    dialogue: &mut Dialogue,
    mechanism: Mechanism,
    user: &str,
    secret: &RelaySecret,
    bound: Duration,
) -> Result<(), AuthFault> {
    let lines = lines(mechanism, user, secret);
    let last = lines.len() - 1;
    for (place, line) in lines.iter().enumerate() {
        let mut reply = dialogue.say(line, bound).await.map_err(AuthFault::Broken)?;
        if place == last && mechanism == Mechanism::Xoauth2 && reply.code() == GO_ON {
            // The server says why in JSON, and refuses once it has heard that we have read it.
            reply = dialogue.say("\r\n", bound).await.map_err(AuthFault::Broken)?;
        }
        match reply.code() {
            SUCCEEDED if place == last => return Ok(()),
            GO_ON if place < last => {}
            400..=599 => return Err(AuthFault::Refused(without(&reply, line, secret))),
            _ => {
                dialogue.give_up();
                let said = without(&reply, line, secret);
                return Err(AuthFault::Broken(BreakCause::Garbage(format!("unexpected {said}"))));
            }
        }
    }
    Err(AuthFault::Broken(BreakCause::Garbage("the log-in came to no end".into())))
}

/// The reply without our own words, should the server have repeated them.
fn without(reply: &SmtpReply, line: &str, secret: &RelaySecret) -> SmtpReply {
    let response = line.trim_end().rsplit(' ').next().unwrap_or_default();
    let mut text = reply.text().to_owned();
    for word in [secret.expose(), response] {
        if !word.is_empty() {
            text = text.replace(word, "***");
        }
    }
    SmtpReply::new(reply.code(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(mechanism: Mechanism) -> Vec<String> {
        let secret = RelaySecret::new("pass".into());
        lines(mechanism, "ann", &secret).iter().map(|line| line.to_string()).collect()
    }

    #[test]
    fn the_lines_are_those_of_the_mechanisms() {
        assert_eq!(said(Mechanism::Plain), ["AUTH PLAIN AGFubgBwYXNz\r\n"]);
        assert_eq!(said(Mechanism::Login), ["AUTH LOGIN\r\n", "YW5u\r\n", "cGFzcw==\r\n"]);
        let [line] = said(Mechanism::Xoauth2).try_into().unwrap();
        let response = STANDARD.decode(line["AUTH XOAUTH2 ".len()..].trim_end()).unwrap();
        assert_eq!(response, b"user=ann\x01auth=Bearer pass\x01\x01");
    }

    #[test]
    fn the_strongest_of_what_is_offered_and_asked_for_is_used() {
        let offered = |words| Capabilities::from_lines(["relay.example", words]);
        for (wanted, words, found) in [
            (Mechanism::Auto, "AUTH LOGIN PLAIN", Some(Mechanism::Plain)),
            (Mechanism::Auto, "AUTH=LOGIN", Some(Mechanism::Login)),
            (Mechanism::Auto, "AUTH XOAUTH2 CRAM-MD5", None),
            (Mechanism::Xoauth2, "AUTH PLAIN XOAUTH2", Some(Mechanism::Xoauth2)),
            (Mechanism::Login, "AUTH PLAIN", None),
            (Mechanism::Plain, "PIPELINING", None),
        ] {
            assert_eq!(wanted.among(offered(words)), found, "{wanted:?} {words}");
        }
    }

    #[test]
    fn a_reply_that_repeats_the_secret_is_not_shown_so() {
        let secret = RelaySecret::new("hunter2".into());
        let line = "AUTH PLAIN AGFubgBodW50ZXIy\r\n";
        let reply = SmtpReply::new(535, "5.7.8 no AGFubgBodW50ZXIy, not hunter2");
        let fault = AuthFault::Refused(without(&reply, line, &secret));
        let said = format!("{fault} {fault:?}");
        assert!(!said.contains("hunter2") && !said.contains("AGFub"), "{said}");
    }
}
