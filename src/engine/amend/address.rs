//! What a new address has to be, before two people sign it.

use super::super::people::People;
use super::super::{Engine, EngineError};
use crate::domain::address::EmailAddress;
use crate::secret::lookup::address_digest;

impl Engine {
    /// Refuses an address that must not be mailed. What it is masked as may be said, itself not.
    pub(super) async fn check_new_address(
        &self,
        people: &People,
        address: &EmailAddress,
    ) -> Result<(), EngineError> {
        let digest = address_digest(self.keys.digest(), &address.canonical());
        if self.store.is_suppressed(&digest).await? {
            return Err(EngineError::refused(format!(
                "{address} is on the list of addresses that must not be mailed; hint: `forthwith \
                 amendment change-channel {}`",
                people.name
            )));
        }
        Ok(())
    }
}
