//! A check, which leaves nothing behind, and the marker of a rehearsal.

use super::*;

#[tokio::test]
async fn check_runs_everything_and_leaves_nothing() {
    let shop = Shop::new().await;
    shop.run("UPDATE customer SET password_hash = 'letmein' WHERE id = 3").await;
    let directory = shop.directory().await;
    let asked = accounts(&["1", "2", "3", "4", "99"]);
    let report = directory
        .check(PASSWORD, &asked, &|now| forge(now, &mut |slice| slice.fill(7)), &Controls::none())
        .await
        .unwrap();
    let wanted = CheckReport {
        was_tried: true,
        asked: 5,
        read: 4,
        without_value: 1,
        unknown_scheme: 1,
        changed: 2,
        read_back: 2,
        sessions: 5,
        sessions_ended: 5,
        sessions_left: 0,
        controls: 0,
    };
    assert_eq!(report, wanted);
    assert_eq!(shop.password(1).await, hash(1));
    assert_eq!(shop.password(2).await, hash(2));
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 5);
}

#[tokio::test]
async fn check_refuses_a_statement_that_does_not_compare() {
    let shop = Shop::new().await;
    let blind = "UPDATE customer SET password_hash = r.value ->> 'replacement' \
                 FROM json_each(:rows) AS r WHERE customer.id = r.value ->> 'account'";
    let directory = shop.open(&settings_with(READ, blind)).await.unwrap();
    let error = directory
        .check(PASSWORD, &accounts(&["1"]), &|now| Ok(forged(now)), &Controls::none())
        .await;
    assert!(matches!(error, Err(DirectoryError::NotCompareAndSet { .. })), "{error:?}");
    assert_eq!(shop.password(1).await, hash(1));
}

#[tokio::test]
async fn the_rehearsal_marker_is_found_or_plainly_absent() {
    let shop = Shop::new().await;
    let directory = shop.directory().await;
    assert_eq!(directory.rehearsal_marker().await.unwrap(), None);
    shop.run("CREATE TABLE Forthwith_Rehearsal (database_id)").await;
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some(""));
    shop.run("INSERT INTO forthwith_rehearsal VALUES ('0192-abc')").await;
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some("0192-abc"));
    shop.run("INSERT INTO forthwith_rehearsal VALUES ('another')").await;
    assert!(matches!(directory.rehearsal_marker().await, Err(DirectoryError::Marker { .. })));
    shop.run("DELETE FROM forthwith_rehearsal; INSERT INTO forthwith_rehearsal VALUES (NULL)")
        .await;
    assert!(matches!(directory.rehearsal_marker().await, Err(DirectoryError::Marker { .. })));
}
