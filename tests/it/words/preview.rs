//! A preview is worth what it shows: the very words a person is sent, and every variant of an invented one.

use std::collections::BTreeMap;

use forthwith::domain::amendment::Change;
use forthwith::domain::recipient::Addressee;
use forthwith::engine::preview::{AddressKind, Preview, Subject};
use forthwith::engine::progress::Silent;
use forthwith::secret::token::PlainToken;
use forthwith::store::credentials::Pick;
use forthwith::store::reports::DeliveryFilter;
use mail_parser::MessageParser;

use crate::harness::link::{self, PAGE, link_file};
use crate::harness::tampering::execute;
use crate::harness::{CAMPAIGN, House, Plan};

/// Everybody a notice has words of its own for.
const PEOPLE: &str = "customer_id,name,email,former,changed,proved,kind\n\
    C0000001,Ada,ada@post.example,,,,\nC0000002,Bob,bob@post.example,,,,guardian\n\
    C0000003,Cy,cy@post.example,,,,estate\nC0000004,Di,di@post.example,,,,organisation\n\
    C0000005,Ed,info@post.example,,,,\n\
    C0000006,Flo,duo@post.example,,,,\nC0000007,Gus,duo@post.example,,,,\n\
    C0000008,Hal,group@post.example,,,,\nC0000009,Ida,group@post.example,,,,\n\
    C0000010,Jo,group@post.example,,,,\nC0000011,Kim,group@post.example,,,,\n\
    C0000012,Lee,group@post.example,,,,\nC0000013,Max,group@post.example,,,,\n\
    C0000014,Nan,suspect@post.example,,2012-01-14T12:00:00Z,,\n\
    C0000015,Oz,new@post.example,former@post.example,2012-01-14T12:00:00Z,,\n\
    C0000016,Pam,old@post.example,,,2009-01-01,\nC0000017,Quin,moved@post.example,,,,\n\
    C0000018,Ray,sso@post.example,,,,\nC0000019,Sam,joins@post.example,,,,\n";

/// Ready to run, all credentials settled.
async fn settled() -> House {
    let columns = "account = \"customer_id\", address_before = \"former\", address_changed_at = \
                   \"changed\", last_verified_on = \"proved\", addressee = \"kind\"";
    let campaign = link_file("").replace("account = \"customer_id\"", columns);
    let campaign = format!("{campaign}\n[addresses]\ndormant_after = \"730d\"\n");
    let house = link::furnished(Plan { campaign, ..Plan::default() }).await;
    std::fs::write(house.path("affected.csv"), PEOPLE).unwrap();
    let sso = "UPDATE customer SET password_hash = NULL WHERE id IN ('C0000018', 'C0000009')";
    execute(&house.shop, sso).await;
    house.make_ready().await;
    for (account, address) in
        [("C0000017", "elsewhere@post.example"), ("C0000019", "duo@post.example")]
    {
        house.amended(account, Change::ReplaceAddress(address.parse().unwrap())).await;
    }
    house.secure(Pick::Pending, &Silent).await.unwrap();
    house
}

async fn preview(house: &House, subject: &Subject) -> Preview {
    house.engine.preview_one(CAMPAIGN, subject, None).await.unwrap()
}

/// With the sample's token in place of the person's.
fn with_sample_token(text: &str) -> String {
    let sample = PlainToken::sample().link(PAGE);
    let (_, sample) = sample.expose().split_once('#').unwrap();
    let Some(at) = text.find("fw1_") else { return text.to_owned() };
    let rest = &text[at..];
    let is_of_it = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let end = rest.find(|c| !is_of_it(c)).unwrap_or(rest.len());
    format!("{}{sample}{}", &text[..at], &rest[end..])
}

