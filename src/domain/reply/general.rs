//! The general rules, by code, status and few words; and the guard that no rule file can pass: who
//! may be written off as a dead address (`docs/protocol.md`, Replies).
//!
//! A mistake here would write off everybody at once, so words of doubt always save the address.

use super::status::EnhancedStatus;
use super::{Phase, ReplyClass, SmtpReply};

/// Words that speak of the sender, the path, a list or the content, and not of the mailbox's
/// existence. Many servers give such a refusal as a bare 550 at RCPT.
const WORDS_OF_POLICY: [&str; 42] = [
    "relay",
    "spam",
    "policy",
    "reputation",
    "blacklist",
    "blocklist",
    "black list",
    "block list",
    "blocked",
    "denylist",
    "dnsbl",
    "rbl",
    "is listed",
    "listed by",
    "spf",
    "dkim",
    "dmarc",
    "sender",
    "authenticat",
    "access denied",
    "permission denied",
    "prohibit",
    "not permitted",
    "helo",
    "ehlo",
    "reverse dns",
    "rdns",
    "ptr ",
    "client host",
    "your host",
    "your ip",
    "ip address",
    "banned",
    "abuse",
    "unsolicited",
    "virus",
    "try again",
    "too many",
    "rate limit",
    "encryption",
    "callback",
    "callout",
];

/// Phrases that speak of the envelope sender's address. Postfix gives them with status 5.1.0 and
/// others with 5.1.1, at RCPT: the status alone would write off every recipient.
const WORDS_OF_SENDER: [&str; 12] = [
    "sender address",
    "sender rejected",
    "sender verif",
    "sender domain",
    "sender denied",
    "invalid sender",
    "bad sender",
    "unknown sender",
    "return path",
    "reverse-path",
    "mail from",
    "from address",
];

/// Words of a mailbox that is full, and of one that is there but takes nothing.
const WORDS_OF_FULL: [&str; 7] = [
    "mailbox full",
    "mailbox is full",
    "mailbox size limit",
    "over quota",
    "overquota",
    "quota exceeded",
    "exceeded storage allocation",
];
const WORDS_OF_OFF: [&str; 6] =
    ["disabled", "inactive", "suspended", "deactivated", "not active", "account closed"];

/// Words of a message that is too large.
const WORDS_OF_SIZE: [&str; 4] = ["too large", "too big", "size exceeds", "message size"];

fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// Whether the reply says that the recipient's address does not exist: a 5yz to RCPT or later with
/// status 5.1.x (7 and 8 blame the sender's address), or a 550, 551 or 553 to RCPT without a status;
/// and in both cases no word that speaks of something else.
pub(super) fn may_be_dead(phase: Phase, reply: &SmtpReply) -> bool {
    if reply.code / 100 != 5 || phase.is_before_recipient() {
        return false;
    }
    let text = reply.comparable();
    match reply.enhanced {
        // 5.1.0 says of an address only that it is an address: of which, its words must tell.
        Some(status) if (status.subject, status.detail) == (1, 0) => !any(&text, &WORDS_OF_POLICY),
        Some(status) => status.speaks_of_recipient() && !any(&text, &WORDS_OF_SENDER),
        None => {
            phase == Phase::Rcpt
                && matches!(reply.code, 550 | 551 | 553)
                && ![&WORDS_OF_POLICY[..], &WORDS_OF_FULL, &WORDS_OF_OFF]
                    .iter()
                    .any(|words| any(&text, words))
                && !holds_other_status(&text)
        }
    }
}

/// Whether some word further on is a status that does not speak of the recipient's address.
fn holds_other_status(text: &str) -> bool {
    text.split_whitespace()
        .filter_map(EnhancedStatus::dressed)
        .any(|status| status.class == 5 && !status.speaks_of_recipient())
}

/// The class where no rule of a table matches.
pub(super) fn class(phase: Phase, reply: &SmtpReply) -> ReplyClass {
    match (reply.code / 100, phase) {
        (2, Phase::Dot) => ReplyClass::Accepted,
        (4, _) => transient(phase, reply),
        (5, _) => permanent(phase, reply),
        // A code that is no answer to its phase says nothing final.
        _ => ReplyClass::Temporary,
    }
}

fn transient(phase: Phase, reply: &SmtpReply) -> ReplyClass {
    if phase == Phase::Auth {
        // 432: "a password transition is needed"; 454 is the server's own trouble (RFC 4954 §6)
        let is_ours = reply.code == 432;
        return if is_ours { ReplyClass::RelayAuth } else { ReplyClass::Temporary };
    }
    match reply.enhanced {
        Some(status) => by_status(phase, status).unwrap_or(ReplyClass::Temporary),
        None if reply.code == 452 => ReplyClass::Capacity,
        None => ReplyClass::Temporary,
    }
}

