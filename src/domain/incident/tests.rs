//! What an incident file may and may not say.

use super::*;

const FILE: &str = "incidents/northwind-2018/incident.toml";
const SCAFFOLD: &str = include_str!("../../../templates/scaffold/incident.toml");

fn parse(text: &str) -> Result<Incident, IncidentError> {
    Incident::parse(text, FILE)
}

fn with(old: &str, new: &str) -> Result<Incident, IncidentError> {
    assert!(SCAFFOLD.contains(old), "the scaffold has no {old:?}");
    parse(&SCAFFOLD.replacen(old, new, 1))
}

/// What is wrong, each as (line, message).
fn told(read: Result<Incident, IncidentError>) -> Vec<(usize, String)> {
    let Err(IncidentError::Problems(list)) = read else { panic!("{read:?}") };
    list.iter().map(|problem| (problem.line.unwrap_or(0), problem.message.clone())).collect()
}

/// The one thing that is wrong, and that it stands at the line that starts with `needle`.
fn one_at(read: Result<Incident, IncidentError>, needle: &str) -> String {
    let told = told(read);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, line_of(needle), "{told:?}");
    told[0].1.clone()
}

fn line_of(needle: &str) -> usize {
    SCAFFOLD.lines().position(|line| line.starts_with(needle)).unwrap() + 1
}

#[test]
fn the_scaffold_is_a_valid_incident_and_its_folder_is_its_slug() {
    let incident = parse(SCAFFOLD).unwrap();
    assert_eq!(incident.slug(), "northwind-2018");
    assert_eq!(incident.brand().site.typed(), "www.northwind.example");
    assert_eq!(incident.exposed().credentials, [CredentialKind::Password, CredentialKind::Session]);
    assert_eq!(incident.summary().as_slice().len(), 2);
}

#[test]
fn a_syntax_error_names_file_line_and_column() {
    let message = one_at(with("[window]", "[window"), "[window]");
    assert!(message.starts_with("this is no TOML"), "{message}");
}

#[test]
fn an_unknown_key_is_refused_where_it_stands_and_the_one_that_was_meant_is_not_missed_too() {
    let message = one_at(with("title =", "titel ="), "title =");
    assert_eq!(message, "there is no key `titel`");
}

#[test]
fn an_instant_without_a_zone_is_refused_at_its_line_with_an_example() {
    let error = with(
        "discovered_at = \"2018-09-05T21:45[Europe/London]\"",
        "discovered_at = \"2018-09-05T21:45\"",
    );
    let text = error.as_ref().unwrap_err().to_string();
    assert!(text.contains("2018-08-21T22:58[Europe/London]"), "{text}");
    assert!(one_at(error, "discovered_at").contains("has no time zone"));
}

#[test]
fn a_window_that_ends_before_it_begins_is_refused_at_its_end() {
    let message = one_at(with("until = \"2018-09-05", "until = \"2017-09-05"), "until");
    assert_eq!(message, "`window.until` must be later than `window.from`");
}

#[test]
fn a_discovery_before_the_window_is_refused_and_so_is_an_offer_before_it() {
    let early = with("discovered_at = \"2018-09-05", "discovered_at = \"2017-09-05");
    assert!(one_at(early, "discovered_at").contains("lies before `window.from`"));
    let late = with("enrol_by = \"2018-12-31", "enrol_by = \"2018-01-31");
    assert!(one_at(late, "enrol_by").contains("nobody could take the offer up"));
}

#[test]
fn pages_of_another_domain_are_refused() {
    for foreign in ["https://northwind-help.example/", "https://evilnorthwind.example/"] {
        let message = one_at(with("https://help.northwind.example/", foreign), "support_url");
        assert!(message.starts_with("`brand.support_url` must lie on"), "{message}");
    }
}

