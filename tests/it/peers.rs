//! The mail servers of the tests are what the tests take them for, shown by a client that is not ours.

use std::path::PathBuf;

use forthwith::sink::{CertificateKind, Certificates};
use tempfile::TempDir;

use crate::harness::confined::MailServer;
use crate::harness::exim::Exim;
use crate::harness::foreign::{SENDER, SmtplibTls, smtplib};
use crate::harness::opensmtpd::OpenSmtpd;
use crate::harness::postfix::{Postfix, PostfixPlan};

const KNOWN: &str = "known@post.example";
const UNKNOWN: &str = "unknown@post.example";
const GONE: &str = "gone@post.example";
/// At a domain that is none of theirs.
const ELSEWHERE: &str = "somebody@elsewhere.example";
const TEXT: &str = "a-word-of-the-body";

/// A server's certificate, and the file with the authority that signed it.
fn certified() -> (Certificates, TempDir, PathBuf) {
    let made = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authorities.pem");
    std::fs::write(&path, &made.authority_pem).unwrap();
    (made, folder, path)
}

/// Whether each line begins like this, and there are no more.
fn said(lines: &[String], beginnings: &[String]) {
    let fits = lines.iter().zip(beginnings).all(|(line, beginning)| line.starts_with(beginning));
    assert!(fits && lines.len() == beginnings.len(), "{lines:#?} is not {beginnings:#?}");
}

fn holds(mail: &[u8], word: &str) -> bool {
    mail.windows(word.len()).any(|window| window == word.as_bytes())
}

#[test]
fn postfix_demands_tls_and_a_log_in_refuses_who_is_unknown_and_bounces_who_is_gone() {
    let (certificates, _folder, authorities) = certified();
    let postfix = Postfix::start(&PostfixPlan {
        certificates: Some(certificates),
        user: Some(("campaigns", "right")),
        known: vec![KNOWN.into()],
        failing: vec![GONE.into()],
        bounces: SENDER.split_once('@').unwrap().1,
    });
    let tls = SmtplibTls::Starttls(&authorities);
    let send = |tls, user, to: &[&str]| smtplib(postfix.port(), tls, user, TEXT, to);

    said(&send(SmtplibTls::None, "", &[KNOWN]), &[format!("{KNOWN} 530 5.7.0")]);
    said(&send(tls, "", &[KNOWN]), &[format!("{KNOWN} 554 5.7.1")]);
    let refused = ["login 535 5.7.8".into(), format!("{KNOWN} 554 5.7.1")];
    said(&send(tls, "campaigns:wrong", &[KNOWN]), &refused);
    said(
        &send(tls, "campaigns:right", &[KNOWN, UNKNOWN, GONE, ELSEWHERE]),
        &[
            "login 235 2.7.0".into(),
            format!("{KNOWN} 250 2.0.0 Ok: queued as "),
            format!("{UNKNOWN} 550 5.1.1"),
            format!("{GONE} 250 2.0.0 Ok: queued as "),
            format!("{ELSEWHERE} 550 5.4.4"),
        ],
    );
    let [mail] = postfix.mails(1).try_into().unwrap();
    assert!(holds(&mail, TEXT) && holds(&mail, &format!("Delivered-To: {KNOWN}")));
    let [bounce] = postfix.bounces(1).try_into().unwrap();
    assert!(holds(&bounce, "Status: 5.1.1") && holds(&bounce, &format!("Delivered-To: {SENDER}")));
    assert!(holds(&bounce, TEXT), "a bounce nobody asked to be short carries the whole mail back");
    assert_eq!(postfix.connections(), 4, "{}", postfix.log());
}

#[test]
fn opensmtpd_speaks_tls_from_the_first_octet_and_refuses_who_is_unknown() {
    let (certificates, _folder, authorities) = certified();
    let server = OpenSmtpd::start(&certificates, &[KNOWN.into()]);
    let tls = SmtplibTls::Implicit(&authorities);
    said(
        &smtplib(server.port(), tls, "", TEXT, &[KNOWN, UNKNOWN, ELSEWHERE]),
        &[format!("{KNOWN} 250 2.0.0"), format!("{UNKNOWN} 550"), format!("{ELSEWHERE} 550")],
    );
    let [mail] = server.mails(1).try_into().unwrap();
    assert!(holds(&mail, TEXT) && holds(&mail, &format!("To: {KNOWN}")));
    assert_eq!(server.connections(), 1, "{}", server.log());
}

#[test]
fn exim_is_plain_and_refuses_who_is_unknown() {
    let exim = Exim::start(&[KNOWN.into()]);
    said(
        &smtplib(exim.port(), SmtplibTls::None, "", TEXT, &[KNOWN, UNKNOWN, ELSEWHERE]),
        &[format!("{KNOWN} 250 OK id="), format!("{UNKNOWN} 550"), format!("{ELSEWHERE} 550")],
    );
    let [mail] = exim.mails(1).try_into().unwrap();
    assert!(holds(&mail, TEXT) && holds(&mail, &format!("Envelope-to: {KNOWN}")));
    assert_eq!(exim.connections(), 1, "{}", exim.log());
}
