//! What a plan refuses and counts for the sake of words: nothing of it may be found out when sending.

use std::collections::BTreeMap;
use std::path::Path;

use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::engine::plan::Plan as Planned;
use mail_parser::MessageParser;

use crate::harness::link::{self, link_file};
use crate::harness::snapshot::Told;
use crate::harness::{CAMPAIGN, House, INCIDENT, Plan, campaign_file, write};

const FRENCH: &str = r#"
[locale.fr]
title = "Accès non autorisé à des comptes de clients"
summary = "Une personne non autorisée a atteint un serveur contenant des données de comptes."
exposed = ["nom", "adresse électronique"]
not_exposed = ["numéro complet de carte bancaire"]
actions_taken = ["Nous avons fermé l’accès utilisé."]
"#;

const PEOPLE: &str = "customer_id,name,email,language,country,kind,product,bought_on\n\
    C0000001,Ada,ada@one.example,fr-BE,,,Opera,2012-01-02\n\
    C0000002,Bob,bob@two.example,,Canada/QC,,,\n\
    C0000003,Cy,cy@three.example,de,Canada/ON,guardian,Lieder,\n\
    C0000004,http://evil.example,di@four.example,fi,Belgium,,,\n\
    C0000005,Ed,info@five.example,,,organisation,Blues,2012-01-03\n";

/// A house of these five, told in English and French, its notice's section with further keys.
async fn house(notice: &str) -> House {
    let columns = "locale = \"language\", region = \"country\", addressee = \"kind\", \
                   fields = { product = \"text\", bought_on = \"date\" }, account = \"customer_id\"";
    let campaign = campaign_file("")
        .replace("account = \"customer_id\"", columns)
        .replace("template =", &format!("{notice}\ntemplate ="));
    let house = House::furnished(Plan { customers: 30, campaign, ..Plan::default() }).await;
    std::fs::write(house.path("affected.csv"), PEOPLE).unwrap();
    write(&house.engine.workspace.incident_file("cold-night").0, &format!("{INCIDENT}{FRENCH}"));
    house.seal().await;
    house
}

async fn plan(house: &House) -> Result<Planned, String> {
    let planned = house.engine.plan(CAMPAIGN, Track::Notice, true).await;
    planned.map_err(|error| error.to_string())
}

fn counts<const N: usize>(all: [(&str, u64); N]) -> BTreeMap<String, u64> {
    all.map(|(key, count)| (key.to_owned(), count)).into()
}

const REGIONS: &str = "region_locales = { Belgium = \"fr\", \"Canada/QC\" = \"fr\" }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_tells_how_many_people_get_which_language_and_what_they_lack() {
    let house = house(REGIONS).await;
    let census = plan(&house).await.unwrap().census.unwrap();
    assert_eq!(census.people, 5);
    assert_eq!(census.locales, counts([("en", 2), ("fr", 3)]));
    assert_eq!(census.missed, counts([("de", 1), ("fi", 1)]));
    assert_eq!(census.lacking, counts([("bought_on", 3), ("product", 2)]));
    assert_eq!(census.names_refused, 1, "a name that is a link");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_language_that_must_be_there_and_is_not_refuses_the_plan() {
    let said = plan(&house("require_locales = [\"fr\", \"de\"]").await).await.unwrap_err();
    assert_eq!(
        said,
        "`campaigns/thaw.toml`: `notice.require_locales` names `de`, but \
         `incidents/cold-night/incident.toml` has no texts in it; hint: add [locale.de] there"
    );
    let said = plan(&house("require_locales = [\"fi\"]").await).await.unwrap_err();
    assert_eq!(
        said,
        "`campaigns/thaw.toml`: `notice.require_locales` names `fi`, but `account-breach` has no \
         templates in it; hint: write templates/mail/account-breach/fi/"
    );
    let said = plan(&house("locale = \"pt-BR\"").await).await.unwrap_err();
    assert!(said.contains("`notice.locale` names `pt-BR`"), "{said}");
    let sealed = house("require_locales = [\"fr\"]\nlocale = \"fr-CA\"").await;
    let census = plan(&sealed).await.unwrap().census.unwrap();
    assert_eq!(census.locales, counts([("fr", 5)]), "nobody asked for English by name");
}

const TXT: &str = "mail/account-breach/fr/body.txt.hbs";
const CREDENTIAL: &str = "mail/partials/fr/credential.hbs";

/// The refusal of a plan in which one template was edited.
async fn refusal(house: &House, file: &str, old: &str, new: &str) -> EngineError {
    let path = format!("templates/{file}");
    let whole = std::fs::read_to_string(house.path(&path)).unwrap();
    assert!(whole.contains(old), "{file} has no {old:?}");
    std::fs::write(house.path(&path), whole.replace(old, new)).unwrap();
    let said = house.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap_err();
    std::fs::write(house.path(&path), whole).unwrap();
    said
}

/// What is wrong, and the line that is added at the end.
const REFUSED: [(&str, &str); 8] = [
    ("a typo", "{{#if person.hasname}}x{{/if}}"),
    ("a missing partial", "{{> mail/partials/fr/pied}}"),
    ("a helper that is none", "{{datum incident.from}}"),
    ("a helper that fails", "{{count reference}}"),
    ("a helper that fails for some", "{{#if reset.link}}{{plural reference \"#\" \"#\"}}{{/if}}"),
    ("a merge field nobody mapped", "{{#if person.fields.seat}}{{person.fields.seat}}{{/if}}"),
    ("a merge field that some lack", "{{person.fields.product}}"),
    ("a day that some lack", "{{date person.fields.bought_on}}"),
];

