//! What a file may say about a database, and who is let on the way there.

use super::*;

fn settings(url: &str) -> DatabaseSettings<'_> {
    DatabaseSettings {
        url,
        user: Some("app"),
        password_file: None,
        tls: DatabaseTls::Auto,
        authorities: None,
    }
}

fn login(url: &str, tls: DatabaseTls) -> Login {
    let settings = DatabaseSettings { tls, ..settings(url) };
    match Database::parse(Table::Directory, settings, Path::new("/srv/work")) {
        Ok(Database::Server(login)) => login,
        other => panic!("{other:?}"),
    }
}

fn refusal(table: Table, settings: DatabaseSettings<'_>) -> String {
    Database::parse(table, settings, Path::new("/srv/work")).unwrap_err().to_string()
}

#[test]
fn a_file_takes_no_user_and_a_server_needs_one() {
    assert_eq!(
        refusal(Table::Audience, settings("sqlite:shop.db")),
        "audience.sql.user means nothing to a SQLite file; hint: remove it"
    );
    let nobody = DatabaseSettings { user: None, ..settings("postgres://db/shop") };
    let said = refusal(Table::Directory, nobody);
    assert!(said.starts_with("directory.sql.user is not set; hint: "), "{said}");
    let said = refusal(Table::Audience, settings("postgres://app:hunter2@db/shop"));
    assert!(said.starts_with("audience.sql.url holds a user or a password; hint: "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn only_a_server_on_this_machine_is_spoken_to_in_clear() {
    use DatabaseTls::{Auto, None, Opportunistic, Required};
    let route = async |host: &str, tls| {
        login(&format!("postgres://{host}/shop"), tls)
            .route()
            .await
            .map(|(hosts, how)| (hosts.join(" "), how))
    };
    for (host, tls, hosts, how) in [
        ("127.0.0.1", Auto, "127.0.0.1", Security::IfOffered),
        ("[::1]", Opportunistic, "::1", Security::IfOffered),
        ("127.0.0.1", None, "127.0.0.1", Security::Clear),
        ("127.0.0.1", Required, "127.0.0.1", Security::Checked),
        ("192.0.2.1", Auto, "192.0.2.1", Security::Checked),
        ("192.0.2.1", Required, "192.0.2.1", Security::Checked),
    ] {
        assert_eq!(route(host, tls).await.unwrap(), (hosts.to_owned(), how), "{host} {tls:?}");
    }
    for tls in [None, Opportunistic] {
        let said = route("192.0.2.1", tls).await.unwrap_err().to_string();
        assert!(said.contains("tls = \"required\""), "{said}");
    }
}

#[tokio::test]
async fn a_password_file_that_others_may_read_is_refused_before_anybody_is_asked() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "hunter2\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let settings =
        DatabaseSettings { password_file: Some(&path), ..settings("mariadb://127.0.0.1:1/shop") };
    let Ok(Database::Server(login)) = Database::parse(Table::Audience, settings, folder.path())
    else {
        panic!("no server")
    };
    let said = login.mariadb().await.unwrap_err().to_string();
    assert!(said.contains("chmod 600") && !said.contains("hunter2"), "{said}");
    std::fs::remove_file(&path).unwrap();
    let said = login.mariadb().await.unwrap_err().to_string();
    assert!(said.ends_with("hint: `audience.sql.password_file`"), "{said}");
}
