//! Files that operators got wrong: all problems in one run, each with its line, a caret and a hint.

mod checks;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use forthwith::engine::EngineError;
use forthwith::engine::progress::Silent;
use tempfile::TempDir;

use crate::harness::snapshot::Told;
use crate::harness::{CAMPAIGN, House, Plan, binary, campaign_file, snapshot, write};

const SCAFFOLD: &str = include_str!("../../templates/scaffold/campaign.toml");
const INCIDENT: &str = include_str!("../../templates/scaffold/incident.toml");

/// A folder with the files an operator wrote, and no database: `config check` needs none.
struct Desk(TempDir);

impl Desk {
    /// An incident and a campaign as `new` writes them.
    fn tidy() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("incidents/cold-night/incident.toml", INCIDENT);
        desk.write("campaigns/thaw.toml", &SCAFFOLD.replace("SLUG", "cold-night"));
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.path().join(name), text);
    }

    /// The scaffold campaign with some of its text replaced.
    fn campaign(&self, changes: &[(&str, &str)]) {
        self.write(
            "campaigns/thaw.toml",
            &changed(&SCAFFOLD.replace("SLUG", "cold-night"), changes),
        );
    }

    /// The scaffold incident with some of its text replaced.
    fn incident(&self, changes: &[(&str, &str)]) {
        self.write("incidents/cold-night/incident.toml", &changed(INCIDENT, changes));
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = binary();
        command.current_dir(self.path()).env("XDG_STATE_HOME", self.path().join("state"));
        command.args(words).output().unwrap()
    }

    /// What `config check` lists, exit 1.
    fn told(&self) -> String {
        let output = self.run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Compares what is listed with the snapshot of this name, and that each problem has its hint.
    fn tells(&self, name: &str) {
        let told = self.told();
        let count = |word: &str| told.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!(
            count("  x ") + count("  ! "),
            count("  help: "),
            "a problem without a hint:\n{told}"
        );
        assert!(told.is_ascii(), "{told}");
        snapshot::same(&format!("config/{name}.txt"), &told);
    }
}

fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the scaffold has no {old:?}");
        text.replacen(old, new, 1)
    })
}

#[test]
fn the_scaffolds_are_without_a_fault() {
    let output = Desk::tidy().run(&["config", "check"]);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{talk}", String::from_utf8_lossy(&output.stdout));
    assert!(talk.contains("2 files read") && talk.contains("nothing is wrong"), "{talk}");
}

#[test]
fn problems_of_all_files_are_told_in_one_run_sorted_by_file_and_line() {
    let desk = Desk::tidy();
    desk.write(
        "forthwith.toml",
        "[relay]\nhots = \"127.0.0.1\"\nport = \"2525\"\nhello = \"a b\"\n\n[worker]\nwindow = 0\n",
    );
    desk.incident(&[
        ("title = \"Unauthorised access to customer accounts\"", "title = 5"),
        (
            "discovered_at = \"2018-09-05T21:45[Europe/London]\"",
            "discovered_at = \"2018-09-05T21:45\"",
        ),
        ("support_url = \"https://help.northwind", "support_url = \"https://help.northwnd"),
    ]);
    desk.campaign(&[
        ("template = \"account-breach\"", "templat = \"account-breach\""),
        ("address = \"security@northwind.example\"", "address = \"security at northwind\""),
        ("per_second = 50.0", "per_second = 0.0"),
        ("schedule = [\"30m\", \"2h\", \"3h\"]", "schedule = [\"30m\", \"2 hours\", \"3h\"]"),
    ]);
    desk.tells("many-files");
    let told = desk.told();
    assert!(told.lines().filter(|line| line.starts_with("  x ")).count() >= 10, "{told}");
}

#[test]
fn dates_that_contradict_each_other_are_told_together() {
    let desk = Desk::tidy();
    desk.incident(&[
        ("until = \"2018-09-05T21:45", "until = \"2018-08-05T21:45"),
        ("discovered_at = \"2018-09-05", "discovered_at = \"2018-07-05"),
        ("enrol_by = \"2018-12-31", "enrol_by = \"2017-12-31"),
    ]);
    desk.tells("contradicting-dates");
}

#[test]
fn an_instant_without_a_zone_or_one_that_never_was_is_told_with_how_to_write_it() {
    let desk = Desk::tidy();
    desk.incident(&[
        (
            "discovered_at = \"2018-09-05T21:45[Europe/London]\"",
            "discovered_at = 2018-09-05T21:45:00Z",
        ),
        ("from = \"2018-08-21T22:58[Europe/London]\"", "from = \"2018-08-21T22:58+01:00\""),
        ("until = \"2018-09-05T21:45[Europe/London]\"", "until = \"2018-09-05[Europe/London]\""),
        (
            "enrol_by = \"2018-12-31T23:59[Europe/London]\"",
            "enrol_by = \"2018-03-25T01:30[Europe/London]\"",
        ),
    ]);
    desk.tells("no-zone");
}

