//! A portal of the real binary, and how many of its pages it gives out in a second.

use std::process::Command;
use std::time::Duration;

use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;

use crate::harness::link::{link_file, ready};
use crate::harness::process::Process;
use crate::harness::running::until;
use crate::harness::{CAMPAIGN, House, Plan, write};
use crate::table::Table;

/// People who were told by links.
const CUSTOMERS: u32 = 1_200;

/// A portal, and the house it is of.
pub struct Served {
    pub house: House,
    pub root: String,
    _portal: Process,
}

impl Served {
    /// Secures and tells everybody, and serves.
    pub async fn start() -> Self {
        let plan = Plan { customers: CUSTOMERS, campaign: link_file(""), ..Plan::default() };
        let house = ready(plan).await;
        house.secure(Pick::Pending, &Silent).await.unwrap();
        assert!(house.run().await.unwrap().is_finished);
        let port = settle(&house);
        Self::of(house, port).await
    }

    /// Serves a house at this port.
    pub async fn of(house: House, port: u16) -> Self {
        let arguments = ["portal", "serve", CAMPAIGN];
        let portal = Process::on(house.dir.path(), &house.path("xdg-state"), &arguments);
        let root = format!("http://127.0.0.1:{port}");
        until("the portal answers", async || reqwest::get(format!("{root}/reset")).await.is_ok())
            .await;
        Self { house, root, _portal: portal }
    }
}

/// Writes the house's settings: its relay, and a portal at a free port, which it tells.
pub fn settle(house: &House) -> u16 {
    let relay = house.sink.addr().port();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = format!(
        "[relay]\nhost = \"127.0.0.1\"\nport = {relay}\nhello = \"localhost\"\nconnections = 8\n\n\
         [portal]\nlisten = \"127.0.0.1:{port}\"\naddress = \"http://127.0.0.1:{port}/reset\"\n"
    );
    write(&house.path("forthwith.toml"), &settings);
    port
}

/// Debian's `wrk` asks for the first page by so many connections.
pub fn measure(served: &Served, table: &mut Table) {
    for (name, path) in [("first page", "/reset"), ("page of a link", "/reset/link")] {
        let [seconds, connections] = [Duration::from_secs(8).as_secs().to_string(), "32".into()];
        let output = Command::new("wrk")
            .args(["-t1", "--latency", "-c", &connections, "-d", &seconds])
            .arg(format!("{}{path}", served.root))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let after = |word: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(word)).unwrap();
            line.split_whitespace().last().unwrap().to_owned()
        };
        assert!(!text.contains("Non-2xx"), "{text}");
        let rate: f64 = after("Requests/sec").parse().unwrap();
        let slow = after("99%");
        table.row(
            &format!("GETs of the {name}, {connections} connections, `wrk` on the same cores"),
            &format!("{rate:.0}/s, p99 {slow}"),
        );
    }
}
