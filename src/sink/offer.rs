//! What EHLO offers, and in which form. Knows extensions, no connections.

use std::fmt::Write as _;
use std::str::FromStr;

use serde::Deserialize;

use super::auth::AuthSettings;
use super::reply::SIZE_LIMIT;
use super::setting::SettingError;
use super::tls::TlsMode;

/// An extension that EHLO can offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Extension {
    /// PIPELINING (RFC 2920).
    Pipelining,
    /// SIZE (RFC 1870).
    Size,
    /// 8BITMIME (RFC 6152).
    EightBitMime,
    /// SMTPUTF8 (RFC 6531).
    SmtpUtf8,
    /// DSN (RFC 3461).
    Dsn,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    EnhancedStatusCodes,
    /// STARTTLS (RFC 3207); needs [`TlsMode::Starttls`].
    StartTls,
    /// AUTH (RFC 4954); needs a user.
    Auth,
}

impl Extension {
    const ALL: [Self; 8] = [
        Self::Pipelining,
        Self::Size,
        Self::EightBitMime,
        Self::SmtpUtf8,
        Self::Dsn,
        Self::EnhancedStatusCodes,
        Self::StartTls,
        Self::Auth,
    ];

    /// Its keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::Size => "SIZE",
            Self::EightBitMime => "8BITMIME",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Dsn => "DSN",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
        }
    }
}

impl FromStr for Extension {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|known| known.keyword().eq_ignore_ascii_case(text));
        known.ok_or_else(|| {
            SettingError::new(
                "offer",
                text,
                "take PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES, STARTTLS or \
                 AUTH",
            )
        })
    }
}

impl TryFrom<String> for Extension {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// In which form EHLO is answered; as text `lower-case,old-auth,unknown=300`, each part optional.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EhloForm {
    /// Keywords in lower case.
    pub lower_case: bool,
    /// A line `AUTH=PLAIN LOGIN` beside `AUTH PLAIN LOGIN`, as servers of the nineties had it.
    pub old_auth: bool,
    /// So many lines of extensions that nobody knows.
    pub unknown: usize,
}

impl FromStr for EhloForm {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut form = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match (part, part.strip_prefix("unknown=").map(str::parse)) {
                ("lower-case", _) => form.lower_case = true,
                ("old-auth", _) => form.old_auth = true,
                (_, Some(Ok(lines))) => form.unknown = lines,
                _ => {
                    let hint = "write lower-case, old-auth or unknown=300, parted by commas";
                    return Err(SettingError::new("ehlo", part, hint));
                }
            }
        }
        Ok(form)
    }
}

impl TryFrom<String> for EhloForm {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What this sink offers, with the answers to EHLO written out.
#[derive(Debug)]
pub(super) struct Offers {
    extensions: Vec<Extension>,
    auth_in_clear: bool,
    clear: String,
    secure: String,
}

impl Offers {
    /// Puts the offers together: those that were chosen, or all that the other settings allow.
    pub(super) fn new(
        chosen: Option<Vec<Extension>>,
        form: EhloForm,
        tls: TlsMode,
        auth: Option<&AuthSettings>,
    ) -> Result<Self, SettingError> {
        let can = |extension: Extension| match extension {
            Extension::StartTls => tls == TlsMode::Starttls,
            Extension::Auth => auth.is_some(),
            _ => true,
        };
        if let Some(one) = chosen.iter().flatten().find(|one| !can(**one)) {
            let hint = "STARTTLS needs the TLS mode starttls, AUTH needs a user and a secret";
            return Err(SettingError::new("offer", one.keyword(), hint));
        }
        let all = || Extension::ALL.into_iter().filter(|one| can(*one)).collect();
        let extensions: Vec<Extension> = chosen.unwrap_or_else(all);
        let auth_in_clear = auth.is_some_and(|auth| !auth.only_under_tls);
        let mechanisms = auth.map(AuthSettings::keywords).unwrap_or_default();
        let written = |secure: bool| {
            let offered = extensions.iter().copied().filter(|one| match one {
                Extension::StartTls => !secure,
                Extension::Auth => secure || auth_in_clear,
                _ => true,
            });
            ehlo(&offered.collect::<Vec<_>>(), form, &mechanisms)
        };
        let (clear, secure) = (written(false), written(true));
        Ok(Self { extensions, auth_in_clear, clear, secure })
    }

