//! Where secrets and signed messages of ours may go over HTTP: a place that nobody on the way can read.

use url::Url;

use super::loopback::is_loopback_host;

/// Why a URL cannot be used. None of these repeats it, since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongUrl {
    /// It is none.
    Unreadable,
    /// It holds a user or a password.
    Identified,
    /// Others on the way could read what is said.
    Clear,
}

/// Reads where a server is: `https`, or `http` on this machine, without a user or a password.
pub fn place(url: &str) -> Result<Url, WrongUrl> {
    let parsed = Url::parse(url).map_err(|_| WrongUrl::Unreadable)?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(WrongUrl::Identified);
    }
    let host = parsed.host_str().ok_or(WrongUrl::Unreadable)?;
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if is_loopback_host(host) => Ok(parsed),
        "http" => Err(WrongUrl::Clear),
        _ => Err(WrongUrl::Unreadable),
    }
}

/// As [`place`], for the endpoint that events go to. What is said of a wrong one never repeats it.
pub fn endpoint(url: &str) -> Result<Url, &'static str> {
    place(url).map_err(|wrong| match wrong {
        WrongUrl::Unreadable => "cannot be read; hint: \"https://accounts.brand.example/events\"",
        WrongUrl::Identified => {
            "holds a user or a password; hint: take them out, `key_file` proves who we are"
        }
        WrongUrl::Clear => "would let others on the way read account names; hint: \"https://…\"",
    })
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
