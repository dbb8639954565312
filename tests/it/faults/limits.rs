//! Too few files may be open.

use super::{everybody_is_told, house, paced, sums_hold};
use crate::harness::process::Process;
use crate::harness::{CAMPAIGN, House, Plan};

fn with_files(limit: u32, house: &House) -> Process {
    let script = format!("ulimit -n {limit}; exec \"$@\"");
    Process::through(&script, house, &["campaign", "run", CAMPAIGN])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_few_open_files_nothing_begins_and_with_just_enough_everybody_is_told() {
    let house = house(Plan { customers: 120, campaign: paced(100), ..Plan::default() }).await;
    // Eight connections, and 64 files beside them.
    for limit in [12, 20, 63, 71] {
        let ended = with_files(limit, &house).ended().await;
        assert_eq!(ended.code(), Some(1), "{limit}: {ended:?}");
        let told = format!("error: this process may have {limit} files open at once and needs ");
        assert!(ended.said.contains(&told), "{limit}: {}", ended.said);
        assert!(ended.said.contains("\nhint: `ulimit -n 1024`"), "{limit}: {}", ended.said);
        let people = sums_hold(&house.engine).await;
        assert_eq!((people.told, people.in_flight, people.in_doubt), (0, 0, 0), "{people:?}");
    }
    assert_eq!(house.taken().len(), 0);
    with_files(72, &house).succeeded().await;
    everybody_is_told(&house, &house.engine, 0).await;
}
