//! `forthwith demo`: the whole road on this machine alone, in the shape of Zappos in January 2012.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::output::count;
use super::status::{credential_lines, delivery_sum, source_sum};
use super::{Bars, CliError, DemoArgs, Printer};
use crate::app::App;
use crate::config::{Config, Variables};
use crate::directory::shop::{self, ShopError, ShopFacts, ShopSpec};
use crate::domain::address::EmailAddress;
use crate::domain::amendment::Change;
use crate::domain::track::Track;
use crate::engine::amend::Request;
use crate::engine::operators::Person;
use crate::engine::report::Status;
use crate::engine::{Engine, EngineError, Workspace};
use crate::secret::password::Password;
use crate::sink::{Counts, FaultRule, MailStore, Settings, Sink};

const CAMPAIGN: &str = "network-2012-customers";
const INCIDENT: &str = "network-2012";

/// What the demo's mail server does wrong, so that there is something to recover from.
const FAULTS: [&str; 4] = [
    "rcpt:550:share=0.02",
    "rcpt:451:share=0.05:times=1",
    "drop-before-dot:share=0.005:times=1",
    "drop-after-dot:share=0.005:times=1",
];

/// The demo's two founders; their passwords are drawn and forgotten.
struct Founders {
    passwords: [String; 2],
}

const NAMES: [&str; 2] = ["ada", "grace"];

impl Founders {
    fn draw() -> Self {
        let draw = || hex::encode(rand::rng().random::<[u8; 16]>());
        Self { passwords: [draw(), draw()] }
    }

    fn person(&self, which: usize) -> Person {
        Person {
            name: NAMES[which].to_owned(),
            password: Password::new(self.passwords[which].clone()),
        }
    }
}

/// Everything a demo stands on.
struct Stage<'a> {
    printer: &'a Printer,
    app: App,
    founders: Founders,
    folder: PathBuf,
    facts: ShopFacts,
}

/// Runs the demonstration.
pub async fn run(args: DemoArgs, printer: &Printer) -> Result<(), CliError> {
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("forthwith-demo-").tempdir()?.keep();
    let sink = start_sink(&folder).await?;
    let stage = build(&args, printer, &folder, sink.addr().port()).await?;
    let status = stage.play().await?;
    stage.show(&status, began, &sink.counts())?;
    if !args.exit {
        printer.say("\nThe mail server keeps running; Ctrl-C ends the demonstration.");
        let _ = tokio::signal::ctrl_c().await;
    }
    stage.app.close().await;
    sink.stop().await;
    if status.source.balances() && status.deliveries.balances() {
        Ok(())
    } else {
        Err(EngineError::Broken("the sums of promise 1 do not balance".into()).into())
    }
}