    /// The answer to EHLO, without its last CRLF.
    pub(super) fn ehlo(&self, secure: bool) -> &str {
        if secure { &self.secure } else { &self.clear }
    }

    /// Whether an extension stands in the list, under TLS or not.
    pub(super) fn lists(&self, extension: Extension) -> bool {
        self.extensions.contains(&extension)
    }

    /// Whether AUTH may be used before TLS.
    pub(super) fn auth_in_clear(&self) -> bool {
        self.auth_in_clear
    }
}

fn ehlo(offered: &[Extension], form: EhloForm, mechanisms: &str) -> String {
    let mut lines = vec!["localhost at your service".to_owned()];
    lines.extend((1..=form.unknown).map(|number| {
        let mut line = String::from("X-FORTHWITH-NOBODY-KNOWS-");
        let _written = write!(line, "{number} some=parameters");
        line
    }));
    for extension in offered {
        let keyword = extension.keyword();
        let line = match extension {
            Extension::Size => format!("{keyword} {SIZE_LIMIT}"),
            Extension::Auth => format!("{keyword} {mechanisms}"),
            _ => keyword.to_owned(),
        };
        let old = (form.old_auth && *extension == Extension::Auth)
            .then(|| format!("{keyword}={mechanisms}"));
        for line in [Some(line), old].into_iter().flatten() {
            lines.push(if form.lower_case { line.to_ascii_lowercase() } else { line });
        }
    }
    super::reply::reply(250, &lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> AuthSettings {
        AuthSettings { only_under_tls: true, ..AuthSettings::new("u", "s".to_owned()) }
    }

    fn words(text: &str) -> Vec<&str> {
        text.lines().skip(1).map(|line| &line[4..]).collect()
    }

    #[test]
    fn what_is_offered_depends_on_tls_and_auth() {
        let offers =
            Offers::new(None, EhloForm::default(), TlsMode::Starttls, Some(&auth())).unwrap();
        let (clear, secure) = (words(offers.ehlo(false)), words(offers.ehlo(true)));
        assert!(clear.contains(&"STARTTLS") && !clear.join(" ").contains("AUTH"), "{clear:?}");
        assert!(secure.contains(&"AUTH PLAIN LOGIN XOAUTH2") && !secure.contains(&"STARTTLS"));
        assert!(offers.ehlo(true).lines().last().unwrap().starts_with("250 "));
    }

    #[test]
    fn an_ehlo_may_have_other_forms() {
        let form: EhloForm = "lower-case,old-auth,unknown=300".parse().unwrap();
        let auth = AuthSettings::new("u", "s".to_owned());
        let chosen = Some(vec![Extension::Size, Extension::Auth]);
        let offers = Offers::new(chosen, form, TlsMode::None, Some(&auth)).unwrap();
        let words = words(offers.ehlo(false));
        assert_eq!(words.len(), 303);
        assert_eq!(
            words[300..],
            ["size 33554432", "auth plain login xoauth2", "auth=plain login xoauth2"]
        );
        assert_eq!(
            Offers::new(Some(vec![]), EhloForm::default(), TlsMode::None, None)
                .unwrap()
                .ehlo(false),
            "250 localhost at your service"
        );
    }

    #[test]
    fn what_cannot_be_kept_cannot_be_offered() {
        for extension in [Extension::StartTls, Extension::Auth] {
            let offers =
                Offers::new(Some(vec![extension]), EhloForm::default(), TlsMode::Implicit, None);
            assert!(offers.unwrap_err().to_string().contains("hint: STARTTLS needs"));
        }
        assert!("CHUNKING".parse::<Extension>().unwrap_err().to_string().contains("hint: take"));
        assert!("loud".parse::<EhloForm>().unwrap_err().to_string().contains("hint: write lower"));
        assert_eq!("8bitmime".parse(), Ok(Extension::EightBitMime));
    }
}