#[test]
fn a_text_that_is_no_toml_is_told_at_each_broken_line() {
    let desk = Desk::tidy();
    desk.write(
        "forthwith.toml",
        "[relay]\nhost = 127.0.0.1\nport = 2525\nport = 2526\nhello = \"localhost\n\n[worker\nwindow = 1\n",
    );
    desk.campaign(&[("policy = \"expire-anyway\"", "policy = expire-anyway")]);
    desk.tells("no-toml");
}

#[test]
fn wrong_types_missing_keys_and_misspelt_words_are_told_in_plain_words() {
    let desk = Desk::tidy();
    desk.incident(&[
        (
            "data = [\"name\", \"email address\", \"postal address\", \"order history\"]",
            "data = \"name\"",
        ),
        ("\"password\", \"session\"", "\"pasword\", \"session\", \"session\""),
        ("site = \"https://www.northwind.example\"", "#site"),
        ("vendor = \"Harbour Hosting Ltd\"", "vendor = [\"Harbour\"]"),
    ]);
    desk.campaign(&[
        ("environment = \"rehearsal\"", "environment = \"rehersal\""),
        ("account = \"customer_id\"", "acount = \"customer_id\""),
        ("batch = 1000", "batch = -1"),
        ("from = { name = \"Northwind Outfitters\", address", "from = { adress"),
        ("mode = \"site\"", "mode = \"links\""),
        ("[directory.sql]", "[directory.sqlx]"),
        ("max_age = \"5d\"", "max_age = 5"),
    ]);
    desk.write("providers.toml", "[provider.gmail]\ndomains = [\"gmail.com\", \"Gmail.com\"]\nburst = 0\n\n[provider.Other]\nconnections = \"ten\"\n");
    desk.write(
        "replies.toml",
        "[[rule]]\nname = \"mine\"\nsource = \"own\"\nclass = \"rat\"\ncode = \"4yz\"\n\n\
         [[rule]]\nname = \"mine-too\"\nsource = \"own\"\nclass = \"rate\"\ncode = \"4xx\"\n\n\
         [[rule]]\nname = \"mine-three\"\nsource = \"own\"\nclass = \"rate\"\ncode = \"421\"\nwait = \"0s\"\n",
    );
    desk.tells("wrong-types");
}

#[test]
fn what_does_not_exist_is_told_with_what_does() {
    let desk = Desk::tidy();
    desk.campaign(&[
        ("\"cold-night\"", "\"cold-nigth\""),
        ("template = \"account-breach\"", "template = \"acount-breach\""),
    ]);
    let second =
        changed(&SCAFFOLD.replace("SLUG", "warm-day"), &[("locale = \"en\"", "locale = \"tlh\"")]);
    desk.write("campaigns/second.toml", &second);
    desk.tells("nothing-there");
}

#[test]
fn a_statement_without_its_bind_is_told_at_the_statement() {
    let desk = Desk::tidy();
    desk.campaign(&[
        (
            "FROM json_each(:rows) AS r JOIN customer AS c ON c.id = r.value ->> 'account'",
            "FROM customer AS c",
        ),
        (
            "  AND customer.password_hash = r.value ->> 'current'",
            "  AND customer.password_hash = :current",
        ),
        ("end = \"\"\"", "end = \"\"\"SELECT 1; "),
    ]);
    desk.tells("no-bind");
}

#[test]
fn an_encoding_that_is_none_is_told_with_those_there_are() {
    let desk = Desk::tidy();
    desk.campaign(&[(
        "path = \"audience.csv\"",
        "path = \"audience.csv\"\nencoding = \"latin-1\"",
    )]);
    desk.tells("encoding");
}

#[test]
fn mode_link_without_a_page_is_told_at_the_mode() {
    let desk = Desk::tidy();
    desk.campaign(&[("mode = \"site\"", "mode = \"link\"")]);
    desk.tells("mode-link");
}

#[test]
fn templates_with_typos_and_missing_partials_are_told_with_their_line() {
    let desk = Desk::tidy();
    let folder = "templates/mail/mine";
    desk.campaign(&[("template = \"account-breach\"", "template = \"mine\"")]);
    for (locale, subject, text) in [
        ("en", "Hello {{brand.nam}}", "fine"),
        ("fr", "Bonjour", "Bonjour\n\n{{> no-such-partial}}\n"),
        ("de", "Hallo", "Hallo {{upper brand.name}}"),
    ] {
        desk.write(&format!("{folder}/{locale}/subject.txt.hbs"), subject);
        desk.write(&format!("{folder}/{locale}/body.txt.hbs"), text);
        desk.write(&format!("{folder}/{locale}/body.html.hbs"), "<p>x</p>");
    }
    desk.tells("templates");
    desk.write(&format!("{folder}/fr/body.txt.hbs"), "one\n{{#if brand.name}}\nnever closed\n");
    desk.write(&format!("{folder}/de/subject.txt.hbs"), "Hallo {{#each}");
    desk.tells("templates-broken");
}

