//! What the way back in costs: pages, hashes, resets; and the kill on `PostgreSQL`, LDAP and `http`.
//!
//!     scripts/bench portal [pages|kill|flood|guesses] [--accounts N] [--page FILE]
//!
//! Real servers and the real binary, on the cores of one machine. Asserts nothing; writes the table between its
//! markers in FILE.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops where it stands")]

#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../../tests/it/harness/mod.rs"]
mod harness;
mod kill;
#[expect(dead_code, reason = "`scripts/crash reset` uses the rest of it")]
#[path = "../../tests/crash/drill/reset/mails.rs"]
mod mails;
mod pages;
mod resets;
mod siege;
mod table;

use std::path::PathBuf;

use clap::{Parser as _, ValueEnum as _};
use harness::{files, form};

use self::table::Table;

#[derive(clap::Parser)]
struct Arguments {
    /// One part alone
    #[arg(value_enum)]
    only: Option<Part>,
    /// Accounts at which codes are guessed
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    accounts: u32,
    /// The file with the markers
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Pages,
    Kill,
    Flood,
    Guesses,
}

#[tokio::main]
async fn main() {
    let Arguments { only, page, accounts, .. } = Arguments::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    for part in Part::value_variants().iter().filter(|part| only.is_none_or(|only| only == **part))
    {
        let mut table = Table::default();
        match part {
            Part::Pages => {
                let alone = resets::hash_alone();
                let what = "Argon2id alone, 19 MiB and 2 passes, on all cores";
                table.row(what, &format!("{alone:.1} hashes/s"));
                let served = pages::Served::start().await;
                pages::measure(&served, &mut table);
                resets::measure(&served, alone, &mut table).await;
            }
            Part::Kill => kill::measure(&mut table).await,
            Part::Flood => siege::flood(&mut table).await,
            Part::Guesses => siege::guesses(&mut table, accounts).await,
        }
        let name = part.to_possible_value().unwrap();
        table.tell(name.get_name(), page.as_deref());
    }
}
