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
    let error = with("[window]", "[window").unwrap_err();
    let IncidentError::Syntax { line, .. } = &error else { panic!("{error}") };
    assert_eq!(*line, line_of("[window]"));
    assert!(error.to_string().starts_with(&format!("{FILE}:{line}:")), "{error}");
}

#[test]
fn an_unknown_key_is_refused_where_it_stands() {
    let error = with("title =", "titel =").unwrap_err();
    let IncidentError::Syntax { line, message, .. } = &error else { panic!("{error}") };
    assert_eq!(*line, line_of("title ="));
    assert!(message.contains("titel"), "{message}");
}

#[test]
fn an_instant_without_a_zone_is_refused_at_its_line_with_an_example() {
    let error = with(
        "discovered_at = \"2018-09-05T21:45[Europe/London]\"",
        "discovered_at = \"2018-09-05T21:45\"",
    )
    .unwrap_err();
    let IncidentError::Syntax { line, .. } = &error else { panic!("{error}") };
    assert_eq!(*line, line_of("discovered_at"));
    assert!(error.to_string().contains("2018-08-21T22:58[Europe/London]"), "{error}");
}

#[test]
fn a_window_that_ends_before_it_begins_is_refused_at_its_table() {
    let error = with("from = \"2018-08-21", "from = \"2018-09-21").unwrap_err();
    let IncidentError::Rule { line, key, .. } = &error else { panic!("{error}") };
    assert_eq!((*line, *key), (line_of("[window]"), "window.until"));
}

#[test]
fn a_discovery_before_the_window_is_refused() {
    let error = with("discovered_at = \"2018-09-05", "discovered_at = \"2017-09-05").unwrap_err();
    assert!(matches!(error, IncidentError::Rule { key: "discovered_at", .. }), "{error}");
}

#[test]
fn pages_of_another_domain_are_refused() {
    for foreign in ["https://northwind-help.example/", "https://evilnorthwind.example/"] {
        let error = with("https://help.northwind.example/", foreign).unwrap_err();
        assert!(matches!(error, IncidentError::Rule { key: "brand.support_url", .. }), "{error}");
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
    let error = page("https://northwind-reset.example/").unwrap_err();
    assert!(matches!(error, IncidentError::Rule { key: "brand.reset_url", .. }), "{error}");
    for bad in [
        "http://www.northwind.example/reset",
        "https://www.northwind.example/reset?from=mail",
        "https://www.northwind.example/reset#here",
    ] {
        assert!(matches!(page(bad), Err(IncidentError::Syntax { .. })), "{bad}");
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
        assert!(
            matches!(with("https://www.northwind.example", bad), Err(IncidentError::Syntax { .. })),
            "{bad}"
        );
    }
}

#[test]
fn somebody_must_be_reachable() {
    let told = |line: &&str| {
        !["support_", "phone", "hours", "postal"].iter().any(|key| line.starts_with(key))
    };
    let silent = SCAFFOLD.lines().filter(told).collect::<Vec<_>>().join("\n");
    assert!(matches!(parse(&silent), Err(IncidentError::Rule { key: "brand.support_email", .. })));
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
    let error = parse(&SCAFFOLD.replacen("language = \"en\"", "language = \"Deutsch\"", 1));
    assert!(matches!(error, Err(IncidentError::Rule { key: "language", .. })), "{error:?}");
}

#[test]
fn a_language_says_as_much_as_the_files_own_and_the_refusal_names_it_and_its_line() {
    for (old, new, said) in [
        ("[locale.fr]", "[locale.french]", "`locale.french` is no language tag"),
        ("[locale.fr]", "[locale.en]", "`locale.en` is the file's own `language`"),
        ("\"nom\", ", "", "`locale.fr.exposed` has 3 phrases where `exposed.data` has 4"),
        ("advice =", "#advice =", "`locale.fr.advice` has 0 phrases where `advice` has 1"),
        ("hours =", "#hours =", "`locale.fr.hours` is missing, but there is `brand.hours`"),
        ("offer =", "#offer =", "`locale.fr.offer` is missing, but there is `offer`"),
        (
            "hours =",
            "new_password_label = \"Nouveau mot de passe\"\nhours =",
            "`locale.fr.new_password_label` has no `brand.new_password_label` beside it",
        ),
    ] {
        let error = with_french(old, new).unwrap_err();
        let IncidentError::Locale { line, .. } = &error else { panic!("{error}") };
        assert_eq!(*line, SCAFFOLD.lines().count() + 2, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let error = with_french("title = \"Accès", "titel = \"Accès").unwrap_err();
    let IncidentError::Syntax { line, .. } = &error else { panic!("{error}") };
    assert!(*line > SCAFFOLD.lines().count(), "{error}");
}
