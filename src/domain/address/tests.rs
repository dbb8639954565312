use super::*;

#[test]
fn addresses_that_can_be_mailed_pass() {
    for (text, full) in [
        ("ada@example.com", "ada@example.com"),
        (" \tAda.Lovelace+news@Example.COM\u{A0}", "Ada.Lovelace+news@example.com"),
        ("o'brien@example.co.uk", "o'brien@example.co.uk"),
        ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
        ("\"ada@home\"@example.com", "\"ada@home\"@example.com"),
        (r#""a\"b\\"@example.com"#, r#""a\"b\\"@example.com"#),
        ("andré@example.fr", "andré@example.fr"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@1und1.de", "ada@1und1.de"),
        ("a@b.c", "a@b.c"),
    ] {
        assert_eq!(EmailAddress::parse(text).map(|a| a.full), Ok(full.into()), "{text:?}");
    }
}

#[test]
fn every_other_text_is_refused_with_its_reason() {
    use AddressError::{
        AddressLiteral, Control, DomainSyntax, Empty, LocalEmpty, LocalSyntax, Mailto, NoAt, NoDot,
        Space, TrailingDot, Wrapped,
    };
    for (text, reason) in [
        ("", Empty),
        ("  \r\n", Empty),
        ("ada", NoAt),
        ("n/a", NoAt),
        ("@example.com", LocalEmpty),
        ("ada@", DomainSyntax),
        ("ada lovelace@example.com", Space),
        ("\"ada lovelace\"@example.com", Space),
        ("ada@exam\u{3000}ple.com", Space),
        ("ada@example.com\r\nBcc: x@y.z", Space),
        ("ada\0@example.com", Control),
        ("ada\u{202E}@example.com", Control),
        ("ada@exam\u{AD}ple.com", Control),
        ("a\u{200B}da@example.com", Control),
        (".ada@example.com", LocalSyntax),
        ("ada.@example.com", LocalSyntax),
        ("a..da@example.com", LocalSyntax),
        ("ada@home@example.com", LocalSyntax),
        ("Ada<ada@example.com", Wrapped),
        ("ada,bob@example.com", LocalSyntax),
        ("mailto:ada@example.com", Mailto),
        ("\"ada@example.com", LocalSyntax),
        ("\"\"@example.com", LocalSyntax),
        ("\"@example.com", LocalSyntax),
        ("\"a\"b\"@example.com", LocalSyntax),
        ("\"a\\\"@example.com", LocalSyntax),
        ("ada@[192.0.2.1]", AddressLiteral),
        ("ada@[IPv6:2001:db8::1]", AddressLiteral),
        ("ada@192.0.2.1", DomainSyntax),
        ("ada@example.com.", TrailingDot),
        ("ada@example。", TrailingDot),
        ("ada@localhost", NoDot),
        ("ada@example..com", DomainSyntax),
        ("ada@-example.com", DomainSyntax),
        ("ada@example-.com", DomainSyntax),
        ("ada@exa_mple.com", DomainSyntax),
        ("ada@example.com>", Wrapped),
        ("ada@example.com;bob", DomainSyntax),
        ("ada@xn--a.example", DomainSyntax),
    ] {
        assert_eq!(EmailAddress::parse(text), Err(reason), "{text:?}");
    }
}

#[test]
fn what_is_read_in_one_pass_is_what_all_the_rules_read() {
    use rand::{RngExt as _, SeedableRng as _};
    let mut rng = rand::rngs::SmallRng::seed_from_u64(11);
    let letters: Vec<char> = "aZ09.-_xnXNabcdefghijk+'/|:;,<(@\"\\ é".chars().collect();
    let mut plain = 0;
    for _ in 0..200_000 {
        let mut part = |most| -> String {
            let length = rng.random_range(1..most);
            (0..length).map(|_| letters[rng.random_range(0..letters.len())]).collect()
        };
        let text = format!("{}@{}.{}", part(5), part(6), part(4));
        let Some(read) = EmailAddress::plain(&text) else { continue };
        plain += 1;
        assert!(form::more_than_an_address(&text).is_none(), "{text:?}");
        let (local, domain) = text.rsplit_once('@').unwrap();
        check_local(local).unwrap();
        let full = format!("{local}@{}", ascii_domain(domain).unwrap());
        assert_eq!((read.full, read.at), (full, local.len()), "{text:?}");
    }
    assert!(plain > 1_000, "{plain}");
    for text in ["a@xn--a.example", "a@b--c.example", "a@1.2", "a@b", "a@b.c."] {
        assert!(EmailAddress::plain(text).is_none(), "{text}");
    }
}

#[test]
fn lengths_are_counted_in_octets_of_what_goes_over_the_wire() {
    let parse = |text: String| EmailAddress::parse(&text).map(|a| a.as_str().len());
    assert_eq!(parse(format!("{}@b.example", "a".repeat(64))), Ok(74));
    assert_eq!(parse(format!("{}@b.example", "a".repeat(65))), Err(AddressError::LocalTooLong));
    assert_eq!(parse(format!("{}@b.example", "é".repeat(33))), Err(AddressError::LocalTooLong));
    let domain = |last: usize| format!("{0}.{0}.{0}.{1}", "d".repeat(62), "e".repeat(last));
    assert_eq!(parse(format!("a@{}", domain(63))), Ok(254));
    assert_eq!(parse(format!("ab@{}", domain(63))), Err(AddressError::TooLong));
    assert_eq!(parse(format!("a@{}.example", "d".repeat(64))), Err(AddressError::DomainSyntax));
}

#[test]
fn an_address_masks_itself_wherever_it_is_printed() {
    for (text, masked) in [
        ("ada@example.com", "a***@e***.com"),
        ("b@shop.example.co.uk", "b***@s***.uk"),
        ("\"ada@home\"@example.com", "a***@e***.com"),
        ("_@example.com", "***@e***.com"),
    ] {
        let address = EmailAddress::parse(text).unwrap();
        assert_eq!(address.to_string(), masked);
        assert_eq!(format!("{address:?}"), masked);
    }
    for text in ["secret@localhost", "secret word@x.org", "secret..x@x.org"] {
        let error = EmailAddress::parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

#[test]
fn parts_canonical_form_and_display_domain() {
    let address = EmailAddress::parse("Ada.É@Bücher.Example").unwrap();
    assert_eq!(address.local_part(), "Ada.É");
    assert_eq!(address.domain(), "xn--bcher-kva.example");
    assert_eq!(address.display_domain(), "bücher.example");
    assert_eq!(address.canonical(), "ada.É@xn--bcher-kva.example");
    assert!(address.needs_smtputf8());
    assert!(!EmailAddress::parse("ada@bücher.example").unwrap().needs_smtputf8());
}

#[test]
fn deserializing_goes_through_the_parser() {
    let read = serde_json::from_str::<EmailAddress>;
    assert_eq!(read("\" ada@Example.com\"").unwrap().as_str(), "ada@example.com");
    let error = read("\"secret@localhost\"").unwrap_err().to_string();
    assert!(error.contains("no dot") && !error.contains("secret"), "{error}");
}