#[test]
fn the_reset_page_lies_on_the_brands_own_site_and_holds_nothing_but_a_path() {
    let page = |url: &str| {
        let line =
            format!("notice_url = \"https://www.northwind.example/notice\"\nreset_url = \"{url}\"");
        with("notice_url = \"https://www.northwind.example/notice\"", &line)
    };
    for own in ["https://www.northwind.example/reset", "https://reset.northwind.example/"] {
        assert_eq!(page(own).unwrap().brand().reset_url.as_ref().unwrap().as_str(), own);
    }
    let foreign = told(page("https://northwind-reset.example/"));
    assert!(foreign[0].1.starts_with("`brand.reset_url` must lie on"), "{foreign:?}");
    for bad in [
        "http://www.northwind.example/reset",
        "https://www.northwind.example/reset?from=mail",
        "https://www.northwind.example/reset#here",
    ] {
        let told = told(page(bad));
        assert!(told.len() == 1 && told[0].1.starts_with("`brand.reset_url` must"), "{told:?}");
    }
}

#[test]
fn a_site_must_be_https_and_typable() {
    for bad in [
        "http://www.northwind.example",
        "https://a:b@www.northwind.example",
        "https://www.northwind.example/?x=1",
        "https://10.0.0.1",
        "northwind",
    ] {
        let message = one_at(
            with("site = \"https://www.northwind.example", &format!("site = \"{bad}")),
            "site",
        );
        assert!(message.starts_with("`brand.site` "), "{message}");
    }
}

#[test]
fn somebody_must_be_reachable() {
    let is_kept = |line: &&str| {
        !["support_", "phone", "hours", "postal"].iter().any(|key| line.starts_with(key))
    };
    let silent = SCAFFOLD.lines().filter(is_kept).collect::<Vec<_>>().join("\n");
    let told = told(parse(&silent));
    assert!(told[0].1.starts_with("`brand.support_email` is missing"), "{told:?}");
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_each_at_its_line() {
    let text = SCAFFOLD
        .replacen("title = \"Unauthorised access to customer accounts\"", "title = 5", 1)
        .replacen("[Europe/London]\"\n\n# What was not", "\"\n\n# What was not", 1)
        .replacen("hours =", "ours =", 1)
        .replacen("\"password\", \"session\"", "\"password\", \"sesion\", \"password\"", 1)
        .replacen("site = \"https", "site = \"http", 1);
    let told = told(parse(&text));
    let messages: Vec<&str> = told.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`title` must be a text in quotes, not the number 5",
            "`discovered_at`: `2018-09-05T21:45` has no time zone",
            "`brand.site` must begin with https://",
            "there is no key `brand.ours`",
            "`exposed.credentials` can't be \"sesion\"",
            "`exposed.credentials` names password twice",
        ]
    );
}

#[test]
fn a_folder_that_is_no_slug_is_refused() {
    for file in ["incident.toml", "incidents/North Wind/incident.toml", "x/-a/incident.toml"] {
        assert!(
            matches!(Incident::parse(SCAFFOLD, file), Err(IncidentError::Slug { .. })),
            "{file}"
        );
    }
}

