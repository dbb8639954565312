use std::path::Path;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    Variables::of(pairs.iter().copied()).unwrap()
}

fn with(own: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::lay(Some(own), &Tables::default(), &variables(pairs), Path::new(""))
}

fn providers(own: &str) -> Tables<'_> {
    Tables { providers: Some(own), ..Tables::default() }
}

fn problems(own: &str, pairs: &[(&str, &str)]) -> String {
    with(own, pairs).unwrap_err().to_string()
}

#[test]
fn each_layer_wins_over_the_one_below_and_is_named_as_the_origin() {
    let config = with(
        "[relay]\nhost = \"relay.example\"\nport = 25\n",
        &[("FORTHWITH_RELAY__PORT", "2526"), ("FORTHWITH_LOG__FORMAT", "json")],
    )
    .unwrap();
    assert_eq!((config.relay.host.as_str(), config.relay.port), ("relay.example", 2526));
    assert_eq!(config.log, LogSettings { level: LogLevel::Info, format: LogFormat::Json });
    assert_eq!(config.worker.window, 256);
    let origin = |wanted: &str| {
        let found = config.settings().iter().find(|(key, _)| key == wanted);
        found.map(|(_, leaf)| leaf.origin.to_string()).unwrap()
    };
    assert_eq!(origin("relay.host"), "forthwith.toml:2");
    assert_eq!(origin("relay.port"), "FORTHWITH_RELAY__PORT");
    assert_eq!(origin("relay.timeouts.dot"), "default");
}

#[test]
fn keys_that_go_together_are_taken_together_and_refused_alone() {
    let certificate = "certificate = \"chain.pem\"\n";
    let key = "certificate_key = \"key.pem\"\n";
    let both = with(&format!("[portal]\n{certificate}{key}"), &[]).unwrap();
    assert!(both.web.certificate.is_some());
    for (alone, named) in [(certificate, "portal.certificate"), (key, "portal.certificate_key")] {
        let told = problems(&format!("[portal]\n{alone}"), &[]);
        assert!(told.starts_with("forthwith.toml:2:") && told.contains(named), "{told}");
        assert!(told.contains("hint: set both"), "{told}");
    }
    let url = "[portal.event]\nurl = \"https://a.example/e\"\n";
    let told = with(&format!("{url}key_file = \"secrets/event\"\n"), &[]).unwrap();
    assert_eq!(told.portal.events.unwrap().key_file, Path::new("secrets/event"));
    assert!(problems(url, &[]).contains("portal.event.key_file"));
    let clear = "[portal.event]\nkey_file = \"k\"\nurl = \"http://a.example/e\"\n";
    let told = problems(clear, &[]);
    assert!(told.starts_with("forthwith.toml:3:") && told.contains("hint: \"https://"), "{told}");
    let asked = with("[portal.status]\nkey_file = \"secrets/status\"\n", &[]).unwrap();
    assert_eq!(asked.portal.status_key.as_deref(), Some(Path::new("secrets/status")));
    assert!(problems("[portal.status]\nper_second = 0\n", &[]).contains("per_second"));
}

#[test]
fn a_list_is_set_by_a_file_or_by_a_variable_and_each_of_its_texts_is_read() {
    let own = "[test]\naddresses = [\"ann@example.com\"]\n";
    assert_eq!(with(own, &[]).unwrap().test_addresses.len(), 1);
    let two = [("FORTHWITH_TEST__ADDRESSES", "ann@example.com, bob@example.com")];
    assert_eq!(with("", &two).unwrap().test_addresses.len(), 2);
    let told = problems("[test]\naddresses = [\"ann@example.com\", \"bob\"]\n", &[]);
    assert!(
        told.starts_with("forthwith.toml:2:13: `test.addresses`: the address has no @"),
        "{told}"
    );
    assert!(problems("[test]\naddresses = 5\n", &[]).contains("must be a list in [brackets]"));
}

#[test]
fn the_defaults_are_those_that_the_modules_themselves_have() {
    let config = Config::without_workspace(&variables(&[])).unwrap();
    let hello = config.relay.hello.clone();
    let mut plain = RelaySettings::new("127.0.0.1", 2525, hello);
    plain.connections = 16;
    assert_eq!(config.relay, plain);
    assert_eq!(config.worker.lease_for.as_secs(), 60);
}

#[test]
fn an_unknown_key_is_refused_with_file_line_and_the_key_that_was_meant() {
    assert_eq!(
        problems("[relay]\nport = 25\nhots = \"r\"\n", &[]),
        "forthwith.toml:3:1: there is no key `relay.hots`; hint: did you mean `relay.host`?"
    );
    assert!(problems("[relays]\nhost = \"r\"\n", &[]).contains("no key `relays`"));
    let variable = problems("", &[("FORTHWITH_RELAY_PORT", "25")]);
    assert_eq!(
        variable,
        "FORTHWITH_RELAY_PORT: there is no key `relay_port`; \
         hint: did you mean FORTHWITH_RELAY__PORT?"
    );
    let foreign = problems("", &[("FORTHWITH_DATABASE__URL", "postgres:")]);
    assert!(foreign.contains("FORTHWITH_DATABASE__URL: there is no key `database.url`"));
}

