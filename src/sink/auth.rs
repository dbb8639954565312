//! AUTH (RFC 4954): PLAIN, LOGIN and XOAUTH2 with one user and one secret. Octets in, a turn out;
//! knows no connection.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::secret::digest::equal_in_constant_time;
use crate::secret::password::Password;

/// What the server of an XOAUTH2 exchange says in JSON when the token is not taken.
const XOAUTH2_ERROR: &[u8] = br#"{"status":"401","schemes":"bearer","scope":"smtp"}"#;

/// The one secret of a sink: a password, or a bearer token for XOAUTH2. Debug hides it.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Arc<Password>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Arc::new(Password::new(text)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

/// Who may send, and how it is shown. Debug hides both: a user's name is often an address.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// The user's name.
    pub user: String,
    /// The password or token.
    pub secret: Secret,
    /// Offered, and taken, only under TLS.
    #[serde(default)]
    pub only_under_tls: bool,
    /// MAIL is refused before AUTH.
    #[serde(default)]
    pub required: bool,
    /// The mechanisms offered, in this order.
    #[serde(default = "all_mechanisms")]
    pub mechanisms: Vec<Mechanism>,
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one user by {}", self.keywords())
    }
}

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The undocumented one with two questions.
    Login,
    /// A bearer token, as Google and Microsoft have it.
    Xoauth2,
}

fn all_mechanisms() -> Vec<Mechanism> {
    vec![Mechanism::Plain, Mechanism::Login, Mechanism::Xoauth2]
}

/// Where an exchange stands, when the client's next line is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    Plain,
    LoginUser,
    LoginSecret {
        user_fits: bool,
    },
    Xoauth2,
    /// The client is to answer the challenge of a refused XOAUTH2, before it hears the code.
    Xoauth2Refused,
}

/// What the server does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Asks this and awaits a line.
    Ask(Exchange, String),
    /// User and secret are right.
    Pass(Mechanism),
    /// They are not.
    Fail,
    /// The client gave up.
    Cancelled,
    /// The line is no base64.
    Malformed,
}

impl AuthSettings {
    /// One user, every mechanism, offered in clear and not required.
    pub fn new(user: &str, secret: String) -> Self {
        Self {
            user: user.to_owned(),
            secret: secret.into(),
            only_under_tls: false,
            required: false,
            mechanisms: all_mechanisms(),
        }
    }

    /// The mechanisms as EHLO lists them.
    pub(super) fn keywords(&self) -> String {
        let keyword = |mechanism: &Mechanism| match mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::Xoauth2 => "XOAUTH2",
        };
        self.mechanisms.iter().map(keyword).collect::<Vec<_>>().join(" ")
    }

    /// The turn after AUTH; `initial` is its initial response, empty for none, `=` for an empty one.
    pub(super) fn begin(&self, mechanism: Mechanism, initial: &str) -> Turn {
        let exchange = match mechanism {
            Mechanism::Plain => Exchange::Plain,
            Mechanism::Login => Exchange::LoginUser,
            Mechanism::Xoauth2 => Exchange::Xoauth2,
        };
        match (initial, exchange) {
            ("", Exchange::LoginUser) => Turn::Ask(exchange, question("Username:")),
            ("", _) => Turn::Ask(exchange, "334 ".to_owned()),
            ("=", _) => self.go_on(exchange, b""),
            _ => self.go_on(exchange, initial.as_bytes()),
        }
    }

    /// The turn after a further line, without its line end.
    pub(super) fn go_on(&self, exchange: Exchange, line: &[u8]) -> Turn {
        if exchange == Exchange::Xoauth2Refused {
            return Turn::Fail;
        }
        if line == b"*" {
            return Turn::Cancelled;
        }
        let Ok(answer) = STANDARD.decode(line) else {
            return Turn::Malformed;
        };
        match exchange {
            Exchange::Plain => verdict(self.plain_fits(&answer), Mechanism::Plain),
            Exchange::LoginUser => {
                let user_fits = equal_in_constant_time(&answer, self.user.as_bytes());
                Turn::Ask(Exchange::LoginSecret { user_fits }, question("Password:"))
            }
            Exchange::LoginSecret { user_fits } => {
                verdict(self.secret_fits(&answer) && user_fits, Mechanism::Login)
            }
            Exchange::Xoauth2 if self.token_fits(&answer) => Turn::Pass(Mechanism::Xoauth2),
            Exchange::Xoauth2 | Exchange::Xoauth2Refused => refuse_token(),
        }
    }

    /// `authzid NUL authcid NUL secret`; the first may be empty or the user itself.
    fn plain_fits(&self, answer: &[u8]) -> bool {
        let parts: Vec<&[u8]> = answer.split(|octet| *octet == 0).collect();
        let [acts_as, user, secret] = parts[..] else {
            return false;
        };
        let own = self.user.as_bytes();
        (acts_as.is_empty() || acts_as == own) && user == own && self.secret_fits(secret)
    }

    /// `user=NAME ^A auth=Bearer TOKEN ^A ^A`, without the spaces around the ^A.
    fn token_fits(&self, answer: &[u8]) -> bool {
        let parts: Vec<&[u8]> = answer.split(|octet| *octet == 1).collect();
        let [user, auth, b"", b""] = parts[..] else {
            return false;
        };
        let token = auth.strip_prefix(b"auth=").filter(|rest| rest.len() > 7).map(|rest| {
            let (scheme, token) = rest.split_at(7);
            scheme.eq_ignore_ascii_case(b"bearer ") && self.secret_fits(token)
        });
        user.strip_prefix(b"user=") == Some(self.user.as_bytes()) && token == Some(true)
    }

    fn secret_fits(&self, secret: &[u8]) -> bool {
        equal_in_constant_time(secret, self.secret.0.expose().as_bytes())
    }
}