#[test]
fn the_canonical_form_ignores_layout_and_sees_every_fact() {
    let plain = parse(SCAFFOLD).unwrap().canonical_json().unwrap();
    let laid_out = parse(&format!("# a remark\n\n{SCAFFOLD}")).unwrap().canonical_json().unwrap();
    assert_eq!(plain, laid_out);
    let later = with("from = \"2018-08-21T22:58", "from = \"2018-08-21T22:59")
        .unwrap()
        .canonical_json()
        .unwrap();
    assert_ne!(plain, later);
    assert!(plain.starts_with(r#"{"actions_taken":["#), "{plain}");
}

#[test]
fn direction_changing_characters_do_not_enter_a_notice() {
    assert!(with("name = \"Northwind", "name = \"North\u{202e}wind").is_err());
}

const FRENCH: &str = r#"
[locale.fr]
title = "Accès non autorisé à des comptes de clients"
summary = "Une personne non autorisée a atteint un de nos serveurs."
exposed = ["nom", "adresse électronique", "adresse postale", "historique des commandes"]
not_exposed = ["numéro complet de carte bancaire", "consignes de livraison"]
actions_taken = ["Nous avons arrêté le serveur.", "Nous avons informé la police."]
advice = ["Vérifiez vos dernières commandes."]
offer = { text = "Nous prenons en charge douze mois de surveillance." }
hours = "tous les jours, de 8 h à 20 h, heure du Royaume-Uni"
"#;

/// Where a line of the French table stands behind the scaffold.
fn line_of_french(needle: &str) -> usize {
    let at = FRENCH.lines().position(|line| line.starts_with(needle)).unwrap();
    SCAFFOLD.lines().count() + at + 1
}

fn with_french(old: &str, new: &str) -> Result<Incident, IncidentError> {
    assert!(FRENCH.contains(old), "no {old:?}");
    parse(&format!("{SCAFFOLD}{}", FRENCH.replacen(old, new, 1)))
}

#[test]
fn an_incident_is_told_in_its_own_language_and_in_those_it_has_tables_for() {
    let incident = with_french("fr", "fr").unwrap();
    assert_eq!(incident.language(), "en");
    assert_eq!(incident.languages().collect::<Vec<_>>(), ["en", "fr"]);
    assert!(incident.texts("de").is_none() && incident.texts("fr-CA").is_none());
    let (own, french) = (incident.texts("en").unwrap(), incident.texts("fr").unwrap());
    assert_eq!(own.title.as_str(), incident.title());
    assert_eq!(french.exposed[0].as_str(), "nom");
    assert_eq!(own.exposed.len(), french.exposed.len());
    assert!(own.offer.is_some() && french.offer.is_some());
    let text = SCAFFOLD.replacen("language = \"en\"", "language = \"de\"", 1);
    assert_eq!(parse(&text).unwrap().language(), "de");
    let message = one_at(with("language = \"en\"", "language = \"Deutsch\""), "language");
    assert_eq!(message, "`language` is no language tag");
}

#[test]
fn a_language_says_as_much_as_the_files_own_and_the_refusal_names_it_and_its_line() {
    for (old, new, line, said) in [
        ("[locale.fr]", "[locale.french]", "[locale.fr]", "`locale.french` is no language tag"),
        ("[locale.fr]", "[locale.en]", "[locale.fr]", "`locale.en` is the file's own `language`"),
        (
            "\"nom\", ",
            "",
            "exposed",
            "`locale.fr.exposed` has 3 phrases where `exposed.data` has 4",
        ),
        (
            "advice =",
            "#advice =",
            "[locale.fr]",
            "`locale.fr.advice` has 0 phrases where `advice` has 1",
        ),
        (
            "hours =",
            "#hours =",
            "[locale.fr]",
            "`locale.fr.hours` is missing, but there is `brand.hours`",
        ),
        (
            "offer =",
            "#offer =",
            "[locale.fr]",
            "`locale.fr.offer` is missing, but there is `offer`",
        ),
        (
            "hours =",
            "new_password_label = \"Nouveau mot de passe\"\nhours =",
            "hours",
            "`locale.fr.new_password_label` has no `brand.new_password_label` beside it",
        ),
    ] {
        let told = told(with_french(old, new));
        assert_eq!(told, [(line_of_french(line), said.to_owned())]);
    }
    let told = told(with_french("title = \"Accès", "titel = \"Accès"));
    assert_eq!(told, [(line_of_french("title"), "there is no key `locale.fr.titel`".to_owned())]);
}

#[test]
fn all_that_a_language_lacks_is_told_at_once() {
    let french = FRENCH.replacen("hours =", "#hours =", 1).replacen("\"nom\", ", "", 1);
    assert_eq!(told(parse(&format!("{SCAFFOLD}{french}"))).len(), 2);
}
