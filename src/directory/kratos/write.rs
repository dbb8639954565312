//! A hash in place of another, by a JSON Patch that tests the old one first: Kratos reads the identity, tests,
//! and writes it, in one request but not in one transaction.

use reqwest::{Client, Method};
use serde::Serialize;
use zeroize::Zeroizing;

use super::server::Ask;
use super::{Kratos, TABLE};
use crate::directory::Replacement;
use crate::directory::rest::{RestFault, Trial, Written};
use crate::secret::replacement::SecretValue;

const DOING: &str = "replacing a password";
const ENDING: &str = "ending sessions";

/// Where the hash stands. The credential itself must not be replaced: what is left out of it would be lost.
const HASH: &str = "/credentials/password/config/hashed_password";

/// How often a conflict with another write of the same identity is tried again.
const TRIES: u32 = 3;

/// An operation of a patch (`JsonPatch` of the client types).
#[derive(Serialize)]
struct Operation<'a> {
    op: &'static str,
    path: &'static str,
    value: &'a str,
}

fn patch(from: &SecretValue, to: &SecretValue) -> Result<Zeroizing<Vec<u8>>, RestFault> {
    let test = Operation { op: "test", path: HASH, value: from.expose() };
    let replace = Operation { op: "replace", path: HASH, value: to.expose() };
    serde_json::to_vec(&[test, replace])
        .map(Zeroizing::new)
        .map_err(|_| RestFault::Unreadable { table: TABLE, doing: DOING })
}

impl Kratos {
    async fn patch(
        &self,
        client: &Client,
        id: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<u16, RestFault> {
        let path = ["identities", id];
        let ask = Ask { method: Method::PATCH, body: Some(body), ..Ask::get(DOING, &path) };
        Ok(self.server.ask(client, &ask).await?.status)
    }

    pub(super) async fn replace_password(
        &self,
        client: &Client,
        row: &Replacement,
    ) -> Result<Written, RestFault> {
        let Some(id) = self.id_of(client, &row.account).await? else { return Ok(Written::Moved) };
        let mut tries = 1;
        loop {
            let body = patch(&row.current, &row.replacement)?;
            let status = match self.patch(client, &id, body).await? {
                200 => return Ok(Written::Done),
                404 => return Ok(Written::Moved),
                status @ (400 | 409) => status,
                status => return Err(RestFault::Status { table: TABLE, doing: DOING, status }),
            };
            // A test that fails and an identity that may not be written as it is end alike: what stands
            // there says which it was. What is ours by then was made by a try whose answer was lost, or before.
            let now = match self.by_id(client, &id).await? {
                Some(identity) => identity.into_password()?,
                None => return Ok(Written::Moved),
            };
            match now {
                Some(now) if now == row.current && status == 409 && tries < TRIES => tries += 1,
                Some(now) if now == row.current => return Ok(Written::Refused(status)),
                _ => return Ok(Written::Moved),
            }
        }
    }

    /// Whether a patch is refused whose test must fail; were it made all the same, it would leave the hash as it
    /// is.
    pub(super) async fn try_stale(
        &self,
        client: &Client,
        row: &Replacement,
    ) -> Result<Trial, RestFault> {
        let Some(id) = self.id_of(client, &row.account).await? else { return Ok(Trial::Well) };
        match self.patch(client, &id, patch(&row.replacement, &row.current)?).await? {
            200 => Ok(Trial::NotCompared),
            400 | 404 | 409 => Ok(Trial::Well),
            status => Err(RestFault::Status { table: TABLE, doing: DOING, status }),
        }
    }

    /// Deletes an identity's sessions; 404 says that there are none (`DeleteSessionsByIdentity`).
    pub(super) async fn end_sessions_of(
        &self,
        client: &Client,
        id: &str,
    ) -> Result<Written, RestFault> {
        let path = ["identities", id, "sessions"];
        let ask = Ask { method: Method::DELETE, ..Ask::get(ENDING, &path) };
        match self.server.ask(client, &ask).await?.status {
            204 | 404 => Ok(Written::Done),
            status => Err(RestFault::Status { table: TABLE, doing: ENDING, status }),
        }
    }
}