#[test]
fn a_bad_type_is_refused_with_what_is_wanted() {
    assert_eq!(
        problems("[relay]\nport = \"25\"\n", &[]),
        "forthwith.toml:2:8: `relay.port` must be a whole number, not the text \"25\"; \
         hint: its default is 2525"
    );
    assert_eq!(
        problems("", &[("FORTHWITH_WORKER__WINDOW", "many")]),
        "FORTHWITH_WORKER__WINDOW: `worker.window` must be a whole number, not the text \"many\"; \
         hint: its default is 256"
    );
    assert!(problems("relay = 5\n", &[]).contains("`relay` is a section"));
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_each_in_its_place() {
    let told = problems(
        "[relay]\nhello = \"a b\"\n[relay.timeouts]\ndot = \"5\"\n[worker]\nwindow = 0\n",
        &[("FORTHWITH_LOG__LEVEL", "loud"), ("FORTHWITH_WORKER__LEASE_FOR", "5s")],
    );
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 5, "{told}");
    for start in [
        "FORTHWITH_LOG__LEVEL: `log.level` can't be \"loud\"; hint: known here: off, error",
        "forthwith.toml:2:9: `hello` is \"a b\"",
        "forthwith.toml:4:7: `relay.timeouts.dot`: `5` has no unit",
        "FORTHWITH_WORKER__LEASE_FOR: `worker.lease_for`",
        "forthwith.toml:6:10: `worker.window`",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(start)), "{start}\n{told}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let told = problems("[relay]\nhost = \n", &[]);
    assert!(told.starts_with("forthwith.toml:2:8: this is no TOML"), "{told}");
}

#[test]
fn a_workspaces_own_providers_replace_the_shipped_ones() {
    let own = "[provider.example]\ndomains = [\"example.org\"]\n";
    let config = Config::lay(None, &providers(own), &variables(&[]), Path::new("")).unwrap();
    assert_eq!(config.providers.lookup("example.org").as_str(), "example");
    assert_eq!(config.providers.lookup("gmail.com").as_str(), "other");
    let wrong = Config::lay(
        None,
        &providers("\n[provider.a]\nburts = 1\n"),
        &variables(&[]),
        Path::new(""),
    );
    let told = wrong.unwrap_err().to_string();
    assert!(told.starts_with("providers.toml:") && told.contains("burts"), "{told}");
}

#[test]
fn a_workspaces_own_reply_rules_come_first_and_a_fault_names_file_line_and_key() {
    let with = |own: &str| {
        let tables = Tables { replies: Some(own), ..Tables::default() };
        Config::lay(None, &tables, &variables(&[]), Path::new(""))
    };
    let head = "[[rule]]\nname = \"mine\"\nsource = \"test\"\n";
    let good = format!("{head}class = \"rate\"\ntext = \"[TSS04]\"\n");
    let config = with(&good).unwrap();
    assert_eq!(config.replies.rules().next().unwrap().name(), "mine");
    assert!(config.replies.rules().any(|rule| rule.name() == "yahoo-tss04"));
    for (text, start, word) in [
        (format!("{head}class = \"rate\"\nstaus = \"4.7.0\"\n"), "replies.toml:5:1: ", "staus"),
        (format!("{good}\n{head}class = \"rate\"\ncode = \"4xx\"\n"), "replies.toml:8:8: ", "name"),
        (
            format!("{head}class = \"address-dead\"\ncode = \"5yz\"\n"),
            "replies.toml:4:9: ",
            "`address-dead` needs",
        ),
        (
            format!("# mine\n{head}class = \"rate\"\ncode = \"421\"\nprovider = \"gmial\"\n"),
            "replies.toml:7:12: ",
            "no provider `gmial`; hint: did you mean `gmail`?",
        ),
        ("[adapt]\nshare = 0.1\n".to_owned(), "replies.toml:1:2: ", "`adapt.factor` is missing"),
    ] {
        let told = with(&text).unwrap_err().to_string();
        assert!(told.starts_with(start) && told.contains(word), "{text}\n{told}");
    }
}

#[test]
fn a_new_workspaces_file_changes_nothing_until_a_key_is_uncommented() {
    let text = starter();
    let config = with(&text, &[]).unwrap();
    assert!(config.settings().iter().all(|(_, leaf)| leaf.origin == Origin::Default));
    let is_key =
        |line: &str| line.starts_with('#') && line.contains(" = ") && !line.starts_with("# ");
    let uncommented: Vec<&str> =
        text.lines().map(|line| if is_key(line) { &line[1..] } else { line }).collect();
    let all: toml::Table = uncommented.join("\n").parse().unwrap();
    assert_eq!(all, DEFAULTS.parse().unwrap());
}
