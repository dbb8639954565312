//! Where signed messages of ours may go: a place that only the endpoint itself can read on the way to.

use url::Url;

use super::loopback::is_loopback_host;

/// Reads an endpoint's URL: https, or http on this machine, without a user or a password. What is said of a
/// wrong one never repeats it, since it may hold one.
pub fn endpoint(url: &str) -> Result<Url, &'static str> {
    let unreadable = "cannot be read; hint: \"https://accounts.brand.example/events\"";
    let parsed = Url::parse(url).map_err(|_| unreadable)?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(
            "holds a user or a password; hint: take them out, `key_file` proves who we are",
        );
    }
    let host = parsed.host_str().ok_or(unreadable)?;
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if is_loopback_host(host) => Ok(parsed),
        "http" => Err("would let others on the way read account names; hint: \"https://…\""),
        _ => Err(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_travel_over_tls_or_stay_on_this_machine() {
        for fine in ["https://a.example/f?x=1", "http://127.0.0.1:81/f", "http://localhost/f"] {
            assert!(endpoint(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "http://a.example/f",
            "https://ann:hunter2@a.example/f",
            "ftp://a.example",
            "a.example",
            "",
        ] {
            let said = endpoint(wrong).unwrap_err();
            assert!(said.contains("hint: ") && !said.contains("hunter2"), "{said}");
        }
    }
}
