//! Which passwords are taken: not those of other breaches, not shorter than the campaign says, and none that the
//! directory would not read.

use std::path::PathBuf;

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::password_filter::{ListForm, Wanted, build};
use forthwith::secret::password::PasswordForm;
use forthwith::store::credentials::Pick;
use reqwest::StatusCode;

use super::{NEW, secured};
use crate::directories::stages::hashed;
use crate::harness::endpoint::Endpoint;
use crate::harness::tampering::query;
use crate::harness::visitor::address;
use crate::harness::{CAMPAIGN, House, Plan, binary, campaign_file, write};

const BREACHED: &str = "violet umbrella gravel";

fn filter(house: &House) -> PathBuf {
    let (source, out) = (house.path("breached.txt"), house.path("breached.filter"));
    write(&source, &format!("hunter2\n{BREACHED}\npassword\n"));
    let wanted = Wanted { source: &source, out: &out, form: ListForm::Plain, is_ordered: false };
    assert_eq!(build(&wanted, &mut |_, _| {}).unwrap().passwords, 3);
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_of_another_breach_is_refused_with_its_reason_in_every_language() {
    let house = secured().await;
    let served = house.portal_with_filter(filter(&house)).await;
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 10).await;
    let pages = served.portal.pages().clone();
    let mut told = Vec::new();
    for (language, _) in pages.languages() {
        visitor.get(&format!("/reset/password?lang={language}")).await;
        let refused = visitor.send(&form, &[("password", BREACHED)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let problem = refused.problem().unwrap();
        assert_eq!(problem, pages.text(language, "refused_breached", &[]), "{language}");
        assert!(!refused.html.contains(BREACHED), "a password is never put back into a page");
        told.push(problem);
    }
    told.dedup();
    assert_eq!(told.len(), 5, "{told:?}");
    let done = visitor.send_and_wait(&form, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_does_not_begin_with_a_filter_that_is_damaged_or_not_there() {
    let house = secured().await;
    let path = filter(&house);
    let address = "127.0.0.1:9".parse().unwrap();
    let refused = async |filter: PathBuf| {
        let mut settings = house.portal_settings(address);
        settings.password_filter = Some(filter);
        house.engine.portal(&[], settings).await.unwrap_err().to_string()
    };
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let told = refused(path).await;
    assert!(told.contains("is damaged") && told.contains("hint:"), "{told}");
    let told = refused(house.path("breached.txt")).await;
    assert!(told.contains("is no password filter"), "{told}");
    let told = refused(house.path("nowhere")).await;
    assert!(told.contains("nowhere") && told.contains("hint:"), "{told}");
}

#[test]
fn the_filter_is_built_and_checked_from_the_command_line_without_printing_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let hash = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";
    std::fs::write(path("list"), format!("hunter2\n{hash}:10434004\nhunter3\n")).unwrap();
    let run = |arguments: &[&str]| {
        let done = binary().args(["password", "filter"]).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    let (code, data, talk) = run(&["build", &path("list"), "--out", &path("filter")]);
    assert_eq!(code, Some(0), "{talk}");
    let lines: Vec<Vec<&str>> =
        data.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["Passwords", "1"], "{data}");
    assert_eq!(lines[2], ["Rejected", "lines", "2"], "{data}");
    assert!(talk.contains("line 1: ") && talk.contains("line 3: "), "{talk}");
    assert!(talk.contains("filter.rejected") && talk.contains("password_filter ="), "{talk}");
    assert!(!talk.contains("hunter") && !data.contains("hunter"), "{talk}");
    let (code, data, _) = run(&["check", &path("filter")]);
    assert_eq!((code, data.trim()), (Some(0), "Passwords  1"));
    let whole = std::fs::read(path("filter")).unwrap();
    std::fs::write(path("filter"), &whole[..whole.len() - 1]).unwrap();
    let (code, _, talk) = run(&["check", &path("filter")]);
    assert!(code == Some(1) && talk.contains("damaged"), "{talk}");
    let (code, _, talk) = run(&["build", &path("nothing"), "--out", &path("other")]);
    assert!(code == Some(1) && talk.contains("hint:"), "{talk}");
    assert!(!folder.path().join("other").exists());
}

/// A house whose `[directory]` says more.
async fn with_directory(more: &str) -> House {
    let campaign =
        campaign_file("").replace("name = \"shop\"", &format!("name = \"shop\"\n{more}"));
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_characters_are_enough_where_two_people_signed_that_a_second_factor_stands() {
    let short = "vQ9#rLx2";
    let plain = secured().await;
    let served = plain.portal().await;
    let visitor = served.visitor();
    let form = plain.prove(&served, &visitor, 10).await;
    assert!(form.html.contains("At least 15 characters"), "{}", form.html);
    let refused = visitor.send(&form, &[("password", short)]).await;
    assert!(refused.problem().unwrap().contains("at least 15"), "{}", refused.html);

    let house = with_directory("second_factor = \"enforced\"").await;
    let served = house.portal().await;
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 10).await;
    assert!(form.html.contains("At least 8 characters"), "{}", form.html);
    let done = visitor.send_and_wait(&form, &[("password", short)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_endpoint_reads_at_most_is_told_before_anybody_types() {
    let endpoint = Endpoint::start().await;
    endpoint.inside().form = "bcrypt";
    let (head, rest) = {
        let file = campaign_file("");
        let (head, rest) = file.split_once("[directory.sql]").unwrap();
        (head.to_owned(), rest.split_once("[notice]").unwrap().1.to_owned())
    };
    let table = endpoint.table(endpoint.port());
    let campaign = format!("{head}[directory.http]\n{table}\n[notice]{rest}");
    let house = House::furnished(Plan { customers: 20, ..Plan::default() }).await;
    write(&house.engine.workspace.campaign_file(CAMPAIGN).0, &campaign);
    let old = hashed(PasswordForm::Argon2id, "an old password");
    for (id,) in query::<(String,)>(&house.shop, "SELECT id FROM customer").await {
        endpoint.put(&id, Some(old.clone()), 0);
    }
    let id = house.engine.store.identity().await.unwrap().database_id.to_string();
    endpoint.inside().rehearsal = Some(id);
    house.seal().await;
    house.approve(Track::Containment).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();

    let served = house.portal().await;
    let before = served.visitor().get("/reset/link").await;
    assert!(!before.html.contains("bytes"), "nobody was asked yet: {}", before.html);
    served.portal.learn_bounds().await.unwrap();
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 10).await;
    assert!(form.html.contains("At most 71 bytes"), "{}", form.html);
    let long = "harbour lantern fig ".repeat(4);
    let refused = visitor.send(&form, &[("password", &long)]).await;
    assert!(refused.problem().unwrap().contains("at most 71 bytes"), "{}", refused.html);
    let done = visitor.send_and_wait(&form, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
    assert!(house.code_to(&address(10)).is_some());
}
