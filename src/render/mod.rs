//! L1b: from approved template bytes and typed facts to the subject, text and HTML of a notice.
//!
//! Owns the contexts templates may see, the words they may use and the lint that refuses a template
//! before anybody approves it. Knows nothing of mail transport, storage, campaigns or files on disk.

mod context;
mod error;
mod faults;
mod language;
mod link;
mod lint;
mod pages;
mod parsed;
mod prepared;
mod samples;
mod scope;
mod spliced;
mod templates;
mod words;
mod wrap;

#[cfg(test)]
mod tests;

pub use context::{
    CampaignContext, CredentialContext, NoticeContext, RecipientContext, RecipientFacts, Reset,
    Trust, needed_flags,
};
pub use error::{Place, RenderError};
pub use faults::faults;
pub use pages::{PageError, Pages, PortalMail};
pub use prepared::Prepared;
pub use spliced::{Encode, Encoded};
pub use templates::{NoticeSpec, Rendered, Templates};
