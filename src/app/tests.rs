use super::*;
use crate::config::Variables;
use crate::engine::operators::Person;
use crate::secret::password::Password;

struct Place {
    root: tempfile::TempDir,
    config: Config,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("state-home");
    let variables = Variables::of([("XDG_STATE_HOME", state)]).unwrap();
    let config = Config::without_workspace(&variables).unwrap();
    Place { root, config }
}

impl Place {
    fn workspace(&self) -> Workspace {
        Workspace::at(self.root.path().join("w"))
    }

    async fn init(&self) -> Result<App, AppError> {
        App::init(self.workspace(), self.config.clone()).await
    }

    async fn open(&self) -> Result<App, AppError> {
        App::open(self.workspace(), self.config.clone(), "test").await
    }
}

fn founders() -> [Person; 2] {
    ["ann", "bob"].map(|name| Person {
        name: name.into(),
        password: Password::new(format!("{name} has a long phrase")),
    })
}

#[tokio::test]
async fn a_workspace_is_made_once_and_opened_with_its_own_keys_only() {
    let place = place();
    let app = place.init().await.unwrap();
    app.engine.found(founders()).await.unwrap();
    let id = app.engine.store.identity().await.unwrap().database_id.to_string();
    let copy = place.root.path().join("state-home/forthwith").join(id).join("high-water");
    assert!(copy.exists() && place.workspace().high_water().exists());
    app.close().await;

    assert!(matches!(place.init().await, Err(AppError::Exists { .. })));
    place.open().await.unwrap().close().await;
    assert!(matches!(App::make_keys(&place.workspace()).await, Err(AppError::KeysKnown)));

    std::fs::remove_dir_all(place.workspace().keys()).unwrap();
    Keyring::create(&place.workspace().keys(), &mut rand::rng()).unwrap();
    let refused = place.open().await.unwrap_err().to_string();
    assert!(refused.contains("keys/data.key"), "{refused}");
}

#[tokio::test]
async fn an_init_that_was_cut_short_is_continued() {
    let place = place();
    place.init().await.unwrap().close().await;
    let app = place.init().await.unwrap();
    app.engine.found(founders()).await.unwrap();
    app.close().await;
    let app = place.open().await.unwrap();
    assert_eq!(app.engine.operators().await.unwrap().len(), 2);
    app.close().await;
}

#[tokio::test]
async fn a_folder_without_a_workspace_is_refused_and_left_empty() {
    let place = place();
    assert!(matches!(place.open().await, Err(AppError::NoWorkspace { .. })));
    assert!(!place.workspace().root().exists());
}