/// (subject, text, HTML) by reference number.
fn delivered(house: &House) -> BTreeMap<String, [String; 3]> {
    let of = |mail: &String| {
        let mail = MessageParser::default().parse(mail.as_bytes()).unwrap();
        let part = |text: std::borrow::Cow<'_, str>| with_sample_token(&text.replace("\r\n", "\n"));
        let reference = mail.header_raw("X-Notice-Reference").unwrap().trim().to_owned();
        let (text, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
        (reference, [mail.subject().unwrap().to_owned(), part(text), part(html)])
    };
    house.mails().iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_persons_preview_is_word_for_word_what_they_are_sent() {
    let house = settled().await;
    let all =
        house.engine.deliveries(CAMPAIGN, &DeliveryFilter::default(), None, 100).await.unwrap();
    let mut shown = BTreeMap::new();
    for one in &all {
        shown.insert(one.number, preview(&house, &Subject::Person(one.number)).await);
    }
    assert!(house.run().await.unwrap().is_finished);
    let mails = delivered(&house);
    assert_eq!(mails.len(), 15, "19 people, 5 of them named in the notice of one, and a copy");
    let mut compared = 0;
    for one in &all {
        let Some([subject, text, html]) = mails.get(&one.reference) else { continue };
        let preview = &shown[&one.number];
        assert_eq!(preview.number, Some(one.number));
        let rendered = &preview.rendered;
        assert_eq!((&rendered.subject, &rendered.text), (subject, text));
        assert_eq!(&rendered.html, html);
        assert!(preview.notes.is_empty(), "{:?}", preview.notes);
        compared += 1;
    }
    assert_eq!(compared, mails.len());
    // who is named in another's notice is shown that one, and told so
    let carried: Vec<&Preview> = all
        .iter()
        .map(|one| (one.number, &shown[&one.number]))
        .filter(|(number, preview)| preview.number != Some(*number))
        .map(|(_, preview)| preview)
        .collect();
    assert_eq!(carried.len(), 5);
    for preview in carried {
        assert!(preview.notes[0].contains("stands for 6 accounts"), "{:?}", preview.notes);
        assert!(preview.rendered.text.contains("6\u{a0}accounts"), "{}", preview.rendered.text);
    }
    let told = preview(&house, &Subject::Person(all[0].number)).await;
    assert!(told.notes[0].contains("is told"), "{:?}", told.notes);
}

#[tokio::test]
async fn every_variant_of_an_invented_person_can_be_looked_at() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    for (addressee, address, words) in [
        (Addressee::SelfPerson, AddressKind::Own, "Dear Alex Sample,"),
        (Addressee::SelfPerson, AddressKind::Shared, "Several people may read this mailbox"),
        (Addressee::SelfPerson, AddressKind::Combined { accounts: 1_200 }, "1,200\u{a0}accounts"),
        (Addressee::SelfPerson, AddressKind::Combined { accounts: 7 }, "concerned: 7 of 7."),
        (Addressee::SelfPerson, AddressKind::Suspect, "was changed since this incident began"),
        (Addressee::SelfPerson, AddressKind::Dormant, "Nobody has confirmed for a long time"),
        (Addressee::SelfPerson, AddressKind::Copy, "about the security of an account"),
        (Addressee::Guardian, AddressKind::Own, "To the parent or guardian of Alex Sample,"),
        (Addressee::Guardian, AddressKind::Shared, "To the parent or guardian of the account"),
        (Addressee::Estate, AddressKind::Own, "To the estate or relatives of Alex Sample,"),
        (Addressee::Organisation, AddressKind::Own, "For the attention of Alex Sample,"),
    ] {
        let subject = Subject::Variant { locale: None, addressee, address };
        let shown = preview(&house, &subject).await;
        let text = shown.rendered.text.split([' ', '\n']).collect::<Vec<_>>().join(" ");
        assert!(text.contains(words), "{addressee:?} {address:?}: {text}");
        assert_eq!(text.contains("Alex"), address == AddressKind::Own, "{text}");
        assert_eq!((shown.number, shown.notes.len()), (None, 0));
    }
}
