//! The id under which a server says it queued a message, in the forms of the common servers.

use super::status::EnhancedStatus;

/// The longest queue id believed.
const MAX_QUEUE_ID: usize = 128;
/// A lone word after `Ok` is an id only from this length on: shorter ones are words.
const LEAST_LONE: usize = 16;

/// The queue id in the words of a 250 to the dot, where they tell one.
pub(super) fn read(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    queued_as(&words)
        .or_else(|| words.iter().find_map(|word| after_key(word, "id=")))
        .or_else(|| words.iter().find_map(|word| after_key(word, "[InternalId=")))
        .or_else(|| before_accepted(text))
        .or_else(|| after_word(&words, "qp"))
        .or_else(|| google(&words))
        .or_else(|| lone(&words))
        .map(|id| id.trim_end_matches([',', ';', '.', ']', ')']))
        .filter(|id| is_queue_id(id))
}

/// Postfix and many services: `Ok: queued as ID`.
fn queued_as<'a>(words: &[&'a str]) -> Option<&'a str> {
    words
        .windows(3)
        .find(|three| same(three[0], "queued") && same(three[1], "as"))
        .map(|three| three[2])
}

/// Sendmail and OpenSMTPD: `2.0.0 ID Message accepted for delivery`.
fn before_accepted(text: &str) -> Option<&str> {
    let at = text.find("Message accepted for delivery")?;
    let id = text[..at].split_whitespace().next_back()?;
    (EnhancedStatus::dressed(id).is_none() && !same(id, "ok")).then_some(id)
}

/// qmail: `ok 1700000000 qp ID`.
fn after_word<'a>(words: &[&'a str], word: &str) -> Option<&'a str> {
    words.windows(2).find(|two| two[0] == word).map(|two| two[1])
}

/// Google: `2.0.0 OK 1700000000 ID - gsmtp`.
fn google<'a>(words: &[&'a str]) -> Option<&'a str> {
    match words {
        [.., id, "-", "gsmtp"] => Some(id),
        _ => None,
    }
}

/// Amazon SES, Courier: `Ok ID` and nothing else. An id has a digit, and is longer than a word.
fn lone<'a>(words: &[&'a str]) -> Option<&'a str> {
    let words = match words {
        [status, rest @ ..] if EnhancedStatus::dressed(status).is_some() => rest,
        all => all,
    };
    match words {
        [ok, id] if same(ok.trim_end_matches('.'), "ok") => {
            let is_long = id.len() >= LEAST_LONE && id.bytes().any(|byte| byte.is_ascii_digit());
            is_long.then_some(*id)
        }
        _ => None,
    }
}

/// Equal but for ASCII case and a final colon.
fn same(word: &str, wanted: &str) -> bool {
    word.trim_end_matches(':').eq_ignore_ascii_case(wanted)
}

/// The rest of a word that starts with `key`.
fn after_key<'a>(word: &'a str, key: &str) -> Option<&'a str> {
    word.get(..key.len()).filter(|head| head.eq_ignore_ascii_case(key)).map(|_| &word[key.len()..])
}

/// Whether a word may be a queue id.
fn is_queue_id(word: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_QUEUE_ID).contains(&word.len()) && word.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids_of_the_common_servers_are_read() {
        for (words, id) in [
            // Postfix, short and long ids, and behind a content filter
            ("2.0.0 Ok: queued as 4QYZ1c2mXzz9v", Some("4QYZ1c2mXzz9v")),
            ("2.0.0 Ok: queued as 9D3F14C0A2", Some("9D3F14C0A2")),
            (
                "2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 5C1B2D",
                Some("5C1B2D"),
            ),
            ("Ok: queued as ABC", Some("ABC")),
            // Exim, both lengths
            ("OK id=1rXabc-0001Ab-2C", Some("1rXabc-0001Ab-2C")),
            ("OK id=1rXabc-000000001Ab-2CdE", Some("1rXabc-000000001Ab-2CdE")),
            // OpenSMTPD, Sendmail
            ("2.0.0 5c1b2a3d Message accepted for delivery", Some("5c1b2a3d")),
            ("2.0.0 v1ABCd99012345 Message accepted for delivery", Some("v1ABCd99012345")),
            ("2.0.0 Message accepted for delivery", None),
            ("Message accepted for delivery", None),
            // qmail
            ("ok 1700000000 qp 12345", Some("12345")),
            // Exchange
            (
                "2.6.0 <m@x.example> [InternalId=123, Hostname=h] 4 bytes Queued mail for delivery",
                Some("123"),
            ),
            // Amazon SES, SendGrid, Google
            (
                "Ok 0100018f1a2b3c4d-5e6f7a8b-1234-5678-9abc-def012345678-000000",
                Some("0100018f1a2b3c4d-5e6f7a8b-1234-5678-9abc-def012345678-000000"),
            ),
            ("Ok: queued as kQ3bV7xWT1a-_9ZyXw", Some("kQ3bV7xWT1a-_9ZyXw")),
            (
                "2.0.0 OK  1700000000 a640c23a62f3a-si12345wmb.12 - gsmtp",
                Some("a640c23a62f3a-si12345wmb.12"),
            ),
            // Courier
            ("Ok. 000000000003A5F6.0000000065", Some("000000000003A5F6.0000000065")),
            // no id at all
            ("ok dirdel", None),
            ("2.0.0 OK", None),
            ("OK", None),
            ("OK, message accepted", None),
            ("2.0.0 Ok: queued", None),
            ("Ok: queued as <script>", None),
            ("Queued (0.203 seconds)", None),
            ("", None),
        ] {
            assert_eq!(read(words), id, "{words}");
        }
    }
}
