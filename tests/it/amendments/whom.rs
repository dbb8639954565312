//! A text that could be a number and an account: looking shows the account, acting asks which.

use crate::harness::{CAMPAIGN, House, Plan};

/// Shops number their accounts where seals number people.
const NUMBERED: &str = "customer_id,name,email\n\
     1001,Ana,shared@post.example\n\
     1002,Bo,shared@post.example\n\
     cy@post.example,Cy,cy@post.example\n\
     di@post.example,Di,cy@post.example\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_names_two_people_is_acted_on_for_neither() {
    let house = House::furnished(Plan::default()).await;
    std::fs::write(house.path("affected.csv"), NUMBERED).unwrap();
    house.seal().await;
    let act = async |who: &str| house.engine.find_to_act(CAMPAIGN, who).await;

    // 1001 is the account of number 1000, and the number of account 1002
    assert_eq!(house.engine.find(CAMPAIGN, "1001").await.unwrap(), [1000]);
    assert_eq!(
        act("1001").await.unwrap_err().to_string(),
        "one text names different people: read as account it is number 1000, as number number 1001; \
         hint: say which with `account:…` or `number:…`, or give `number:N`"
    );
    assert_eq!(act("number:1001").await.unwrap(), [1001]);
    assert_eq!(act("account:1001").await.unwrap(), [1000]);
    assert_eq!(act("1000").await.unwrap(), [1000], "no account is called that");
    assert_eq!(act("address:shared@post.example").await.unwrap(), [1000, 1001]);

    // an account that is somebody else's address too
    let refused = act("cy@post.example").await.unwrap_err().to_string();
    assert!(refused.contains("as account it is number 1002, as address 2 people"), "{refused}");
    assert_eq!(act("account:cy@post.example").await.unwrap(), [1002]);

    // a file of accounts holds neither numbers nor addresses
    let account = async |who: &str| house.engine.find_account(CAMPAIGN, who).await.unwrap();
    assert_eq!(account("1001").await, [1000]);
    assert!(account("1000").await.is_empty());
    assert!(account("shared@post.example").await.is_empty());
}
