//! `forthwith sink` with its flags, as another program meets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::harness::{binary, terminate, write};

/// A running `forthwith sink`.
struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Running {
    fn start(folder: &Path, words: &[&str]) -> Self {
        let mut child = binary()
            .current_dir(folder)
            .args(["sink", "--listen", "127.0.0.1:0"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let address = first.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, out, address }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        BufReader::new(stream)
    }

    /// Stops it as a service manager does; its counters.
    fn stop(mut self) -> serde_json::Value {
        terminate(&self.child);
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&rest).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Says a line, hears a whole reply.
fn ask(wire: &mut BufReader<TcpStream>, line: &str) -> String {
    wire.get_mut().write_all(line.as_bytes()).unwrap();
    let mut reply = String::new();
    loop {
        let before = reply.len();
        wire.read_line(&mut reply).unwrap();
        if reply.as_bytes()[before..].get(3) != Some(&b'-') {
            return reply;
        }
    }
}

#[test]
fn its_flags_make_a_relay_with_tls_auth_manners_and_faults() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("secret"), "s3cret\n");
    write(&folder.path().join("replies.tsv"), "named@*\trcpt\t550-5.7.1 one\\n550 5.7.1 two\n");
    let sink = Running::start(
        folder.path(),
        &[
            "--tls=starttls",
            "--certificate-kind=expired",
            "--certificate-name=relay.test",
            "--authority-out=authority.pem",
            "--auth-user=ann",
            "--auth-secret-file=secret",
            "--auth-required",
            "--offer=SIZE,starttls,AUTH",
            "--ehlo=lower-case,old-auth",
            "--max-connections=1",
            "--messages-per-connection=9",
            "--greylist=1h:0",
            "--replies=replies.tsv",
            "--fault=rset:twice",
            "--slow-ms=1",
            "--bytewise",
            "--seed=7",
        ],
    );
    let mut wire = sink.connect();
    assert!(ask(&mut wire, "").starts_with("220 "));
    assert_eq!(
        ask(&mut wire, "EHLO me\r\n"),
        "250-localhost at your service\r\n250-size 33554432\r\n250-starttls\r\n\
         250-auth plain login xoauth2\r\n250 auth=plain login xoauth2\r\n"
    );
    assert!(ask(&mut sink.connect(), "").starts_with("421 4.7.0 Too many connections"));
    assert!(ask(&mut wire, "MAIL FROM:<>\r\n").starts_with("530 5.7.0"));
    assert!(ask(&mut wire, "AUTH PLAIN AGFubgBzM2NyZXQ=\r\n").starts_with("235"));
    assert!(ask(&mut wire, "MAIL FROM:<>\r\n").starts_with("250"));
    let named = ask(&mut wire, "RCPT TO:<named@example.org>\r\n");
    assert_eq!(named, "550-5.7.1 one\r\n550 5.7.1 two\r\n");
    assert!(ask(&mut wire, "RCPT TO:<b@example.org>\r\n").starts_with("250"));
    assert!(ask(&mut wire, "DATA\r\n").starts_with("354"));
    assert!(ask(&mut wire, "hi\r\n.\r\n").starts_with("250"));
    assert_eq!(ask(&mut wire, "RSET\r\n"), ask(&mut wire, ""));
    let authority = std::fs::read_to_string(folder.path().join("authority.pem")).unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));
    drop(wire);
    let counts = sink.stop();
    for (name, count) in [
        ("accepted", 1),
        ("auth_successes", 1),
        ("connections", 2),
        ("connections_refused", 1),
        ("refused_rcpt", 1),
        ("spoilt", 1),
    ] {
        assert_eq!(counts[name], count, "{name}: {counts}");
    }
}

#[test]
fn flags_that_cannot_be_kept_exit_one_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("empty"), "\n");
    write(&folder.path().join("replies.tsv"), "alice@example.org rcpt 550 x\n");
    for (words, hint) in [
        (&["--fault=tls:454"][..], "take the TLS mode starttls"),
        (&["--certificate-kind=expired"], "add --tls starttls"),
        (&["--tls=sometimes"], "take none, starttls or implicit"),
        (&["--offer=CHUNKING"], "take PIPELINING"),
        (&["--offer=STARTTLS"], "STARTTLS needs the TLS mode starttls"),
        (&["--auth-user=ann", "--auth-secret-file=empty"], "write it on the first line"),
        (&["--auth-user=ann"], "--auth-secret-file"),
        (&["--replies=replies.tsv"], "part them with tabs"),
        (&["--replies=nowhere"], "name a text file"),
        (&["--greylist=soon"], "write 5m"),
        (&["--max-connections=many"], "write 5, or 5:cut"),
        (&["--tls=implicit", "--certificate=a", "--certificate-key=b"], "name a file"),
    ] {
        let output = binary().current_dir(folder.path()).arg("sink").args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains(hint), "{words:?}: {said}");
        assert!(!said.contains("alice"), "{said}");
    }
}
