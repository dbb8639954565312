//! What a read statement may answer.

use super::*;

#[tokio::test]
async fn a_number_that_only_compares_equal_is_not_the_account() {
    let shop = Shop::new().await;
    let directory = shop.directory().await;
    for padded in ["01", " 1", "1.0"] {
        let error = directory.read(PASSWORD, &accounts(&[padded])).await.unwrap_err();
        assert!(
            matches!(error, DirectoryError::Answer { fault: AnswerFault::Unasked, row: 1, .. }),
            "{padded}: {error}"
        );
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn an_expression_needs_a_cast_to_match_whole_numbers() {
    let shop = Shop::new().await;
    let bare = READ.replace("c.id = r", "+c.id = r");
    let directory = shop.open(&settings_with(&bare, EXPIRE)).await.unwrap();
    assert_eq!(directory.read(PASSWORD, &accounts(&["1"])).await.unwrap(), []);
    let cast = bare.replace("r.value ->> 'account'", "CAST(r.value ->> 'account' AS INTEGER)");
    let directory = shop.open(&settings_with(&cast, EXPIRE)).await.unwrap();
    assert_eq!(directory.read(PASSWORD, &accounts(&["1"])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_names_an_account_twice_is_refused() {
    let shop = Shop::new().await;
    let joined = format!("{READ} JOIN session AS s ON s.customer_id = c.id");
    let directory = shop.open(&settings_with(&joined, EXPIRE)).await.unwrap();
    let error = directory.read(PASSWORD, &accounts(&["1"])).await.unwrap_err();
    assert!(matches!(
        error,
        DirectoryError::Answer { fault: AnswerFault::AnsweredTwice, row: 2, .. }
    ));
}

#[tokio::test]
async fn a_change_time_is_read_as_text_with_a_zone_or_as_seconds() {
    let shop = Shop::new().await;
    shop.run(
        "UPDATE customer SET changed_at = '2018-08-21T22:58:00+01:00' WHERE id = 1; \
         UPDATE customer SET changed_at = 1534888680 WHERE id = 2; \
         UPDATE customer SET changed_at = '2018-08-21 21:58:00' WHERE id = 3;",
    )
    .await;
    let read = READ.replace("AS current", "AS current, c.changed_at");
    let directory = shop.open(&settings_with(&read, EXPIRE)).await.unwrap();
    assert!(directory.capabilities().reads_change_time(PASSWORD));
    let found = directory.read(PASSWORD, &accounts(&["1", "2", "4"])).await.unwrap();
    let instant = "2018-08-21T21:58:00Z".parse().unwrap();
    let times: Vec<_> = found.iter().map(|now| now.changed_at).collect();
    assert_eq!(times, [Some(instant), Some(instant), None]);
    let error = directory.read(PASSWORD, &accounts(&["3"])).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Answer { fault: AnswerFault::ChangeTime, .. }));
}

#[tokio::test]
async fn a_value_that_is_not_text_is_refused_and_not_shown() {
    let shop = Shop::new().await;
    shop.run("UPDATE customer SET password_hash = x'68756e74657232' WHERE id = 1").await;
    let directory = shop.directory().await;
    let error = directory.read(PASSWORD, &accounts(&["1"])).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Answer { fault: AnswerFault::ValueType, .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
