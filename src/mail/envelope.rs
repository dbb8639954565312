//! The envelope of one notice, and the SMTP commands it makes.

use std::fmt::Write as _;

use super::address::Mailbox;
use super::capabilities::Capabilities;

/// The longest ENVID (RFC 3461 §4.4), in characters.
const MAX_ENVELOPE_ID: usize = 100;
/// Room for nearly every offer, in bytes.
const OFFER: usize = 384;

/// Sender and recipient of one transaction. One recipient always: one person, one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Where bounces go; none is the null sender.
    pub from: Option<Mailbox>,
    /// The recipient.
    pub to: Mailbox,
    /// Asks for delivery reports, where the server offers them.
    pub report: Option<ReportRequest>,
}

/// A request for reports of failure and delay (RFC 3461). The report brings headers back only, so
/// that no bounce carries the notice and its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRequest {
    envelope_id: String,
}

/// MAIL, RCPT and DATA of one transaction as one text (RFC 2920 §3.1). Names a person: no Debug.
#[derive(PartialEq, Eq)]
pub struct Offer(String);

impl Offer {
    /// The text to write.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The three commands, each with its CRLF.
    pub(super) fn commands(&self) -> impl Iterator<Item = &str> {
        self.0.split_inclusive('\n')
    }
}

/// An envelope id that a report cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the envelope id is not 1 to 100 visible ASCII characters")]
pub struct EnvelopeIdFault;

impl ReportRequest {
    /// Asks for reports that name `envelope_id`: opaque, the same for every attempt.
    pub fn new(envelope_id: &str) -> Result<Self, EnvelopeIdFault> {
        let visible = envelope_id.bytes().all(|byte| byte.is_ascii_graphic());
        let mut written = String::new();
        xtext(envelope_id, &mut written);
        if !visible || !(1..=MAX_ENVELOPE_ID).contains(&written.len()) {
            return Err(EnvelopeIdFault);
        }
        Ok(Self { envelope_id: envelope_id.into() })
    }
}

impl Envelope {
    /// Whether only a server with SMTPUTF8 can carry this envelope.
    pub fn needs_smtputf8(&self) -> bool {
        self.to.needs_smtputf8() || self.from.as_ref().is_some_and(Mailbox::needs_smtputf8)
    }

    /// What begins this envelope's transaction, for a message of `size` octets, as a server that `offered` this
    /// takes it in one write.
    pub fn offer(&self, offered: Capabilities, size: usize) -> Offer {
        let mut commands = String::with_capacity(OFFER);
        self.mail_command(offered, size, &mut commands);
        self.rcpt_command(offered, &mut commands);
        commands.push_str("DATA\r\n");
        Offer(commands)
    }

    /// Appends the MAIL command with its CRLF, for a message of `size` octets.
    fn mail_command(&self, offered: Capabilities, size: usize, line: &mut String) {
        line.push_str("MAIL FROM:<");
        line.push_str(self.from.as_ref().map_or("", Mailbox::as_str));
        line.push('>');
        if offered.size.is_some() {
            // Writing to a String cannot fail.
            let _ = write!(line, " SIZE={size}");
        }
        if self.needs_smtputf8() {
            line.push_str(" SMTPUTF8");
        }
        if let Some(report) = self.report.as_ref().filter(|_| offered.dsn) {
            line.push_str(" RET=HDRS ENVID=");
            xtext(&report.envelope_id, line);
        }
        line.push_str("\r\n");
    }

    /// Appends the RCPT command with its CRLF.
    fn rcpt_command(&self, offered: Capabilities, line: &mut String) {
        line.push_str("RCPT TO:<");
        line.push_str(self.to.as_str());
        line.push('>');
        if self.report.is_some() && offered.dsn {
            line.push_str(" NOTIFY=FAILURE,DELAY");
            if !self.to.needs_smtputf8() {
                line.push_str(" ORCPT=rfc822;");
                xtext(self.to.as_str(), line);
            }
        }
        line.push_str("\r\n");
    }
}

/// Appends the text as xtext (RFC 3461 §4): `+` and `=` and whatever is not visible ASCII as `+HH`.
fn xtext(text: &str, output: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'+' | b'=') {
            output.push(char::from(byte));
        } else {
            let _ = write!(output, "+{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(from: Option<&str>, to: &str, id: Option<&str>) -> Envelope {
        Envelope {
            from: from.map(|text| text.parse().unwrap()),
            to: to.parse().unwrap(),
            report: id.map(|id| ReportRequest::new(id).unwrap()),
        }
    }

    /// Of a message of nine octets.
    fn commands(envelope: &Envelope, offered: Capabilities) -> Vec<String> {
        envelope.offer(offered, 9).commands().map(str::to_owned).collect()
    }

    #[test]
    fn commands_carry_only_what_the_server_offers() {
        let envelope = envelope(Some("b+1.x@bounce.example"), "a+b@example.com", Some("c1.7+x="));
        let nothing = Capabilities::default();
        assert_eq!(
            commands(&envelope, nothing),
            ["MAIL FROM:<b+1.x@bounce.example>\r\n", "RCPT TO:<a+b@example.com>\r\n", "DATA\r\n"]
        );
        let offered = Capabilities { dsn: true, size: Some(0), ..nothing };
        assert_eq!(
            commands(&envelope, offered),
            [
                "MAIL FROM:<b+1.x@bounce.example> SIZE=9 RET=HDRS ENVID=c1.7+2Bx+3D\r\n",
                "RCPT TO:<a+b@example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@example.com\r\n",
                "DATA\r\n",
            ]
        );
    }

    #[test]
    fn the_null_sender_and_a_utf8_recipient_are_written_as_such() {
        let envelope = envelope(None, "émile@example.com", Some("x"));
        let offered = Capabilities { smtputf8: true, dsn: true, ..Capabilities::default() };
        assert!(envelope.needs_smtputf8());
        assert_eq!(
            commands(&envelope, offered),
            [
                "MAIL FROM:<> SMTPUTF8 RET=HDRS ENVID=x\r\n",
                "RCPT TO:<émile@example.com> NOTIFY=FAILURE,DELAY\r\n",
                "DATA\r\n",
            ]
        );
    }

    #[test]
    fn an_envelope_id_can_bring_nothing_else_into_the_command() {
        for id in ["", "a b", "a\r\nRCPT", "é", &"x".repeat(101), &"+".repeat(34)] {
            assert_eq!(ReportRequest::new(id), Err(EnvelopeIdFault), "{id}");
        }
    }

    #[test]
    fn an_envelope_prints_masked() {
        let shown = format!("{:?}", envelope(Some("bob@bounce.example"), "ann@example.com", None));
        assert!(!shown.contains("ann@") && !shown.contains("bob@"), "{shown}");
    }
}
