//! What a directory promises, whatever it runs on: one set of behaviours against the trait, on SQL, on the user
//! tables of a real Django and a real `WordPress`, on Debian's `OpenLDAP`, on an endpoint of our own and on fakes
//! of identity servers, each judged by whom its own log-in lets in.

mod campaign;
mod endpoint;
mod keycloak;
mod kratos;
mod ldap;
mod promises;
pub mod stages;

use forthwith::directory::{Current, Directory, Replacement};
use forthwith::domain::credential::CredentialKind;
use forthwith::secret::replacement::{SecretValue, forge_as};

const PASSWORDS: CredentialKind = CredentialKind::Password;

/// One behaviour on each of these stages, a test each.
macro_rules! on_stages {
    ($behaviour:ident: $($stage:ident = $start:expr;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $stage() {
            super::$behaviour(&$start.await).await;
        }
    )+};
}

/// The same behaviours on each kind of directory.
macro_rules! on_each_directory {
    ($($behaviour:ident)+) => {$(
        mod $behaviour {
            use crate::directories::on_stages;
            use crate::directories::stages::{
                DjangoStage, HttpStage, KeycloakStage, KratosStage, LdapStage, SqlStage, WordPressStage,
            };
            use crate::harness::database::Kind;

            on_stages! { $behaviour:
                sql = SqlStage::start();
                django_on_sqlite = DjangoStage::on(Kind::Sqlite);
                django_on_postgres = DjangoStage::on(Kind::Postgres);
                wordpress = WordPressStage::start();
                ldap = LdapStage::start();
                http = HttpStage::start();
                keycloak = KeycloakStage::start();
                kratos = KratosStage::start();
            }
        }
    )+};
}
pub(crate) use {on_each_directory, on_stages};

/// What replaces a value: as a pass forges it, from bytes that differ by `seed`.
fn forged(directory: &dyn Directory, current: &str, seed: u8) -> SecretValue {
    let mut state = u32::from(seed).wrapping_mul(2_654_435_761).wrapping_add(97);
    let made = forge_as(directory.scheme(PASSWORDS), current, &mut |slice| {
        for octet in slice {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *octet = state.to_be_bytes()[0];
        }
    });
    made.unwrap()
}

/// The change of whatever an account holds.
fn change(directory: &dyn Directory, now: &Current, seed: u8) -> Replacement {
    let current = now.value.clone().unwrap();
    let replacement = forged(directory, current.expose(), seed);
    Replacement { account: now.account.clone(), current, replacement }
}

async fn read(directory: &dyn Directory, accounts: &[&str]) -> Vec<Current> {
    let accounts: Vec<String> = accounts.iter().map(|account| (*account).to_owned()).collect();
    let mut found = directory.read(PASSWORDS, &accounts).await.unwrap();
    found.sort_by(|one, other| one.account.cmp(&other.account));
    found
}

/// The one value that an account holds, where writes go.
async fn held(directory: &dyn Directory, account: &str) -> Option<SecretValue> {
    let mut found = directory.confirm(PASSWORDS, &[account.to_owned()]).await.unwrap();
    assert_eq!(found.len(), 1, "an account has one password");
    found.pop().unwrap().value
}
