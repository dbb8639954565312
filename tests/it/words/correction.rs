//! The correction as people get it: in their languages, out of the real sink.

use forthwith::engine::progress::Silent;
use tokio_util::sync::CancellationToken;

use super::plan::mails;
use crate::harness::audience::csv_audience;
use crate::harness::{CAMPAIGN, House, INCIDENT, Plan, write};

const PEOPLE: &str = "customer_id,name,email,language,kind\n\
    1,Ada,ada@one.example,fr-BE,\n2,Bob,bob@two.example,de-AT,\n3,Cy,cy@three.example,es,guardian\n\
    4,Di,di@four.example,pt-BR,\n5,Ed,ed@five.example,,\n6,Flo,info@six.example,de,\n";

/// The incident in these languages; a correction shows nothing of its texts.
fn told_in(locales: &[&str]) -> String {
    let texts = |locale: &&str| {
        format!(
            "\n[locale.{locale}]\ntitle = \"t\"\nsummary = \"s\"\nexposed = [\"a\", \"b\"]\n\
             not_exposed = [\"c\"]\nactions_taken = [\"d\"]\n"
        )
    };
    let own = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
    own + &locales.iter().map(texts).collect::<String>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_reaches_people_in_their_own_language_and_names_nobody_where_several_read() {
    let house = House::furnished(Plan { customers: 1, ..Plan::default() }).await;
    write(&house.path("affected.csv"), PEOPLE);
    let mapped = csv_audience("")
        .replace("name = \"name\"", "name = \"name\", locale = \"language\", addressee = \"kind\"");
    house.write_campaign(CAMPAIGN, &mapped);
    let second = "thaw-correction";
    house.write_campaign(second, "[audience.campaign]\nname = \"thaw\"\nclasses = [\"told\"]");
    house.edit("campaigns/thaw-correction.toml", "\"account-breach\"", "\"correction\"");
    let languages = told_in(&["de", "es", "fr", "pt"]);
    write(&house.engine.workspace.incident_file("cold-night").0, &languages);
    house.seal().await;
    house.approve_notice(CAMPAIGN).await;
    assert_eq!(house.run().await.unwrap().totals.told, 6);
    for mail in std::fs::read_dir(house.path("maildir/new")).unwrap() {
        std::fs::remove_file(mail.unwrap().path()).unwrap();
    }

    assert_eq!(house.seal_of(second).await.unwrap().totals.sealed, 6);
    house.approve_notice(second).await;
    house.engine.run(second, &Silent, &CancellationToken::new()).await.unwrap();
    let mails = mails(&house);
    assert_eq!(mails.len(), 6);
    for (to, language, name, greeting, words) in [
        ("ada@one.example", "fr", Some("Ada"), "Bonjour Ada,", "votre compte"),
        ("bob@two.example", "de", Some("Bob"), "Guten Tag Bob,", "zu Ihrem Konto"),
        ("cy@three.example", "es", Some("Cy"), "A la atención de quien", "una cuenta"),
        ("di@four.example", "pt", Some("Di"), "Olá, Di,", "a sua conta"),
        ("ed@five.example", "en", Some("Ed"), "Dear Ed,", "your account"),
        ("info@six.example", "de", None, "Guten Tag,", "zu einem Konto"),
    ] {
        let mail = &mails[to];
        assert_eq!((mail.language.as_str(), mail.name.as_deref()), (language, name), "{to}");
        let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.starts_with(greeting) && text.contains(words), "{to}: {text}");
        assert!(text.contains("www.northwind.example"), "{to}: {text}");
    }
}