#[test]
fn files_that_are_no_text_are_told_and_the_rest_is_read() {
    let desk = Desk::tidy();
    let at = |name: &str| desk.path().join(name);
    std::fs::write(at("forthwith.toml"), b"\xFF\xFE[\0r\0e\0l\0a\0y\0]\0").unwrap();
    std::fs::create_dir(at("providers.toml")).unwrap();
    std::fs::write(at("campaigns/windows.toml"), b"# fine\nincident = \"caf\xE9\"\n").unwrap();
    std::fs::create_dir_all(at("incidents/folder/incident.toml")).unwrap();
    std::fs::write(at("campaigns/huge.toml"), vec![b'#'; 3 << 20]).unwrap();
    desk.write("campaigns/empty.toml", "");
    desk.write("incidents/Not A Slug/incident.toml", INCIDENT);
    desk.tells("no-text");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let desk = Desk::tidy();
    let text = SCAFFOLD.replace("SLUG", "cold-night").replace('\n', "\r\n");
    desk.write("campaigns/thaw.toml", &format!("\u{FEFF}{text}"));
    desk.write("incidents/cold-night/incident.toml", &format!("\u{FEFF}{INCIDENT}"));
    let output = desk.run(&["config", "check"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    desk.write(
        "campaigns/thaw.toml",
        &format!("\u{FEFF}{}", text.replacen("mode = \"site\"", "mode = \"sight\"", 1)),
    );
    let told = desk.told();
    assert!(told.contains("mode = \"sight\"") && !told.contains('\r'), "{told}");
}

#[test]
fn key_files_that_others_may_read_or_that_are_mixed_up_are_told() {
    let desk = Desk::tidy();
    let keys = desk.path().join("keys");
    forthwith::secret::keyring::Keyring::create(&keys, &mut rand::rng()).unwrap();
    assert!(desk.run(&["config", "check"]).status.success());
    let key = |name: &str| keys.join(format!("{name}.key"));
    std::fs::set_permissions(key("data"), std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::copy(key("mail"), key("token")).unwrap();
    std::fs::remove_file(key("portal")).unwrap();
    desk.tells("keys");
}

#[test]
fn the_list_comes_as_json_too() {
    let desk = Desk::tidy();
    desk.campaign(&[
        ("mode = \"site\"", "mode = \"sight\""),
        ("per_second = 50.0", "per_second = 0"),
    ]);
    let output = desk.run(&["config", "check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    snapshot::same("config/json.txt", &String::from_utf8(output.stdout).unwrap());
}

#[test]
fn every_command_that_reads_a_file_tells_all_its_problems_the_same_way() {
    let desk = Desk::tidy();
    desk.write("forthwith.toml", "[relay]\nhots = \"x\"\n\n[log]\nlevel = \"loud\"\n");
    let output = desk.run(&["audience", "seal", "thaw"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    snapshot::same("config/other-command.txt", &String::from_utf8(output.stderr).unwrap());
}

/// Every line of the scaffolds spoilt in every way: what serde refuses has at least one problem, what has
/// none serde takes, and one spoilt line never makes a flood.
#[test]
fn one_spoilt_line_is_found_and_does_not_make_a_flood() {
    use forthwith::domain::incident::Incident;
    use forthwith::engine::campaign_file::CampaignFile;
    let campaign = SCAFFOLD.replace("SLUG", "cold-night");
    let (mut spoilt, mut refused) = (0, 0);
    for text in [campaign.as_str(), INCIDENT] {
        let is_campaign = text.len() == campaign.len();
        // a spoilt remark is still a remark
        let is_read = |line: &str| !line.is_empty() && !line.starts_with('#');
        for at in (0..text.lines().count()).filter(|at| text.lines().nth(*at).is_some_and(is_read))
        {
            for how in SPOILERS {
                let spoil =
                    |(n, line): (usize, &str)| if n == at { how(line) } else { line.into() };
                let text: String =
                    text.lines().enumerate().map(|line| spoil(line) + "\n").collect();
                let (is_read, list) = if is_campaign {
                    let is_read = toml::from_str::<CampaignFile>(&text).is_ok();
                    (is_read, CampaignFile::read(&text, "campaigns/x.toml").1.into_list())
                } else {
                    let file = "incidents/x/incident.toml";
                    (
                        Incident::parse(&text, file).is_ok(),
                        Incident::read(&text, file).1.into_list(),
                    )
                };
                assert!(is_read || !list.is_empty(), "line {}: nothing found\n{text}", at + 1);
                // a section that lost its head leaves each of its keys in the one before
                assert!(list.len() <= 10, "line {}: a flood\n{list}", at + 1);
                spoilt += 1;
                refused += usize::from(!list.is_empty());
            }
        }
    }
    assert!(refused * 4 > spoilt, "{refused} of {spoilt}");
}

type Spoiler = fn(&str) -> String;

/// Ways to spoil a line: gone, misspelt, another type, half a line, another section.
const SPOILERS: [Spoiler; 6] = [
    |_| String::new(),
    |line| line.replacen(" = ", "x = ", 1),
    |line| line.split_once(" = ").map_or(line.into(), |(key, _)| format!("{key} = 5.5")),
    |line| line.split_once(" = ").map_or(line.into(), |(key, _)| format!("{key} = [\"a\", {{}}]")),
    |line| line.chars().take(line.chars().count() * 2 / 3).collect(),
    |line| line.replacen('[', "[x", 1),
];

/// What is wrong, one a line.
fn problems(error: &EngineError) -> String {
    error.problems().map_or_else(|| error.to_string(), ToString::to_string)
}

#[tokio::test]
async fn a_plan_tells_the_problems_of_campaign_and_incident_together() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let campaign = campaign_file("").replace("per_second = 2000", "per_second = -1");
    write(&house.engine.workspace.campaign_file(CAMPAIGN).0, &campaign);
    let incident = crate::harness::INCIDENT.replace("title =", "titel =");
    write(&house.engine.workspace.incident_file("cold-night").0, &incident);
    let track = forthwith::domain::track::Track::Notice;
    let error = house.engine.plan(CAMPAIGN, track, false).await.unwrap_err();
    let told = problems(&error);
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.contains("pace") && told.contains("titel"), "{told}");
}

#[test]
fn a_rehearsal_pointed_at_production_is_told_at_each_place() {
    let desk = Desk::tidy();
    desk.write("forthwith.toml", "[relay]\nhost = \"relay.northwind.example\"\n");
    desk.campaign(&[(
        "url = \"sqlite:shop.db\"\n# For a server",
        "url = \"postgres://db.northwind.example/shop\"\n# For a server",
    )]);
    desk.tells("production");
}

/// A listener reached by a name that is not this machine by its text, and how many came.
struct Production(TcpListener);

impl Production {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        // "127.1" is 127.0.0.1 to every resolver, and no loopback host to a reader
        let there = format!("127.1:{}", listener.local_addr().unwrap().port());
        std::net::TcpStream::connect(&there).unwrap();
        let found = Self(listener);
        assert_eq!(found.callers(), 1, "the listener does not count");
        found
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn callers(&self) -> usize {
        std::iter::from_fn(|| self.0.accept().ok()).count()
    }
}

#[tokio::test]
async fn a_rehearsal_with_the_relay_of_the_living_opens_no_connection_and_changes_no_row() {
    let production = Production::open();
    let mut house = House::ready(Plan::default()).await;
    let before = std::fs::read(&house.shop).unwrap();
    house.engine.relay.host = "127.1".into();
    house.engine.relay.port = production.port();
    let mut told = Told::of("rehearsal-relay");
    told.error("a relay that is not this machine", house.run().await.unwrap_err());
    told.same();
    assert_eq!(production.callers(), 0);
    assert_eq!(std::fs::read(&house.shop).unwrap(), before, "the kill had begun");
}

#[tokio::test]
async fn a_rehearsal_with_the_directory_of_the_living_opens_no_connection_and_seals_nobody() {
    let production = Production::open();
    let url = format!("postgres://127.1:{}/shop", production.port());
    let campaign = campaign_file("").replace("sqlite:shop.db", &url);
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    let mut told = Told::of("rehearsal-directory");
    told.hide(&production.port(), "<port>");
    let refused = house.engine.seal(CAMPAIGN, &Silent).await.unwrap_err();
    told.error("a directory that is not this machine", refused);
    let section = forthwith::engine::campaign_file::CampaignFile::read(
        &campaign_file("").replace("sqlite:shop.db", &url),
        "c.toml",
    )
    .0
    .unwrap()
    .directory
    .unwrap();
    let environment = forthwith::domain::track::Environment::Rehearsal;
    let opened = house.engine.open_directory(&section, environment).await;
    told.error("past the file, when it is opened", opened.err().unwrap());
    told.same();
    assert_eq!(production.callers(), 0);
}
