//! The directory as an endpoint of the company's own, for whatever is neither SQL nor LDAP: signed
//! messages to one URL, and signed answers (`docs/directories.md`, HTTP).
//!
//! What the endpoint does with them is its own; that a replacement is there is proved by asking it again,
//! on a new connection. Values are wiped where they are ours; what the client keeps while a request is
//! under way is its own.

mod adapter;
mod check;
mod client;
mod error;
mod message;
mod settings;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use self::client::Endpoint;
use self::message::SaidCapabilities;
use super::{Capabilities, DirectoryError, batch};
use crate::domain::clock::Clock;
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

pub use error::{HttpFault, RowFault};
pub use settings::HttpDirectorySettings;

/// An endpoint of the company's own.
pub struct HttpDirectory {
    endpoint: Endpoint,
    can: Capabilities,
    form: PasswordForm,
    scheme: Scheme,
    rows_per_request: usize,
    concurrency: usize,
    own_account: Option<String>,
}

impl fmt::Debug for HttpDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDirectory").field("can", &self.can).finish_non_exhaustive()
    }
}

impl HttpDirectory {
    /// Asks the endpoint once what it can do.
    pub async fn open(
        settings: &HttpDirectorySettings,
        workspace: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DirectoryError> {
        if let Some((key, said)) = settings.faults().into_iter().next() {
            return Err(HttpFault::Setting { key, said }.into());
        }
        let endpoint = Endpoint::parse(settings, workspace, clock)?;
        let said = ask_capabilities(&endpoint).await?;
        Ok(Self {
            endpoint,
            can: said.checked()?,
            form: said.form,
            own_account: said.own_account,
            scheme: settings.scheme,
            rows_per_request: settings.rows_per_request,
            concurrency: settings.concurrency,
        })
    }

    fn knows(&self, kind: CredentialKind) -> Result<(), HttpFault> {
        if self.can.kinds.contains(&kind) { Ok(()) } else { Err(HttpFault::Kind(kind)) }
    }

    fn admit(&self, accounts: &[String]) -> Result<(), DirectoryError> {
        batch::admit(self.can.batch, accounts.iter().map(String::as_str))
    }
}

async fn ask_capabilities(endpoint: &Endpoint) -> Result<SaidCapabilities, HttpFault> {
    let verb = "capabilities";
    let body = endpoint.ask(&endpoint.lasting(), verb, None, &[]).await?;
    serde_json::from_slice(&body).map_err(|_| HttpFault::Unreadable { verb })
}
