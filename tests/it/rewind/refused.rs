//! While the database is rewound every command that would change it is refused and says the way out; those
//! that look go on, and say it too.

use std::collections::BTreeSet;

use crate::crash::write_settings;
use crate::harness::rewound::{back_up, put_back};
use crate::harness::{ANN, BOB, CAMPAIGN, House, Plan, binary};

/// Every command of the program but those that need no workspace; `true` = it changes something.
const COMMANDS: &[(&[&str], bool)] = &[
    (
        &[
            "amendment",
            "withdraw",
            CAMPAIGN,
            "number:1000",
            "--reason",
            "x",
            "--operator",
            ANN,
            "--yes",
        ],
        true,
    ),
    (
        &[
            "amendment",
            "hold",
            CAMPAIGN,
            "number:1000",
            "--reason",
            "x",
            "--operator",
            ANN,
            "--yes",
        ],
        true,
    ),
    (
        &[
            "amendment",
            "release",
            CAMPAIGN,
            "number:1000",
            "--reason",
            "x",
            "--operator",
            ANN,
            "--yes",
        ],
        true,
    ),
    (
        &[
            "amendment",
            "waive",
            CAMPAIGN,
            "number:1000",
            "--reason",
            "x",
            "--operator",
            ANN,
            "--yes",
        ],
        true,
    ),
    (&["amendment", "list", CAMPAIGN], false),
    (&["audience", "seal", CAMPAIGN], true),
    (&["audience", "conflicts", CAMPAIGN], false),
    (&["audience", "worklist", CAMPAIGN], false),
    (&["audience", "check", CAMPAIGN], false),
    (&["campaign", "approve", CAMPAIGN, "--operator", ANN, "--yes"], true),
    (&["campaign", "cancel", CAMPAIGN, "--reason", "x", "--operator", ANN, "--yes"], true),
    (&["campaign", "close", CAMPAIGN, "--operator", ANN, "--yes"], true),
    (&["campaign", "go", CAMPAIGN, "--operator", ANN, "--yes"], true),
    (&["campaign", "list"], false),
    (&["campaign", "pause", CAMPAIGN], true),
    (&["campaign", "plan", CAMPAIGN], true),
    (&["campaign", "resume", CAMPAIGN], true),
    (&["campaign", "run", CAMPAIGN], true),
    (&["campaign", "status", CAMPAIGN], false),
    (&["campaign", "recover", "--dry-run"], false),
    (&["containment", "approve", CAMPAIGN, "--operator", ANN, "--yes"], true),
    (&["containment", "pause", CAMPAIGN], true),
    (&["containment", "plan", CAMPAIGN], true),
    (&["containment", "resume", CAMPAIGN], true),
    (&["credential", "list", CAMPAIGN], false),
    (&["delivery", "list", CAMPAIGN], false),
    (&["delivery", "show", CAMPAIGN, "1000"], false),
    (
        &[
            "delivery",
            "resolve",
            CAMPAIGN,
            "--all",
            "--waive",
            "--reason",
            "x",
            "--operator",
            ANN,
            "--yes",
        ],
        true,
    ),
    (&["directory", "marker"], false),
    (&["gate", "list", CAMPAIGN], false),
    (&["gate", "pass", CAMPAIGN, "dns", "--evidence", "x", "--operator", ANN, "--yes"], true),
    (&["journal", "list"], false),
    (&["journal", "prune", "--backup", "1", "--yes"], true),
    (&["key", "check"], false),
    (&["operator", "list"], false),
    (&["operator", "vouch", ANN, "--by", BOB], true),
    (&["operator", "add", "cleo", "--by", ANN], true),
    (&["pace", "show", CAMPAIGN], false),
    (&["pace", "reset", CAMPAIGN, "--everywhere"], true),
    (&["portal", "serve"], true),
    (&["portal", "revoke", CAMPAIGN, "--reason", "x", "--operator", ANN, "--yes"], true),
    (&["provider", "resume", CAMPAIGN, "gmail"], true),
    (&["relay", "check"], false),
    (&["secure", "run", CAMPAIGN], true),
    (&["secure", "recheck", CAMPAIGN], true),
    (&["secure", "forget", CAMPAIGN, "--yes"], true),
    // each look-up is kept
    (&["support", "find", "C0000010"], true),
    (&["support", "text", CAMPAIGN, "1000"], true),
    (&["support", "renotice", CAMPAIGN, "1000", "--yes"], true),
    (&["wave", "list", CAMPAIGN], false),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_writing_command_is_refused_while_rewound_and_every_reading_one_says_so() {
    let house = House::ready(Plan { customers: 20, ..Plan::default() }).await;
    write_settings(&house);
    let backup = house.path("backup.db");
    back_up(&house, &backup).await;
    house.run().await.unwrap();
    let taken = house.taken().len();
    put_back(&house, &backup);
    let command = |arguments: &[&str]| {
        binary()
            .arg("--workspace")
            .arg(house.dir.path())
            .args(arguments)
            .env("XDG_STATE_HOME", house.path("xdg-state"))
            .env("FORTHWITH_PASSWORD", format!("the long password of {ANN}"))
            .env("FORTHWITH_PASSWORD_1", format!("the long password of {BOB}"))
            .output()
            .unwrap()
    };
    // Whoever opens it first gives the copy a write-ahead log, which is noted in its header.
    command(&["campaign", "status", CAMPAIGN]);
    let before = std::fs::read(house.engine.workspace.database()).unwrap();
    for (arguments, writes) in COMMANDS {
        let done = command(arguments);
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(told.contains("REWOUND"), "{arguments:?} {told}");
        assert!(told.contains("forthwith campaign recover"), "{arguments:?} {told}");
        if *writes {
            assert_eq!(done.status.code(), Some(1), "{arguments:?} {told}");
        } else if arguments[1] != "check" {
            assert!(done.status.success(), "{arguments:?} {told}");
        }
    }
    assert_eq!(house.taken().len(), taken, "nothing was sent");
    let after = std::fs::read(house.engine.workspace.database()).unwrap();
    assert!(before == after, "nothing was written");
}

/// A command that is new has to be put into the table above.
#[test]
fn no_command_is_left_out_of_the_table() {
    let listed: BTreeSet<&str> = COMMANDS.iter().map(|(arguments, _)| arguments[0]).collect();
    let help = binary().arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    // those need no workspace, or make one, or send a message of a test only (`notice`)
    let others =
        ["init", "config", "incident", "notice", "password", "reply", "sink", "demo", "help"];
    for line in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let command = line.split_whitespace().next().unwrap();
        assert!(listed.contains(command) || others.contains(&command), "{command}");
    }
}