async fn start_sink(folder: &Path) -> Result<Sink, CliError> {
    let rules: Vec<FaultRule> = FAULTS
        .iter()
        .map(|text| text.parse().map_err(|error| CliError::refused(format!("`{text}`: {error}"))))
        .collect::<Result<_, _>>()?;
    let settings = Settings {
        store: MailStore::Maildir(folder.join("maildir")),
        faults: rules.into(),
        seed: 2012,
        ..Settings::counting(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
    };
    Ok(Sink::start(settings).await?)
}

async fn build<'a>(
    args: &DemoArgs,
    printer: &'a Printer,
    folder: &Path,
    port: u16,
) -> Result<Stage<'a>, CliError> {
    printer.say(&format!(
        "Quickstep Shoes, an invented shop, has learnt that strangers were in its network.\n\
         They may hold {} customers' details and password hashes. It is January 2012.\n",
        count(u64::from(args.accounts))
    ));
    let workspace = Workspace::at(folder);
    workspace.create()?;
    let settings = include_str!("../../templates/demo/forthwith.toml")
        .replace("port = 0", &format!("port = {port}"));
    workspace.write_new(&workspace.config_file(), &settings)?;
    let providers = include_str!("../../templates/demo/providers.toml");
    workspace.write_new(&folder.join("providers.toml"), providers)?;
    workspace.write_new(
        &workspace.incident_file(INCIDENT).0,
        include_str!("../../templates/demo/incident.toml"),
    )?;
    workspace.write_new(
        &workspace.campaign_file(CAMPAIGN).0,
        include_str!("../../templates/demo/campaign.toml"),
    )?;
    let nothing: [(String, String); 0] = [];
    let variables = Variables::of(nothing).map_err(|error| CliError::refused(error.to_string()))?;
    let config = Config::load(&workspace, &variables)?;
    let app = App::init(workspace, config).await?;
    let founders = Founders::draw();
    app.engine.found([founders.person(0), founders.person(1)]).await?;
    printer.say(
        "A workspace with keys and two founders, ada and grace, each with their own password.",
    );

    let database_id = app.engine.store.identity().await.map_err(EngineError::from)?.database_id;
    let spec = ShopSpec {
        customers: args.accounts.max(10),
        marker: Some(database_id.to_string()),
        seed: 2012,
    };
    let shop_file = folder.join("shop.db");
    let facts = shop::create(&shop_file, &spec).await.map_err(|error| shop_fault(&error))?;
    let rows = shop::export(&shop_file, &folder.join("affected.csv"))
        .await
        .map_err(|error| shop_fault(&error))?;
    printer.say(&format!(
        "The shop's own database: {} customers with a password, {} who sign in elsewhere, {} live \
         sessions.\nThe list of the affected, as such lists are: {} rows, some of them twice, some \
         at odds, some rubbish.\n",
        count(u64::from(facts.with_password)),
        count(u64::from(facts.without_password)),
        count(u64::from(facts.sessions)),
        count(u64::from(rows)),
    ));
    Ok(Stage { printer, app, founders, folder: folder.to_owned(), facts })
}

fn shop_fault(error: &ShopError) -> CliError {
    CliError::refused(error.to_string())
}

