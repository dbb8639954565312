use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn ada() -> Recipient {
    Recipient {
        account: AccountRef::parse("c-7").unwrap(),
        address: Some(EmailAddress::parse("ada@example.com").unwrap()),
        address_text: None,
        reason: AddressReason::Ok,
        locale: Some("en-GB".into()),
        region: None,
        addressee: Addressee::SelfPerson,
        name: Some(Name::parse("Ada").unwrap()),
        name_refused: false,
        fields: BTreeMap::from([("product".into(), "Opera".into())]),
        refused: BTreeSet::from(["seat".into()]),
        address_changed_at: Some("2018-08-21T21:58:05.25Z".parse().unwrap()),
        address_before: None,
        password_changed_at: None,
        last_verified_on: Some("2018-08-21".parse().unwrap()),
    }
}

#[test]
fn the_canonical_bytes_are_those_that_earlier_seals_hold() {
    let pinned = "01\
        0000000000000003632d37\
        000000000000000f616461406578616d706c652e636f6d\
        0000000000000000\
        00000000000000026f6b\
        0000000000000005656e2d4742\
        0000000000000000\
        000000000000000473656c66\
        0000000000000003416461\
        0000000000000000\
        0000000000000017323031382d30382d32315432313a35383a30352e32355a\
        0000000000000000\
        000000000000000a323031382d30382d3231\
        000000000000000131\
        000000000000000770726f64756374\
        00000000000000054f70657261\
        000000000000000131\
        000000000000000473656174";
    assert_eq!(hex::encode(ada().canonical()), pinned);
    let before = Some(EmailAddress::parse("a@b.example").unwrap());
    let moved = Recipient { address_before: before, ..ada() };
    let pinned = format!("02{}000000000000000b6140622e6578616d706c65", &pinned[2..]);
    assert_eq!(hex::encode(moved.canonical()), pinned);
}

#[test]
fn an_address_from_before_the_change_was_never_moved() {
    let at: Timestamp = "2018-08-21T21:58:05.25Z".parse().unwrap();
    let before = Some(EmailAddress::parse("a@b.example").unwrap());
    let newer = Recipient { address_before: before.clone(), ..ada() };
    let earlier = Recipient { address: before.clone(), address_before: before, ..ada() };
    let nowhere = Recipient { address: None, ..ada() };
    for (row, is_moved) in [(ada(), true), (newer, true), (earlier, false), (nowhere, true)] {
        assert_eq!(row.moved_since(at), is_moved);
        assert!(!row.moved_since(at + jiff::SignedDuration::from_nanos(1)));
    }
}

fn text(rng: &mut SmallRng) -> String {
    let letters = ['a', 'Z', '0', 'é', '王', '\n', ' ', '"', '🎁'];
    (0..rng.random_range(1..9)).map(|_| letters[rng.random_range(0..letters.len())]).collect()
}

fn maybe<T>(rng: &mut SmallRng, make: impl FnOnce(&mut SmallRng) -> T) -> Option<T> {
    rng.random::<bool>().then(|| make(rng))
}

fn any_recipient(rng: &mut SmallRng) -> Recipient {
    let instant = |rng: &mut SmallRng| {
        Timestamp::new(rng.random_range(-9_000_000_000..9_000_000_000), rng.random_range(0..9))
            .unwrap()
    };
    Recipient {
        account: AccountRef::parse(&format!("c{}", rng.random::<u64>())).unwrap(),
        address: maybe(rng, |rng| {
            EmailAddress::parse(&format!("a{}@bücher.example", rng.random::<u32>())).unwrap()
        }),
        address_text: maybe(rng, text),
        reason: AddressReason::ALL[rng.random_range(0..8)],
        locale: maybe(rng, |_| "pt-BR".into()),
        region: maybe(rng, text),
        addressee: Addressee::ALL[rng.random_range(0..4)],
        name: maybe(rng, |_| Name::parse("Bjørn O'Brien").unwrap()),
        name_refused: rng.random(),
        fields: (0..rng.random_range(0..4)).map(|_| (text(rng), text(rng))).collect(),
        refused: (0..rng.random_range(0..4)).map(|_| text(rng)).collect(),
        address_changed_at: maybe(rng, instant),
        address_before: maybe(rng, |rng| {
            EmailAddress::parse(&format!("b{}@post.example", rng.random::<u32>())).unwrap()
        }),
        password_changed_at: maybe(rng, instant),
        last_verified_on: maybe(rng, |rng| Date::new(rng.random_range(1..9999), 2, 28).unwrap()),
    }
}