/// Each refused when it is planned, in words that name the file and what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_templates_of_a_second_language_are_refused_at_plan_with_their_line() {
    let house = house(REGIONS).await;
    let mut told = Told::of("templates-at-plan");
    for (input, new) in REFUSED {
        let new = format!("\n{{{{brand.name}}}}\n{new}\n");
        let found = refusal(&house, TXT, "\n{{brand.name}}\n", &new).await;
        let found = told.error(input, found);
        assert!(found.starts_with(&format!("error: {TXT}:")), "{found}");
    }
    told.error("a block that is not closed", refusal(&house, TXT, "{{/each}}", "").await);
    let found = refusal(&house, CREDENTIAL, "{{~#if renewed}}", "{{~#if expired}}").await;
    told.error("no block for a class of credential", found);
    // tested, and yet silent for whoever is not written to directly
    let silent = "{{~#if renewed}}\n{{#if @root.person.direct}}x{{/if}}{{/if}}{{#if false_}}";
    let silent = silent.replace("{{#if false_}}", "{{#if expired}}");
    let found = refusal(&house, CREDENTIAL, "{{~#if renewed}}", &silent).await;
    told.error("a block that is empty for some", found);
    told.same();
}

/// The seal holds a guardian; a template that knows none is not sent to them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_without_words_for_a_kind_of_person_in_the_seal_is_refused() {
    let house = house(REGIONS).await;
    let folder = house.path("templates/mail/partials/en");
    let kept = contents(&folder);
    for (flag, file) in [
        ("to_guardian", "mail/account-breach/en/body.txt.hbs"),
        ("shared", "mail/account-breach/en/body.txt.hbs"),
    ] {
        for (path, text) in &kept {
            std::fs::write(path, text.replace(&format!("person.{flag}"), "person.copy")).unwrap();
        }
        assert_eq!(
            plan(&house).await.unwrap_err(),
            format!(
                "{file} (locale `en`) has no words for `{flag}`, which some of these people need; \
                 hint: test {{{{#if person.{flag}}}}} in it, as the shipped `account-breach` does"
            )
        );
    }
    for (path, text) in &kept {
        std::fs::write(path, text.replace("person.to_estate", "person.copy")).unwrap();
    }
    plan(&house).await.unwrap();
}

fn contents(folder: &Path) -> Vec<(std::path::PathBuf, String)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// Merge fields reach the person they belong to, as their language writes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_fields_are_told_to_the_person_alone_in_their_language() {
    let house = house(REGIONS).await;
    for locale in ["en", "fr"] {
        let file = format!("templates/mail/account-breach/{locale}/body.txt.hbs");
        let line = "{{#if person.fields.bought_on}}\n<{{person.fields.product}}: {{date person.fields.bought_on}}>\n{{/if}}";
        let line = line.replace(
            "{{person.fields.product}}",
            "{{#if person.fields.product}}{{person.fields.product}}{{/if}}",
        );
        house.edit(&file, "\n{{brand.name}}\n", &format!("\n{line}\n\n{{{{brand.name}}}}\n"));
    }
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house.run().await.unwrap();
    let mails = mails(&house);
    assert_eq!(mails.len(), 5);
    let ada = &mails["ada@one.example"];
    assert!(ada.text.contains("<Opera: 2\u{a0}janvier 2012>"), "{}", ada.text);
    assert_eq!((ada.language.as_str(), ada.name.as_deref()), ("fr", Some("Ada")));
    let role = &mails["info@five.example"];
    assert!(!role.text.contains("Blues"), "several people read it: {}", role.text);
    assert_eq!((role.language.as_str(), role.name.as_deref()), ("en", None));
    let refused = &mails["di@four.example"];
    assert!(refused.text.starts_with("Bonjour,"), "{}", refused.text);
    let guardian = &mails["cy@three.example"];
    assert!(guardian.text.starts_with("To the parent or guardian of Cy,"), "{}", guardian.text);
}

pub(super) struct Mail {
    pub(super) text: String,
    pub(super) language: String,
    pub(super) name: Option<String>,
}

/// By address.
pub(super) fn mails(house: &House) -> BTreeMap<String, Mail> {
    let mails = house.mails();
    mails
        .iter()
        .map(|mail| {
            let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
            let to = parsed.to().unwrap().first().unwrap();
            let language = parsed.header_raw("Content-Language").unwrap().trim().to_owned();
            let mail = Mail {
                text: parsed.body_text(0).unwrap().into_owned(),
                language,
                name: to.name().map(str::to_owned),
            };
            (to.address().unwrap().to_owned(), mail)
        })
        .collect()
}

/// A link is for who alone reads the mailbox: whoever opened the mail first could take it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_mailbox_gets_no_personal_link_and_no_token_is_made_for_it() {
    let campaign = link_file("");
    let house = link::furnished(Plan { customers: 30, campaign, ..Plan::default() }).await;
    let people =
        "customer_id,name,email\nC0000001,Ada,ada@one.example\nC0000002,Bob,info@two.example\n";
    std::fs::write(house.path("affected.csv"), people).unwrap();
    house.make_ready().await;
    house.run().await.unwrap();
    let mails = mails(&house);
    assert!(mails["ada@one.example"].text.contains("fw1_"));
    let role = &mails["info@two.example"].text;
    assert!(!role.contains("fw1_") && !role.contains("Bob"), "{role}");
    assert!(role.contains("Create a new password for the account."), "{role}");
    assert_eq!(link::rows(&house).await.len(), 1);
}
