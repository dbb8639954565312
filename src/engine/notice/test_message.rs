//! A notice as a test for an operator's eyes: marked where nobody overlooks it.

use jiff::Timestamp;

use super::{Built, NoticeWriter, mailbox};
use crate::domain::address::EmailAddress;
use crate::engine::EngineError;
use crate::engine::preview::Preview;
use crate::mail::message::{Body, Draft, Party};
use crate::secret::digest::sha256;

/// What stands before the text.
const MARK: &str = "THIS IS A TEST of a security notice, sent to you as one of those who send it. It is \
                    about nobody, and nothing has to be done.";

impl NoticeWriter {
    /// The message of a test: its Message-ID is made of `id`, so nothing that comes back is taken for
    /// a notice's.
    pub(in crate::engine) fn test_message(
        &self,
        id: &str,
        dated_at: Timestamp,
        to: &EmailAddress,
        preview: &Preview,
    ) -> Result<Built, EngineError> {
        let to = mailbox(to.as_str(), "--to")?;
        let message_id = format!("test-{id}@{}", self.from.domain());
        let subject = format!("[TEST] {}", preview.rendered.subject);
        let text = format!("{MARK}\n\n{}", preview.rendered.text);
        let html = marked(&preview.rendered.html);
        let draft = Draft {
            from: Party { name: Some(&self.file.notice.from.name), address: &self.from },
            reply_to: self.reply_to.as_ref().map(|address| Party { name: None, address }),
            to: Party { name: None, address: &to },
            subject: &subject,
            text: Body::Text(&text),
            html: Some(Body::Text(&html)),
            message_id: &message_id,
            date: dated_at,
            boundary: id,
            reference: None,
            feedback_id: None,
            language: Some(&preview.locale),
            is_test: true,
        };
        let bytes = draft
            .build()
            .map_err(|fault| EngineError::refused(format!("the test cannot be built: {fault}")))?;
        let bounce = self.file.notice.bounce_domain.as_deref().unwrap_or(self.from.domain());
        let content = *sha256(&bytes).as_bytes();
        Ok(Built { to, from: format!("test-{id}@{bounce}"), bytes, content })
    }
}

/// The page with the mark as its first paragraph.
fn marked(html: &str) -> String {
    let mark = format!("<p lang=\"en\"><strong>{MARK}</strong></p>\n");
    let opened = html.find("<main").and_then(|at| Some(at + html[at..].find('>')? + 1));
    match opened {
        Some(at) => format!("{}\n{mark}{}", &html[..at], &html[at..]),
        None => format!("{mark}{html}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_the_first_thing_on_the_page() {
        let page = marked("<html><body><main style=\"x\">\n<p>Dear</p></main></body></html>");
        assert!(page.find(MARK).unwrap() < page.find("Dear").unwrap());
        assert!(marked("<p>Dear</p>").starts_with("<p lang=\"en\">"));
    }
}
