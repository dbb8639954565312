use std::os::unix::fs::PermissionsExt as _;

use super::*;

const ASKED_AT: &str = "2026-11-27T08:00:00Z";

fn desk() -> Desk {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789abcdef0123456789abcdef").unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    Desk::open(file.path()).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A rightly signed question, and its signature.
fn signed(desk: &Desk, id: &str, directory: &str, account: &str, when: &str) -> String {
    let second = at(when).as_second().to_string();
    let mac = desk.key.sign(&[&second, id], format!("{directory}.{account}").as_bytes());
    signature(&second, &mac)
}

#[test]
fn a_question_is_taken_once_lately_and_as_it_was_signed() {
    let (desk, id) = (desk(), "0123456789abcdef");
    let sign = |when| signed(&desk, id, "main", "QzE=", when);
    let (good, old) = (sign(ASKED_AT), sign("2026-11-27T07:54:59Z"));
    let early = sign("2026-11-27T08:05:01Z");
    let asked = |signature| SignedQuestion { signature, id, directory: "main", account: "QzE=" };
    let now = at(ASKED_AT);
    for wrong in [
        SignedQuestion { directory: "", ..asked(&good) },
        SignedQuestion { account: "QzI=", ..asked(&good) },
        SignedQuestion { id: "0123456789abcdeF", ..asked(&good) },
        SignedQuestion { id: "short", ..asked(&good) },
        SignedQuestion { id: "0123456789.abcdef", ..asked(&good) },
        asked(""),
        asked("t=1,v1="),
        asked(&old),
        asked(&early),
    ] {
        assert!(desk.check(&wrong, now).is_err(), "{wrong:?}");
    }
    let question = desk.check(&asked(&good), now).unwrap();
    assert_eq!((question.directory.as_str(), question.account.as_str()), ("main", "C1"));
    assert_eq!(desk.check(&asked(&good), now), Err("it was asked before"));
}

#[test]
fn an_id_is_remembered_for_as_long_as_its_question_is_fresh_and_not_for_ever() {
    let mut seen = Seen::default();
    let begun = at(ASKED_AT);
    assert!(seen.note("a", begun));
    for minutes in [1, 9, 10, 11, 19] {
        let now = begun + SignedDuration::from_mins(minutes);
        assert!(!seen.note("a", now), "{minutes}");
    }
    assert!(seen.note("b", begun + SignedDuration::from_mins(22)));
    assert!(seen.note("a", begun + SignedDuration::from_mins(60)), "far too old to be fresh");
    assert!(seen.now.len() + seen.before.len() <= 2);
}

#[test]
fn the_worst_of_several_campaigns_is_told() {
    let all = CredentialClass::ALL;
    let mut ranks: Vec<u8> = all.iter().map(|class| rank(*class)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    assert_eq!(ranks.len(), all.len());
    assert!(rank(CredentialClass::Expired) < rank(CredentialClass::Reset));
    assert!(rank(CredentialClass::Pending) < rank(CredentialClass::Reset));
}