#[test]
fn any_row_reads_back_as_itself() {
    let mut rng = SmallRng::seed_from_u64(7);
    for _ in 0..2_000 {
        let recipient = any_recipient(&mut rng);
        let row = recipient.canonical();
        assert!(Recipient::decode(&row).unwrap() == recipient);
    }
}

#[test]
fn a_row_cut_short_or_with_a_changed_byte_never_reads_as_the_same_person() {
    let row = ada().canonical();
    for end in 0..row.len() {
        assert!(Recipient::decode(&row[..end]).is_err(), "cut at {end}");
    }
    for at in 0..row.len() {
        for bit in 0..8 {
            let mut other = row.clone();
            other[at] ^= 1 << bit;
            assert!(Recipient::decode(&other).map_or(true, |read| read != ada()), "{at}/{bit}");
        }
    }
    let mut longer = row.clone();
    longer.push(0);
    assert_eq!(Recipient::decode(&longer), Err(DecodeError::NotCanonical));
    assert_eq!(Recipient::decode(&[3]), Err(DecodeError::Version(3)));
    let mut empty = row.clone();
    empty[0] = 2;
    push(&mut empty, "");
    assert_eq!(Recipient::decode(&empty), Err(DecodeError::NotCanonical), "no second form");
}

#[test]
fn a_count_of_fields_beyond_the_bytes_is_refused_without_reserving_room() {
    let bare = Recipient { fields: BTreeMap::new(), refused: BTreeSet::new(), ..ada() };
    let mut row = bare.canonical();
    row.truncate(row.len() - 18);
    push(&mut row, "18446744073709551615");
    assert_eq!(Recipient::decode(&row), Err(DecodeError::Truncated("field name")));
}

#[test]
fn debug_output_holds_no_account_name_or_value() {
    let shown = format!("{:?}", ada());
    for secret in ["c-7", "ada@", "Ada", "Opera"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("a***@e***.com") && shown.contains("product"), "{shown}");
}

#[test]
fn an_account_reference_is_the_exact_bytes_after_trimming() {
    assert_eq!(AccountRef::parse(" 0007\u{A0}\r\n").unwrap().as_str(), "0007");
    assert_eq!(AccountRef::parse("Ada ß").unwrap().as_str(), "Ada ß");
    assert_eq!(AccountRef::parse(" \t"), Err(AccountError::Empty));
    assert_eq!(AccountRef::parse("a\nb"), Err(AccountError::Control));
    assert!(AccountRef::parse(&"é".repeat(127)).is_ok());
    assert_eq!(AccountRef::parse(&"é".repeat(128)), Err(AccountError::TooLong));
}

#[test]
fn locales_are_written_one_way() {
    for (text, tag) in [
        ("en", Some("en")),
        ("pt_br", Some("pt-BR")),
        ("ZH-hant-tw", Some("zh-Hant-TW")),
        ("es-419", Some("es-419")),
        (" de-AT ", Some("de-AT")),
        ("sl-rozaj", Some("sl-rozaj")),
        ("", None),
        ("german", None),
        ("de_DE.UTF-8", None),
        ("en-", None),
        ("../etc", None),
        ("e", None),
        ("en-Straße", None),
    ] {
        assert_eq!(parse_locale(text).as_deref(), tag, "{text}");
    }
    assert_eq!(parse_region(" Baden-Württemberg "), Some("Baden-Württemberg".into()));
    assert_eq!(parse_region("a\nb"), None);
    assert_eq!(parse_region(&"x".repeat(65)), None);
}