impl Stage<'_> {
    fn engine(&self) -> &Engine {
        &self.app.engine
    }

    async fn play(&self) -> Result<Status, CliError> {
        let bars = Bars::new(self.printer);
        self.printer.say("1. Seal: the people are frozen, encrypted, and rooted in a Merkle tree.");
        let sealed = self.engine().seal(CAMPAIGN, &bars).await?;
        self.printer.say(&format!("   {}\n", source_sum(&sealed.row.totals)));

        self.printer.say(
            "2. Approve: two people sign what will be done (containment) and what will be said \
             (notice).",
        );
        self.approve(Track::Containment).await?;
        self.settle_conflicts().await?;
        self.approve(Track::Notice).await?;
        self.try_password("Before").await?;

        self.printer
            .say("\n3. Secure, then tell. The mail server will refuse, defer and hang up on some.");
        let report = self.engine().run(CAMPAIGN, &bars, &CancellationToken::new()).await?;
        for note in &report.notes {
            self.printer.say(&format!("   {note}"));
        }
        self.try_password("After").await?;
        Ok(self.engine().status(CAMPAIGN).await?)
    }

    /// Two rows of one account contradict each other: people look, and sign which one is right. The
    /// last one's new address is checked by a call, so it is replaced; the others keep their sealed row.
    async fn settle_conflicts(&self) -> Result<(), CliError> {
        let open = self.engine().conflicts(CAMPAIGN, None).await?;
        let Some((last, others)) = open.split_last() else { return Ok(()) };
        let released: Vec<u64> = others.iter().map(|one| one.number).collect();
        let ada = self.engine().signer(self.founders.person(0)).await?;
        let release = Request {
            change: Change::Release,
            reason: "The sealed row is the newer one.".into(),
            evidence: String::new(),
        };
        let kept = self.engine().amend(CAMPAIGN, &released, &release, &[ada]).await?;
        let mut both = Vec::new();
        for which in 0..NAMES.len() {
            both.push(self.engine().signer(self.founders.person(which)).await?);
        }
        let address = EmailAddress::parse("moved@mail.example")
            .map_err(|error| CliError::refused(error.to_string()))?;
        let replace = Request {
            change: Change::ReplaceAddress(address),
            reason: "Neither address is theirs any more; support called them.".into(),
            evidence: "ticket 2012-0117".into(),
        };
        let moved = self.engine().amend(CAMPAIGN, &[last.number], &replace, &both).await?;
        self.printer.say(&format!(
            "   {} accounts had rows that contradict each other: {} keep the sealed one, {} gets \
             another address, signed by both.",
            open.len(),
            kept.done.len(),
            moved.done.len()
        ));
        Ok(())
    }

    async fn approve(&self, track: Track) -> Result<(), CliError> {
        let plan = self.engine().plan(CAMPAIGN, track, false).await?;
        for (which, name) in NAMES.iter().enumerate() {
            let signer = self.engine().signer(self.founders.person(which)).await?;
            let approval = self.engine().approve(CAMPAIGN, track, &signer).await?;
            let state = if approval.is_complete { "approved" } else { "one more signature needed" };
            self.printer.say(&format!(
                "   {} signed {track} {}… for {} people: {state}",
                name,
                &plan.digest.to_string()[..12],
                count(approval.head_count)
            ));
        }
        Ok(())
    }

    async fn try_password(&self, when: &str) -> Result<(), CliError> {
        let file = self.folder.join("shop.db");
        let opens = shop::log_in(&file, &self.facts.customer, &self.facts.password)
            .await
            .map_err(|error| shop_fault(&error))?;
        let answer = if opens { "opens the account" } else { "does not open the account" };
        self.printer.say(&format!(
            "   {when}: the stolen password of customer {} {answer}.",
            self.facts.customer
        ));
        Ok(())
    }

    fn show(&self, status: &Status, began: Instant, counts: &Counts) -> Result<(), CliError> {
        let out = self.printer;
        out.say("\n4. One of the notices, as it lies in the mailbox:\n");
        if let Some(notice) = one_notice(&self.folder.join("maildir").join("new")) {
            out.data(&notice)?;
        }
        out.data("\nEverybody accounted for:")?;
        out.data(&format!("  {}", source_sum(&status.source)))?;
        out.data(&format!("  {}", delivery_sum(&status.deliveries)))?;
        out.data("\nCredentials:")?;
        out.data(&credential_lines(&status.credentials))?;
        out.data("Deliveries:")?;
        for (class, number) in status.deliveries.classes() {
            out.data(&format!("  {class:<20}{:>10}", count(number)))?;
        }
        out.data("Open for a person, by reason, and told:")?;
        for (reason, number) in &status.deliveries.reasons {
            out.data(&format!("  {reason:<28}{:>2}", count(*number)))?;
        }
        out.data(&format!(
            "\nThe mail server took {} mails, refused {}, and hung up {} times.",
            count(counts.taken()),
            count(counts.refused_rcpt),
            count(counts.dropped_before_dot + counts.dropped_after_dot)
        ))?;
        let folder = self.folder.display();
        out.data(&format!(
            "Everything lies in {folder}: mails in maildir/, rejected rows in rejects/,\n\
             the database in data/, the wire journal in journal/. Look around:\n  \
             forthwith --workspace {folder} campaign status {CAMPAIGN}\n  \
             forthwith --workspace {folder} delivery list {CAMPAIGN} --class fallback\n  \
             forthwith --workspace {folder} delivery show {CAMPAIGN} C0000001"
        ))?;
        out.say(&format!("\nAll this took {:.1} s.", began.elapsed().as_secs_f64()));
        Ok(())
    }
}

/// The headers worth reading and the text part of some mail in a Maildir folder.
fn one_notice(folder: &Path) -> Option<String> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mail = String::from_utf8(std::fs::read(files.first()?).ok()?).ok()?;
    let (headers, body) = mail.split_once("\r\n\r\n")?;
    let wanted = ["From:", "To:", "Subject:", "Date:", "Auto-Submitted:"];
    let shown: Vec<&str> =
        headers.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect();
    let (_, part) = body.split_once("\r\n\r\n")?;
    let (text, _) = part.split_once("\r\n--")?;
    Some(format!("{}\n\n{}", shown.join("\n"), plain(text)))
}

/// Undoes quoted-printable (RFC 2045 §6.7).
fn plain(text: &str) -> String {
    let joined = text.replace("=\r\n", "").replace("\r\n", "\n");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let coded = (*first == b'=').then(|| after.get(..2)).flatten();
        let byte =
            coded.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
