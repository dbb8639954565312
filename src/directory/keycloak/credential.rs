//! A user's password, as far as Keycloak tells, and what is written in its place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::server::Ask;
use super::user::User;
use super::{Keycloak, TABLE};
use crate::directory::Chosen;
use crate::directory::rest::RestFault;
use crate::secret::digest::sha256;
use crate::secret::replacement::{KEPT_ELSEWHERE, SecretValue, Version};

const DOING: &str = "reading credentials";

/// Octets drawn in place of a digest: no hash that Keycloak makes has more, and none comes to these.
const DIGEST: usize = 64;
const SALT: usize = 16;

/// Bytes of a label.
const LABEL: usize = 16;

/// A stored credential (`CredentialRepresentation`); its secret is never given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credential {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    created_date: Option<i64>,
    #[serde(default)]
    user_label: Option<String>,
    /// How it was hashed.
    #[serde(rename = "credentialData", default)]
    pub how: Option<String>,
    /// The store behind Keycloak that has it.
    #[serde(default)]
    federation_link: Option<String>,
}

impl Credential {
    pub(super) fn version(&self) -> Version {
        Version {
            created: self.created_date.unwrap_or(0),
            label: self.user_label.clone().unwrap_or_default(),
        }
    }
}

/// A password as it is written (`CredentialRepresentation`). Without an id and a `value` it is taken as it is
/// and overwrites the one there is (`RepresentationToModel.createCredentials`,
/// `PasswordCredentialProvider.createCredential`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPassword {
    #[serde(rename = "type")]
    kind: &'static str,
    created_date: i64,
    user_label: String,
    credential_data: Zeroizing<String>,
    secret_data: Zeroizing<String>,
}

/// A new password, hashed and dated.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dated {
    #[serde(default)]
    created_date: i64,
    credential_data: Zeroizing<String>,
    secret_data: Zeroizing<String>,
}

/// Dates a password that was hashed in one of Keycloak's forms. Its label is a digest of all of it, salt and
/// hash among it, so that what is read afterwards proves what was written.
pub(super) fn dated(hashed: &SecretValue, now: Timestamp) -> Option<Chosen> {
    let mut dated: Dated = serde_json::from_str(hashed.expose()).ok()?;
    dated.created_date = now.as_millisecond();
    let written = SecretValue::new(serde_json::to_string(&dated).ok()?);
    let shown = version_of(&dated, &written).shown();
    Some(Chosen { written, shown })
}

fn version_of(dated: &Dated, written: &SecretValue) -> Version {
    let label = sha256(written.expose().as_bytes());
    Version::labelled(dated.created_date, &label.as_bytes()[..LABEL])
}

/// How a password was hashed, where Keycloak does not say.
const UNSAID: &str =
    r#"{"hashIterations":210000,"algorithm":"pbkdf2-sha512","additionalParameters":{}}"#;

/// What is written for a replacement: a new password as it was hashed, or, where only a version is given, a
/// digest that is drawn and belongs to no password. `how` is how the password of now was hashed: Keycloak
/// goes on reading what stands there.
pub(super) fn new_password(replacement: &SecretValue, how: Option<&str>) -> Option<NewPassword> {
    if let Some(version) = Version::parse(replacement.expose()) {
        let (digest, salt): ([u8; DIGEST], [u8; SALT]) = (rand::random(), rand::random());
        let secret = serde_json::json!({
            "value": STANDARD.encode(digest), "salt": STANDARD.encode(salt),
            "additionalParameters": {},
        });
        return Some(NewPassword {
            kind: "password",
            created_date: version.created,
            user_label: version.label,
            credential_data: Zeroizing::new(how.unwrap_or(UNSAID).to_owned()),
            secret_data: Zeroizing::new(secret.to_string()),
        });
    }
    let dated: Dated = serde_json::from_str(replacement.expose()).ok()?;
    let version = version_of(&dated, replacement);
    Some(NewPassword {
        kind: "password",
        created_date: version.created,
        user_label: version.label,
        credential_data: dated.credential_data,
        secret_data: dated.secret_data,
    })
}

/// A password's value and when it was made.
pub(super) type Password = (Option<SecretValue>, Option<Timestamp>);

impl Keycloak {
    /// A user's password; `None` where the user is gone by now.
    pub(super) async fn password(
        &self,
        client: &Client,
        user: &User,
    ) -> Result<Option<Password>, RestFault> {
        let elsewhere = || Some(SecretValue::new(KEPT_ELSEWHERE.to_owned()));
        if user.is_kept_elsewhere() {
            return Ok(Some((elsewhere(), None)));
        }
        let Some(credential) = self.credential(client, &user.id).await? else { return Ok(None) };
        Ok(Some(match credential {
            None => (None, None),
            Some(of) if of.federation_link.is_some() => (elsewhere(), None),
            Some(of) => {
                let made = of.created_date.and_then(|at| Timestamp::from_millisecond(at).ok());
                (Some(of.version().shown()), made)
            }
        }))
    }

    /// The password that Keycloak's own log-in reads, which is the first, if there is one. `None` where the user
    /// is gone.
    pub(super) async fn credential(
        &self,
        client: &Client,
        id: &str,
    ) -> Result<Option<Option<Credential>>, RestFault> {
        let path = ["users", id, "credentials"];
        let all: Option<Vec<Credential>> =
            self.server.look_up(client, &Ask::get(DOING, &path)).await?;
        let Some(all) = all else { return Ok(None) };
        if all.iter().any(|one| one.kind.is_none()) {
            return Err(RestFault::Unreadable { table: TABLE, doing: DOING });
        }
        Ok(Some(all.into_iter().find(|one| one.kind.as_deref() == Some("password"))))
    }
}
