//! Finds the Message-ID in a message as received. Knows header fields only.

/// The value of the first Message-ID field (RFC 5322 section 3.6.4), unfolded, or `-`.
pub(super) fn message_id(body: &[u8]) -> String {
    const NAME: &[u8] = b"message-id:";
    let mut lines = body.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end);
    let mut value = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let Some((name, first)) = line.split_at_checked(NAME.len()) else {
            continue;
        };
        if name.eq_ignore_ascii_case(NAME) {
            value.extend_from_slice(first);
            lines
                .take_while(|line| line.starts_with(b" ") || line.starts_with(b"\t"))
                .for_each(|folded| value.extend_from_slice(folded));
            break;
        }
    }
    let visible = |c: &char| !c.is_whitespace() && !c.is_control();
    let id: String = String::from_utf8_lossy(&value).chars().filter(visible).collect();
    if id.is_empty() { "-".into() } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_id_is_found_in_the_header_only() {
        for (body, id) in [
            ("From: a\r\nmessage-id:\r\n <a@b>\r\nTo: c\r\n\r\n", "<a@b>"),
            ("Message-ID:<a\tb@c>\r\n\r\n", "<ab@c>"),
            ("From: a\r\n\r\nMessage-ID: <body@x>\r\n", "-"),
            ("Subject: x\r\n Message-ID: <folded@x>\r\n\r\n", "-"),
            ("", "-"),
        ] {
            assert_eq!(message_id(body.as_bytes()), id, "{body:?}");
        }
    }
}
