//! The behaviours, written once.

use forthwith::directory::{Controls, DirectoryError, Replacement};
use forthwith::secret::replacement::SecretValue;

use super::stages::{BARE, NOBODY, PEOPLE, Stage, hashed, password_of};
use super::{PASSWORDS, change, forged, held, on_each_directory, read};

on_each_directory! {
    what_is_there_is_read_and_nothing_else
    a_compare_and_set_that_does_not_match_changes_nothing
    an_old_password_does_not_log_in_once_after_it_was_replaced
    the_same_call_again_is_harmless
    a_value_that_moved_in_between_is_not_overwritten
    a_new_password_lets_in_and_the_old_stays_dead
    whoever_has_no_password_is_left_alone
    a_control_account_that_changed_is_an_error
    a_call_has_its_bounds
    a_directory_that_goes_away_is_an_error_and_a_later_call_goes_on
    a_check_changes_nothing
}

async fn what_is_there_is_read_and_nothing_else(stage: &dyn Stage) {
    let directory = stage.directory();
    let found =
        read(directory, &["ann", BARE, NOBODY, "bob", "*", "a*", "' OR 1=1 --", "ann)(uid=*"])
            .await;
    let accounts: Vec<&str> = found.iter().map(|now| now.account.as_str()).collect();
    assert_eq!(accounts, ["ann", "bob", BARE], "each once, and none that is not there");
    assert!(found[0].value.is_some() && found[1].value.is_some() && found[2].value.is_none());
    assert!(read(directory, &[]).await.is_empty());
    for account in PEOPLE {
        assert!(stage.logs_in(account, &password_of(account)).await, "reading harms nobody");
    }
}

async fn a_compare_and_set_that_does_not_match_changes_nothing(stage: &dyn Stage) {
    let directory = stage.directory();
    for now in read(directory, &["ann", "cleo"]).await {
        let mut stale = change(directory, &now, 1);
        stale.current = forged(directory, stale.current.expose(), 2);
        for rows in [[stale.clone()], [stale]] {
            assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 0);
            assert_eq!(directory.set(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 0);
        }
        assert_eq!(held(directory, &now.account).await, now.value);
        assert!(stage.logs_in(&now.account, &password_of(&now.account)).await);
    }
}

async fn an_old_password_does_not_log_in_once_after_it_was_replaced(stage: &dyn Stage) {
    let directory = stage.directory();
    let rows: Vec<Replacement> = read(directory, &["ann", "bob", "cleo"])
        .await
        .iter()
        .map(|now| change(directory, now, 3))
        .collect();
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 3);
    for row in &rows {
        assert_eq!(held(directory, &row.account).await.as_ref(), Some(&row.replacement));
        let old = password_of(&row.account);
        assert!(!stage.logs_in(&row.account, &old).await, "{} is let in", row.account);
        // Neither is whoever stole the directory of before, or of now.
        for stolen in [row.current.expose(), row.replacement.expose()] {
            assert!(!stage.logs_in(&row.account, stolen).await, "{}: a hash lets in", row.account);
        }
    }
    assert!(stage.logs_in("eve", &password_of("eve")).await, "nobody else is touched");
    if let Some(sessions) = stage.sessions().await {
        assert_eq!(sessions, 2, "the sessions of the two others");
    }
}

async fn the_same_call_again_is_harmless(stage: &dyn Stage) {
    let directory = stage.directory();
    let rows = [change(directory, &read(directory, &["bob"]).await[0], 4)];
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 1);
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 0);
    assert_eq!(held(directory, "bob").await.as_ref(), Some(&rows[0].replacement));
}

async fn a_value_that_moved_in_between_is_not_overwritten(stage: &dyn Stage) {
    let directory = stage.directory();
    let rows: Vec<Replacement> = read(directory, &["ann", "bob"])
        .await
        .iter()
        .map(|now| change(directory, now, 5))
        .collect();
    stage.chooses("ann", "what ann chose").await;
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 1);
    assert!(stage.logs_in("ann", "what ann chose").await);
    assert_ne!(held(directory, "ann").await.as_ref(), Some(&rows[0].replacement));
    assert!(!stage.logs_in("bob", &password_of("bob")).await, "the others are replaced");
}

async fn a_new_password_lets_in_and_the_old_stays_dead(stage: &dyn Stage) {
    let directory = stage.directory();
    let dead = change(directory, &read(directory, &["ann"]).await[0], 6);
    directory.replace(PASSWORDS, std::slice::from_ref(&dead), &Controls::none()).await.unwrap();
    let new = hashed(directory.password_form(), "a password of the portal");
    let chosen = directory.chosen(SecretValue::new(new));
    let set = Replacement {
        account: "ann".into(),
        current: dead.replacement,
        replacement: chosen.written,
    };
    let rows = [set];
    assert_eq!(directory.set(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 1);
    assert_eq!(held(directory, "ann").await.unwrap(), chosen.shown);
    assert!(stage.logs_in("ann", "a password of the portal").await);
    assert!(!stage.logs_in("ann", &password_of("ann")).await);
}

async fn whoever_has_no_password_is_left_alone(stage: &dyn Stage) {
    let directory = stage.directory();
    assert_eq!(held(directory, BARE).await, None);
    let like = change(directory, &read(directory, &["ann"]).await[0], 7);
    let rows =
        [BARE, NOBODY].map(|account| Replacement { account: account.into(), ..like.clone() });
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 0);
    assert_eq!(held(directory, BARE).await, None);
    assert!(read(directory, &[NOBODY]).await.is_empty());
    assert!(stage.logs_in("ann", &password_of("ann")).await);
}