fn permanent(phase: Phase, reply: &SmtpReply) -> ReplyClass {
    let is_login = phase == Phase::Auth || matches!(reply.code, 530 | 534 | 535 | 538);
    if is_login {
        return ReplyClass::RelayAuth;
    }
    if may_be_dead(phase, reply) {
        return ReplyClass::AddressDead;
    }
    if let Some(class) = reply.enhanced.and_then(|status| by_status(phase, status)) {
        return class;
    }
    let text = reply.comparable();
    if reply.enhanced.is_some_and(EnhancedStatus::speaks_of_recipient) {
        // an address, but not the recipient's
        return if phase == Phase::Mail || any(&text, &WORDS_OF_SENDER) {
            ReplyClass::Sender
        } else {
            ReplyClass::Policy
        };
    }
    match reply.code {
        500..=504 | 555 => return ReplyClass::Protocol,
        552 if phase == Phase::Mail || any(&text, &WORDS_OF_SIZE) => return ReplyClass::Size,
        552 => return ReplyClass::MailboxFull,
        // "this domain takes no mail" (RFC 7504): only a status may say that an address is dead
        556 => return ReplyClass::MailboxOff,
        _ => {}
    }
    let speaks_of_policy = any(&text, &WORDS_OF_POLICY);
    if phase == Phase::Rcpt && !speaks_of_policy {
        if any(&text, &WORDS_OF_FULL) {
            return ReplyClass::MailboxFull;
        }
        if any(&text, &WORDS_OF_OFF) {
            return ReplyClass::MailboxOff;
        }
    }
    let bare_at_mail = phase == Phase::Mail && matches!(reply.code, 550 | 551 | 553);
    if any(&text, &WORDS_OF_SENDER) || (bare_at_mail && !speaks_of_policy) {
        return ReplyClass::Sender;
    }
    if speaks_of_policy { ReplyClass::Policy } else { ReplyClass::Permanent }
}

