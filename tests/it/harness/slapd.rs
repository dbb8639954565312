//! Debian's `OpenLDAP`, private to one test, with a password policy: people, and the account by which
//! their passwords are changed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use forthwith::directory::ldap::LdapDirectorySettings;
use tempfile::TempDir;

use super::confined::{Confined, Furnishing};
use super::foreign::told;

pub const SUFFIX: &str = "dc=shop,dc=example";

/// Our account's password, which must never be seen.
pub const PASSWORD: &str = "correct-horse-17";

/// What the server holds besides its own.
#[derive(Default)]
pub struct Holding {
    /// `uid`, scheme (`-` as it stands), password (`-` for none).
    pub people: Vec<(String, &'static str, String)>,
    /// Anything more, as LDIF.
    pub entries: String,
    /// Words of `ldaps`, `hashing`, `strict`, `manager`.
    pub mode: &'static str,
    pub marker: Option<String>,
    /// Certificate chain and key.
    pub tls: Option<(String, String)>,
}

pub struct Slapd {
    server: Confined,
    pub folder: TempDir,
    scheme: &'static str,
}

impl Slapd {
    pub fn start(holding: &Holding) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut people = String::new();
        for (uid, scheme, secret) in &holding.people {
            writeln!(people, "{uid}\t{uid}@mail.example\t{scheme}\t{secret}").unwrap();
        }
        let mut files = vec![
            ("root.password", "root-of-it\n".to_owned()),
            ("service.password", format!("{PASSWORD}\n")),
            ("mode", holding.mode.to_owned()),
            ("people", people),
            ("entries.ldif", holding.entries.clone()),
        ];
        files.extend(holding.marker.clone().map(|marker| ("marker", marker)));
        if let Some((chain, key)) = holding.tls.clone() {
            files.extend([("chain.pem", chain), ("key.pem", key)]);
        }
        let furnishing = Furnishing { server: "slapd", values: &[], files: &files, ready: None };
        let scheme = if holding.mode.contains("ldaps") { "ldaps" } else { "ldap" };
        Self { server: Confined::start(&furnishing), folder, scheme }
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// What stands in `[directory.ldap]`, for a server at this port.
    pub fn table(&self, port: u16) -> String {
        format!(
            "url = \"{}://127.0.0.1:{port}\"\nbind_dn = \"cn=forthwith,ou=services,{SUFFIX}\"\n\
             password_file = \"{}\"\nbase = \"{SUFFIX}\"\nchanged_at = \"pwdChangedTime\"\n",
            self.scheme,
            self.folder.path().join("password").display()
        )
    }

    pub fn settings(&self, more: &str) -> LdapDirectorySettings {
        toml::from_str(&format!("{}{more}", self.table(self.port()))).unwrap()
    }

    /// Whether the server lets somebody in, by its own client.
    pub fn logs_in(&self, uid: &str, password: &str) -> bool {
        let who = format!("uid={uid},ou=people,{SUFFIX}");
        self.client("ldapwhoami", &who, password, &[], "").0
    }

    /// Changes entries as the root of the directory, whom no policy binds.
    pub fn modify(&self, ldif: &str) {
        let root = format!("cn=root,{SUFFIX}");
        let (done, said) = self.client("ldapmodify", &root, "root-of-it", &[], ldif);
        assert!(done, "{said}");
    }

    /// Stores a password for somebody, as it stands.
    pub fn store(&self, uid: &str, stored: &str) {
        self.modify(&format!(
            "dn: uid={uid},ou=people,{SUFFIX}\nchangetype: modify\nreplace: userPassword\n\
             userPassword: {stored}\n"
        ));
    }

    /// The values of an attribute of somebody's.
    pub fn values(&self, uid: &str, attribute: &str) -> Vec<String> {
        use base64::Engine as _;
        let root = format!("cn=root,{SUFFIX}");
        let filter = format!("(uid={uid})");
        let asked = ["-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, &filter, attribute];
        let (done, said) = self.client("ldapsearch", &root, "root-of-it", &asked, "");
        assert!(done, "{said}");
        let start = format!("{attribute}:");
        said.lines()
            .filter_map(|line| line.strip_prefix(&start))
            .map(|rest| match rest.strip_prefix(':') {
                Some(coded) => {
                    let octets = base64::engine::general_purpose::STANDARD.decode(coded.trim());
                    String::from_utf8_lossy(&octets.unwrap()).into_owned()
                }
                None => rest.trim().to_owned(),
            })
            .collect()
    }

    fn client(
        &self,
        program: &str,
        who: &str,
        password: &str,
        more: &[&str],
        input: &str,
    ) -> (bool, String) {
        let root = told("FORTHWITH_TEST_SERVERS").unwrap().join("root");
        let mut child = Command::new("chroot")
            .arg(root)
            .arg(format!("/usr/bin/{program}"))
            .args(["-x", "-H", &format!("{}://127.0.0.1:{}", self.scheme, self.port())])
            .args(["-D", who, "-w", password])
            .args(more)
            .env("LDAPTLS_REQCERT", "never")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        let mut said = String::from_utf8_lossy(&done.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&done.stderr));
        (done.status.success(), said)
    }
}