async fn a_control_account_that_changed_is_an_error(stage: &dyn Stage) {
    let directory = stage.directory();
    let controls = Controls::new(vec!["eve".into()], read(directory, &["eve"]).await);
    let found = read(directory, &["ann", "bob"]).await;
    let rows = [change(directory, &found[0], 8)];
    assert_eq!(directory.replace(PASSWORDS, &rows, &controls).await.unwrap(), 1);
    stage.chooses("eve", "what eve chose").await;
    let rows = [change(directory, &found[1], 8)];
    let error = directory.replace(PASSWORDS, &rows, &controls).await.unwrap_err();
    assert!(matches!(error, DirectoryError::ControlChanged { place: 1, .. }), "{error}");
    assert!(error.is_alarming() && error.told().contains("hint: "));
    assert!(stage.logs_in("bob", &password_of("bob")).await, "nothing was written after that");
}

async fn a_call_has_its_bounds(stage: &dyn Stage) {
    let directory = stage.directory();
    let most = directory.capabilities().batch;
    let many: Vec<String> = (0..=most).map(|number| format!("x{number}")).collect();
    let error = directory.read(PASSWORDS, &many).await.unwrap_err();
    assert!(matches!(error, DirectoryError::BatchTooLarge { .. }), "{error}");
    assert!(directory.read(PASSWORDS, &many[1..]).await.unwrap().is_empty());
    let twice = ["ann".to_owned(), "ann".to_owned()];
    let error = directory.confirm(PASSWORDS, &twice).await.unwrap_err();
    assert!(matches!(error, DirectoryError::NamedTwice { place: 2 }), "{error}");
    let mut row = change(directory, &read(directory, &["ann"]).await[0], 9);
    row.replacement = row.current.clone();
    let error = directory.replace(PASSWORDS, &[row], &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::NoChange { place: 1 }), "{error}");
}

async fn a_directory_that_goes_away_is_an_error_and_a_later_call_goes_on(stage: &dyn Stage) {
    let directory = stage.directory();
    let found = read(directory, &["ann", "bob"]).await;
    let rows: Vec<Replacement> = found.iter().map(|now| change(directory, now, 10)).collect();
    stage.is_gone(true).await;
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    let said = format!("{} {error:?}", error.told());
    assert!(error.told().contains("hint: "), "{said}");
    for secret in [rows[0].current.expose(), rows[0].replacement.expose(), "uid="] {
        assert!(!said.contains(secret), "{said}");
    }
    stage.is_gone(false).await;
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 2);
    assert!(!stage.logs_in("ann", &password_of("ann")).await);
}

async fn a_check_changes_nothing(stage: &dyn Stage) {
    let directory = stage.directory();
    let accounts = ["ann", "cleo", BARE, NOBODY].map(str::to_owned);
    let before = read(directory, &["ann", "bob", "cleo", BARE, "eve"]).await;
    let sessions = stage.sessions().await;
    let controls = Controls::new(vec!["eve".into()], read(directory, &["eve"]).await);
    let forge = |current: &str| Ok(forged(directory, current, 11));
    let report = directory.check(PASSWORDS, &accounts, &forge, &controls).await.unwrap();
    assert_eq!((report.asked, report.read, report.without_value), (4, 3, 1), "{report:?}");
    assert_eq!((report.unknown_scheme, report.controls), (0, 1), "{report:?}");
    if report.was_tried {
        assert_eq!((report.changed, report.read_back), (2, 2), "{report:?}");
        // where they die with the value there is nothing to count
        let counts = directory.capabilities().counts_sessions;
        assert_eq!((report.sessions_ended > 0, report.sessions_left), (counts, 0), "{report:?}");
    }
    assert_eq!(read(directory, &["ann", "bob", "cleo", BARE, "eve"]).await, before);
    assert_eq!(stage.sessions().await, sessions);
    for account in PEOPLE {
        assert!(stage.logs_in(account, &password_of(account)).await);
    }
    let few = [accounts[0].clone()];
    stage.chooses("eve", "what eve chose").await;
    let error = directory.check(PASSWORDS, &few, &forge, &controls).await.unwrap_err();
    assert!(matches!(error, DirectoryError::ControlChanged { .. }), "{error}");
}
