use super::*;

fn changes() -> [Change; 6] {
    [
        Change::Withdraw,
        Change::ReplaceAddress("ada@new.example".parse().unwrap()),
        Change::ChangeChannel(Channel::Post),
        Change::Hold,
        Change::Release,
        Change::Waive,
    ]
}

const GOOD: Standing = Standing { address: AddressReason::Ok, is_unsecured: false };

/// By kind, in the order of `AmendmentKind::ALL`: the class each leaves to, `-` where it may not.
#[test]
fn each_kind_leaves_the_classes_it_may_and_no_others() {
    let table = [
        ("queued", "", ["withdrawn", "queued", "fallback/channel", "held/operator", "-", "w"]),
        ("deferred", "", ["withdrawn", "queued", "fallback/channel", "held/operator", "-", "w"]),
        ("in-doubt", "due", ["withdrawn", "queued", "fallback/channel", "-", "-", "w"]),
        ("in-doubt", "held", ["withdrawn", "queued", "fallback/channel", "-", "-", "w"]),
        ("held", "conflict", ["withdrawn", "queued", "fallback/channel", "-", "queued", "w"]),
        ("held", "operator", ["withdrawn", "queued", "fallback/channel", "-", "queued", "w"]),
        ("held", "content", ["withdrawn", "queued", "fallback/channel", "-", "queued", "w"]),
        ("held", "shared", ["withdrawn", "queued", "fallback/channel", "-", "queued", "w"]),
        ("held", "credential", ["withdrawn", "queued", "fallback/channel", "-", "-", "w"]),
        ("fallback", "bounced", ["withdrawn", "queued", "fallback/channel", "-", "-", "w"]),
        ("fallback", "address:missing", ["withdrawn", "queued", "fallback/channel", "-", "-", "w"]),
        ("told", "accepted", ["-", "queued", "-", "-", "-", "-"]),
        ("told", "post", ["-", "-", "-", "-", "-", "-"]),
        ("told", "carrier", ["-", "-", "-", "-", "-", "-"]),
        ("withdrawn", "", ["-", "-", "-", "-", "-", "-"]),
        ("waived", "cancelled", ["-", "-", "-", "-", "-", "-"]),
    ];
    for (class, reason, lands) in table {
        let from = DeliveryClass::parse(class, reason).unwrap();
        for (change, expected) in changes().iter().zip(lands) {
            let to = change.lands(&from, GOOD).map(|to| to.label());
            let expected = match expected {
                "-" => None,
                "w" => Some(waived(&from).label()),
                label => Some(label.to_owned()),
            };
            assert_eq!(to.ok(), expected, "{:?} from {}", change.kind(), from.label());
        }
    }
}

#[test]
fn nobody_is_queued_for_an_address_or_a_credential_that_forbids_it() {
    let from = DeliveryClass::Held(HeldReason::Conflict);
    let missing = Standing { address: AddressReason::Missing, ..GOOD };
    let unsecured = Standing { is_unsecured: true, ..GOOD };
    let lands = |change: &Change, standing| change.lands(&from, standing).unwrap().label();
    assert_eq!(lands(&Change::Release, missing), "fallback/address:missing");
    assert_eq!(lands(&Change::Release, unsecured), "held/credential");
    let [_, replace, ..] = changes();
    assert_eq!(lands(&replace, missing), "queued");
    assert_eq!(lands(&replace, unsecured), "held/credential");
}

#[test]
fn where_a_notice_goes_takes_two_and_evidence() {
    let held = DeliveryClass::Held(HeldReason::Operator);
    for kind in AmendmentKind::ALL {
        let steers = matches!(kind, AmendmentKind::ReplaceAddress | AmendmentKind::ChangeChannel);
        assert_eq!(kind.voices(), if steers { 2 } else { 1 }, "{kind:?}");
        let waives = kind == AmendmentKind::Waive;
        assert_eq!(kind.needs_evidence(&held), steers || waives, "{kind:?}");
        assert_eq!(kind.needs_evidence(&DeliveryClass::Deferred), steers, "{kind:?}");
        assert_eq!(AmendmentKind::parse(kind.word()), Some(kind));
    }
}

#[test]
fn what_is_signed_has_one_form_and_reads_back() {
    for change in changes() {
        let amendment = Amendment::new([7; 16], change, " asked by phone ", "ticket 12").unwrap();
        assert_eq!(amendment.reason, "asked by phone");
        let bytes = amendment.canonical();
        assert_eq!(Amendment::decode(&bytes).unwrap(), amendment);
        for cut in 0..bytes.len() {
            assert!(Amendment::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(Amendment::decode(&longer), Err(BodyError::Unreadable));
    }
    let new = |reason: &str| Amendment::new([0; 16], Change::Hold, reason, "").unwrap_err();
    assert_eq!(new(" \n"), BodyError::NoReason);
    assert_eq!(new(&"x".repeat(1_001)), BodyError::TooLong);
}
