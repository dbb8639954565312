//! Identity servers with the same people, and their own log-in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use forthwith::directory::Directory;
use forthwith::directory::keycloak::KeycloakDirectory;
use forthwith::directory::kratos::KratosDirectory;
use forthwith::domain::clock::SystemClock;
use forthwith::secret::password::PasswordForm;

use super::{BARE, PEOPLE, Stage, hashed, password_of};
use crate::harness::keycloak::Keycloak;
use crate::harness::kratos::Kratos;
use crate::harness::wire::Wire;

pub struct KeycloakStage {
    keycloak: Keycloak,
    wire: Wire,
    directory: KeycloakDirectory,
}

impl KeycloakStage {
    pub async fn start() -> Self {
        let keycloak = Keycloak::start().await;
        for account in PEOPLE {
            keycloak.put(account, Some(&password_of(account)), 1);
        }
        keycloak.put(BARE, None, 1);
        let wire = Wire::to(keycloak.port(), Duration::ZERO).await;
        let text = format!("{}batch = 20", keycloak.table(wire.port()));
        let settings = toml::from_str(&text).unwrap();
        let clock = Arc::new(SystemClock);
        let directory = KeycloakDirectory::open(&settings, keycloak.folder.path(), clock).await;
        Self { keycloak, wire, directory: directory.unwrap() }
    }
}

impl Drop for KeycloakStage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.keycloak.inside().strays, Vec::<String>::new(), "as agreed");
        }
    }
}

#[async_trait]
impl Stage for KeycloakStage {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    async fn logs_in(&self, account: &str, password: &str) -> bool {
        self.keycloak.logs_in(account, password).await
    }

    async fn chooses(&self, account: &str, password: &str) {
        self.keycloak.chooses(account, password);
    }

    async fn is_gone(&self, gone: bool) {
        self.wire.is_cut(gone);
    }

    async fn sessions(&self) -> Option<u64> {
        Some(self.keycloak.sessions())
    }
}

pub struct KratosStage {
    kratos: Kratos,
    wire: Wire,
    directory: KratosDirectory,
}

impl KratosStage {
    pub async fn start() -> Self {
        let kratos = Kratos::start().await;
        for account in PEOPLE {
            let stored = hashed(PasswordForm::Argon2id, &password_of(account));
            kratos.put(account, Some(stored), 1);
        }
        kratos.put(BARE, None, 1);
        let wire = Wire::to(kratos.port(), Duration::ZERO).await;
        let text = format!("{}batch = 20", kratos.table(wire.port()));
        let settings = toml::from_str(&text).unwrap();
        let directory = KratosDirectory::open(&settings, kratos.folder.path()).unwrap();
        Self { kratos, wire, directory }
    }
}

impl Drop for KratosStage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.kratos.inside().strays, Vec::<String>::new(), "as agreed");
        }
    }
}

#[async_trait]
impl Stage for KratosStage {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    async fn logs_in(&self, account: &str, password: &str) -> bool {
        self.kratos.logs_in(account, password).await
    }

    async fn chooses(&self, account: &str, password: &str) {
        let stored = hashed(PasswordForm::Argon2id, password);
        self.kratos.with(account, |one| one.password.as_mut().unwrap().hash = stored);
    }

    async fn is_gone(&self, gone: bool) {
        self.wire.is_cut(gone);
    }

    async fn sessions(&self) -> Option<u64> {
        Some(self.kratos.sessions())
    }
}