/// The challenge in which a refused XOAUTH2 client learns why.
pub(super) fn refuse_token() -> Turn {
    Turn::Ask(Exchange::Xoauth2Refused, format!("334 {}", STANDARD.encode(XOAUTH2_ERROR)))
}

fn question(text: &str) -> String {
    format!("334 {}", STANDARD.encode(text))
}

fn verdict(fits: bool, mechanism: Mechanism) -> Turn {
    if fits { Turn::Pass(mechanism) } else { Turn::Fail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> AuthSettings {
        AuthSettings::new("ann", "s3cret".to_owned())
    }

    fn coded(text: &str) -> String {
        STANDARD.encode(text)
    }

    #[test]
    fn plain_takes_the_right_secret_at_once_or_when_asked() {
        let auth = auth();
        for (text, turn) in [
            ("\0ann\0s3cret", Turn::Pass(Mechanism::Plain)),
            ("ann\0ann\0s3cret", Turn::Pass(Mechanism::Plain)),
            ("bob\0ann\0s3cret", Turn::Fail),
            ("\0ann\0wrong", Turn::Fail),
            ("\0bob\0s3cret", Turn::Fail),
            ("ann\0s3cret", Turn::Fail),
            ("", Turn::Fail),
        ] {
            assert_eq!(auth.go_on(Exchange::Plain, coded(text).as_bytes()), turn, "{text:?}");
        }
        assert_eq!(auth.begin(Mechanism::Plain, ""), Turn::Ask(Exchange::Plain, "334 ".into()));
        assert_eq!(auth.begin(Mechanism::Plain, "="), Turn::Fail);
        assert_eq!(auth.begin(Mechanism::Plain, "a b"), Turn::Malformed);
        assert_eq!(auth.go_on(Exchange::Plain, b"*"), Turn::Cancelled);
    }

    #[test]
    fn login_asks_twice_and_tells_nothing_after_the_first() {
        let auth = auth();
        let asked = Turn::Ask(Exchange::LoginUser, "334 VXNlcm5hbWU6".into());
        assert_eq!(auth.begin(Mechanism::Login, ""), asked);
        for (user, secret, turn) in [
            ("ann", "s3cret", Turn::Pass(Mechanism::Login)),
            ("ann", "wrong", Turn::Fail),
            ("bob", "s3cret", Turn::Fail),
        ] {
            let Turn::Ask(next, question) = auth.begin(Mechanism::Login, &coded(user)) else {
                panic!("{user}");
            };
            assert_eq!(question, "334 UGFzc3dvcmQ6");
            assert_eq!(auth.go_on(next, coded(secret).as_bytes()), turn);
        }
    }

    #[test]
    fn a_refused_token_is_explained_before_the_code() {
        let auth = auth();
        let token = |text: &str| auth.begin(Mechanism::Xoauth2, &coded(text));
        assert_eq!(token("user=ann\x01auth=Bearer s3cret\x01\x01"), Turn::Pass(Mechanism::Xoauth2));
        for text in [
            "user=ann\x01auth=Bearer old\x01\x01",
            "user=bob\x01auth=Bearer s3cret\x01\x01",
            "user=ann\x01auth=Basic s3cret\x01\x01",
            "user=ann\x01auth=Bearer s3cret",
            "\0ann\0s3cret",
        ] {
            let Turn::Ask(next, challenge) = token(text) else { panic!("{text:?}") };
            assert_eq!(next, Exchange::Xoauth2Refused);
            let json = STANDARD.decode(challenge.strip_prefix("334 ").unwrap()).unwrap();
            assert!(json.starts_with(b"{\"status\":\"401\""));
            assert_eq!(auth.go_on(next, b""), Turn::Fail);
        }
    }

    #[test]
    fn debug_hides_user_and_secret() {
        let shown = format!("{:?} {:?}", auth(), auth().secret);
        assert!(!shown.contains("s3cret") && !shown.contains("ann"), "{shown}");
    }
}
