//! Addresses of every kind: a table of verdicts, each with its source, and the same through a whole
//! audience.

use std::fmt::Write as _;

use forthwith::domain::address::EmailAddress;

use crate::harness::snapshot::{self, Told};
use crate::harness::{CAMPAIGN, House, Plan, binary, table, write};

#[test]
fn each_address_of_the_table_has_its_verdict() {
    let rows = table::rows("addresses.tsv");
    assert!(rows.len() >= 100, "{} addresses", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let found = match EmailAddress::parse(&row.text) {
            Ok(_) => "ok".to_owned(),
            Err(error) => table::word(&error),
        };
        if found != row.verdict {
            let text: String = row.text.chars().take(60).collect();
            wrong.push(format!(
                "{text:?} ({}): {} expected, {found} found",
                row.source, row.verdict
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_reason_says_something_of_its_own_and_never_shows_the_address() {
    let mut told = std::collections::BTreeMap::new();
    for row in table::rows("addresses.tsv") {
        let Err(error) = EmailAddress::parse(&row.text) else { continue };
        let (words, earlier) = (error.to_string(), told.get(&error.to_string()).cloned());
        assert!(earlier.is_none_or(|verdict| verdict == row.verdict), "{words}");
        let local = row.text.split('@').next().unwrap_or_default();
        assert!(local.len() < 4 || !words.contains(local), "{words}");
        told.insert(words, row.verdict);
    }
    let mut lines: Vec<_> =
        told.iter().map(|(words, verdict)| format!("{verdict}: {words}\n")).collect();
    lines.sort_unstable();
    snapshot::same("bad-input/addresses.txt", &lines.concat());
}

/// The same verdicts where a file goes in and sealed people come out: nobody is lost for a bad address.
#[tokio::test]
async fn through_a_whole_audience_a_bad_address_loses_nobody() {
    let rows = table::rows("addresses.tsv");
    let rows: Vec<_> = rows.iter().filter(|row| !row.text.contains(char::is_control)).collect();
    let names = table::rows("names.tsv");
    let is_value = |text: &str| !text.contains('\0') && text.len() <= 65_536;
    let names: Vec<_> = names.iter().filter(|row| is_value(&row.text)).collect();
    assert!(names.len() < rows.len());
    let mut csv = String::from("customer_id,name,email\n");
    for (at, row) in rows.iter().enumerate() {
        let quoted = |text: &str| text.replace('"', "\"\"");
        let name = names.get(at).map_or("Ada", |row| &row.text);
        writeln!(csv, "{at},\"{}\",\"{}\"", quoted(name), quoted(&row.text)).unwrap();
    }
    let house = House::furnished(Plan::default()).await;
    write(&house.path("affected.csv"), &csv);
    let mut check = binary();
    check.args(["audience", "check", CAMPAIGN]).current_dir(house.dir.path());
    let checked = check.env("XDG_STATE_HOME", house.path("elsewhere")).output().unwrap();
    assert!(checked.status.success());
    let said = [checked.stdout, checked.stderr].concat();
    let mut told = Told::of("bad-addresses-and-names");
    told.within(&house);
    told.message("every address and name of the tables", &String::from_utf8(said).unwrap());
    told.same();
    house.seal().await;
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    let count =
        |is: &dyn Fn(&str) -> bool| rows.iter().filter(|row| is(&row.verdict)).count() as u64;
    assert_eq!(status.source.sealed, rows.len() as u64);
    assert_eq!(status.source.rejected, 0);
    let reason = |reason: &str| status.deliveries.reasons.get(reason).copied();
    assert_eq!(reason("fallback/address:missing"), Some(count(&|word| word == "empty")));
    let invalid = count(&|word| word != "empty" && word != "ok");
    assert_eq!(reason("fallback/address:invalid"), Some(invalid));
    let filter = forthwith::store::reports::DeliveryFilter {
        reason: Some("address:invalid".into()),
        ..Default::default()
    };
    let listed = house.engine.deliveries(CAMPAIGN, &filter, None, 500).await.unwrap();
    assert_eq!(listed.len() as u64, invalid);
    let told = |words: &str| listed.iter().any(|view| view.address.contains(words));
    assert!(told("(`mailto:` stands before the address)") && told("(the domain has no dot)"));
}
