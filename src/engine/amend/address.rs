//! What a new address has to be, before two people sign it.

use crate::domain::address::EmailAddress;
use crate::engine::{Engine, EngineError};

impl Engine {
    /// Refuses an address that must not be mailed; it is said masked.
    pub(super) async fn check_new_address(
        &self,
        name: &str,
        address: &EmailAddress,
    ) -> Result<(), EngineError> {
        let reason = self.address_reason(name, address).await?;
        if reason.is_mailed() {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "{address} is not mailed ({reason}, by `[addresses]` of the campaign); hint: another \
             address, or `forthwith amendment change-channel {name}`"
        )))
    }
}