/// What a status alone says (RFC 3463, RFC 7372 and the IANA registry); none where it says no more
/// than its class.
fn by_status(phase: Phase, status: EnhancedStatus) -> Option<ReplyClass> {
    let is_permanent = status.class == 5;
    Some(match (status.subject, status.detail) {
        // of the sender's address; its domain says that it takes no mail (RFC 7505)
        (1, 7 | 8) | (7, 27) => ReplyClass::Sender,
        (2, 2) => ReplyClass::MailboxFull,
        (2, 3) | (3, 4) => ReplyClass::Size,
        (2, 1) if !is_permanent => ReplyClass::MailboxBusy,
        (2, _) if is_permanent => ReplyClass::MailboxOff,
        (3, 1 | 2) | (4, 5) => ReplyClass::Capacity,
        (5, _) if is_permanent => ReplyClass::Protocol,
        (6, _) => ReplyClass::Content,
        (7, 8 | 9 | 11 | 13) if phase.is_before_recipient() => ReplyClass::RelayAuth,
        (7, 10 | 20..=26 | 29 | 30) => ReplyClass::Authentication,
        (7, 28) => ReplyClass::Rate,
        (7, _) => ReplyClass::Policy,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_without_a_rule_mean_what_the_protocol_says() {
        use Phase::{Auth, Connect, Data, Dot, Ehlo, Greeting, Mail, Rcpt};
        use ReplyClass as C;
        for (phase, code, words, expected) in [
            (Dot, 250, "2.0.0 Ok: queued as 4Q", C::Accepted),
            (Rcpt, 450, "4.2.1 slow down", C::MailboxBusy),
            (Rcpt, 452, "4.2.2 over quota", C::MailboxFull),
            (Rcpt, 452, "4.5.3 too many recipients", C::Temporary),
            (Mail, 452, "4.3.1 insufficient system storage", C::Capacity),
            (Mail, 452, "insufficient system storage", C::Capacity),
            (Mail, 421, "try later", C::Temporary),
            (Rcpt, 450, "4.1.1 unverified address", C::Temporary),
            (Mail, 451, "4.1.8 domain not found", C::Sender),
            (Dot, 451, "4.7.26 unauthenticated", C::Authentication),
            (Dot, 421, "4.7.0 not now", C::Policy),
            (Dot, 421, "4.7.28 flood", C::Rate),
            (Auth, 454, "4.7.0 temporary authentication failure", C::Temporary),
            (Auth, 432, "4.7.12 password transition", C::RelayAuth),
            (Rcpt, 550, "5.1.1 no such user", C::AddressDead),
            (Dot, 550, "5.1.1 no such user", C::AddressDead),
            (Rcpt, 556, "5.1.10 null MX", C::AddressDead),
            (Rcpt, 556, "domain does not accept mail", C::MailboxOff),
            (Rcpt, 550, "no such user", C::AddressDead),
            (Rcpt, 551, "user not local", C::AddressDead),
            (Rcpt, 553, "mailbox name not allowed", C::AddressDead),
            (Rcpt, 550, "#5.1.0 Address rejected.", C::AddressDead),
            (Rcpt, 550, "sorry, no mailbox here by that name (#5.1.1)", C::AddressDead),
            (Rcpt, 554, "no such user", C::Permanent),
            (Rcpt, 552, "5.2.2 mailbox full", C::MailboxFull),
            (Rcpt, 550, "mailbox is full", C::MailboxFull),
            (Rcpt, 552, "exceeded storage allocation", C::MailboxFull),
            (Rcpt, 550, "5.2.1 mailbox disabled", C::MailboxOff),
            (Rcpt, 550, "account disabled", C::MailboxOff),
            (Mail, 552, "message size exceeds fixed limit", C::Size),
            (Dot, 552, "5.3.4 too big", C::Size),
            (Dot, 552, "message too large", C::Size),
            (Rcpt, 550, "5.7.1 relay access denied", C::Policy),
            (Rcpt, 553, "5.7.1 [BL21] blocked", C::Policy),
            (Rcpt, 550, "#5.7.1 not you", C::Policy),
            (Dot, 550, "no such user", C::Permanent),
            (Dot, 554, "5.7.1 spam", C::Policy),
            (Dot, 554, "5.6.0 bad header", C::Content),
            (Dot, 550, "5.7.26 unauthenticated", C::Authentication),
            (Data, 503, "5.5.1 no valid recipients", C::Protocol),
            (Mail, 501, "syntax", C::Protocol),
            (Mail, 550, "5.1.1 no such user", C::Sender),
            (Mail, 553, "5.1.8 sender domain", C::Sender),
            (Mail, 550, "not you", C::Sender),
            (Mail, 550, "blocked using zen.example", C::Policy),
            (Mail, 530, "5.7.0 authentication required", C::RelayAuth),
            (Auth, 535, "5.7.8 bad credentials", C::RelayAuth),
            (Auth, 504, "mechanism unknown", C::RelayAuth),
            (Dot, 554, "5.7.9 not for us", C::Policy),
            (Ehlo, 550, "go away", C::Permanent),
            (Greeting, 554, "no service here", C::Permanent),
            (Connect, 554, "no", C::Permanent),
        ] {
            let reply = SmtpReply::new(code, words);
            assert_eq!(class(phase, &reply), expected, "{phase} {code} {words}");
        }
    }

    #[test]
    fn a_refusal_at_rcpt_that_speaks_of_anything_else_kills_no_address() {
        for (words, expected) in [
            ("5.1.8 <n@brand.example>: Sender address rejected: Domain not found", "sender"),
            ("5.1.7 bad sender syntax", "sender"),
            ("5.1.0 <n@b.example>: Sender address rejected: User unknown in local table", "sender"),
            ("5.1.1 <n@b.example>: Sender address rejected: undeliverable address", "sender"),
            ("5.1.0 192.0.2.1 is not allowed: see policy", "policy"),
            ("relay not permitted", "policy"),
            ("Sender verify failed", "sender"),
            ("blocked using zen.example", "policy"),
            ("Message refused: SPF check failed", "policy"),
            ("Access denied", "policy"),
            ("that domain isn't in my list (#5.7.1)", "policy"),
            ("refused, 5.7.1 see our page", "permanent"),
            ("Callback setup failed while verifying", "policy"),
        ] {
            let found = class(Phase::Rcpt, &SmtpReply::new(550, words));
            assert_eq!(found.word(), expected, "{words}");
        }
    }

    #[test]
    fn a_code_out_of_place_is_never_acceptance() {
        for (phase, code) in [(Phase::Dot, 354), (Phase::Rcpt, 250), (Phase::Data, 221)] {
            assert_eq!(class(phase, &SmtpReply::new(code, "ok")), ReplyClass::Temporary);
        }
    }

    #[test]
    fn no_4yz_is_ever_a_dead_address() {
        for code in 400..500 {
            for words in ["no such user", "4.1.1 no such user", "5.1.1 no such user"] {
                for phase in Phase::ALL {
                    let reply = SmtpReply::new(code, words);
                    assert!(!may_be_dead(phase, &reply));
                    assert_ne!(class(phase, &reply), ReplyClass::AddressDead);
                }
            }
        }
    }
}
