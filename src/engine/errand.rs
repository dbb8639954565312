//! A mail that is no notice, a test or one of the portal's, on an open connection. Its intent is committed
//! before and its outcome after, by whoever sends it.

use super::notice::Built;
use super::notify::outcome::of_transaction;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::delivery::Outcome;
use crate::mail::connection::Connection;
use crate::mail::envelope::{Envelope, ReportRequest};
use crate::mail::wire::wire_form;

impl Engine {
    /// Hands it over and says how that ended. `number` is whom it is about, 0 for nobody; `what` it is
    /// goes into the error of a message that can't be put on the wire.
    pub(super) async fn transact_errand(
        &self,
        people: &People,
        number: u64,
        connection: &mut Connection,
        built: Built,
        what: &str,
    ) -> Result<Outcome, EngineError> {
        let from = built.from.parse().map_err(|error| {
            EngineError::refused(format!(
                "the envelope sender: {error}; hint: `notice.bounce_domain`"
            ))
        })?;
        let envelope_id = built.from.split('@').next().unwrap_or_default();
        let envelope = Envelope {
            from: Some(from),
            to: built.to.clone(),
            report: ReportRequest::new(envelope_id).ok(),
        };
        let wire = wire_form(built.bytes)
            .map_err(|error| EngineError::Broken(format!("{what}: {error}")))?;
        let end = connection.transact(&envelope, wire, || Ok(())).await;
        let provider = self.providers.lookup(built.to.domain()).as_str().to_owned();
        Ok(of_transaction(people, &self.replies, &provider, number, &end, self.clock.now()))
    }
}
