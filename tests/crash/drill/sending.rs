//! Sending under kills, and what it comes to.

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::bar::Bar;
use super::compare::Both;
use super::database::{Everybody, unpaired};
use super::forthwith::ended;
use super::house::House;
use super::machine::die;
use super::options::Policy;
use super::record::Line;
use super::report::{Break, Report};
use super::shop::{reading, still_open};
use super::sums;

/// How often the sink's record is looked at.
const LOOK: Duration = Duration::from_millis(4);

/// One of so many kills comes before the first notice of a life: into the rescue of the life before.
const EARLY: f64 = 0.2;

/// Runs the campaign, kills it as often as asked, and compares when it is done.
pub async fn run(house: &House, rng: &mut StdRng, report: &mut Report, bar: &Bar) -> Result<()> {
    let options = &house.options;
    let began = Instant::now();
    // What each start costs before its first notice; learnt from the first.
    let mut start_takes = Duration::from_millis(300);
    while report.kills < options.kills {
        let mut child = start(house)?;
        let Some(life) = live(house, &mut child, &mut start_takes, rng, report, bar).await? else {
            break;
        };
        report.kills += 1;
        after_kill(house, life, rng, report).await?;
    }
    bar.note(&format!("{} kills; the last run goes to its end", report.kills));
    finish(house, report, bar).await?;
    report.sending = began.elapsed().as_secs_f64();
    // Whoever's answers are always lost is in doubt by that alone.
    let doubts = u64::from(report.kills) * u64::from(options.doubts_a_kill());
    compare(house, doubts + 1, report).await?;
    settle(house, report, bar).await?;
    void(house, report);
    Ok(())
}

/// Starts a worker.
pub fn start(house: &House) -> Result<Child> {
    house.forthwith.spawn(&House::run_line(), &house.forthwith.folder.join("run.log"))
}

/// The last words of the workers.
pub fn last_words(house: &House) -> String {
    let text = std::fs::read_to_string(house.forthwith.folder.join("run.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// One life of a worker, to its kill: how long the record was when it was killed. `None` where it had ended
/// by itself, well.
async fn live(
    house: &House,
    child: &mut Child,
    start_takes: &mut Duration,
    rng: &mut StdRng,
    report: &mut Report,
    bar: &Bar,
) -> Result<Option<u64>> {
    let record = &house.sink.record;
    let (born, before) = (Instant::now(), record.len());
    let kills_left = house.options.kills - report.kills;
    let is_early = report.kills > 0 && rng.random_bool(EARLY);
    let mut due = is_early.then(|| start_takes.mul_f64(rng.random_range(0.0..1.0)));
    loop {
        if child.try_wait()?.is_some() {
            let status = child.wait()?;
            if status.success() {
                return Ok(None);
            }
            bail!("a worker ended with {status}: {}", last_words(house));
        }
        if due.is_none() && record.len() > before {
            *start_takes = born.elapsed();
            due = Some(born.elapsed() + lifetime(house, kills_left, rng));
        }
        if due.is_some_and(|due| born.elapsed() >= due) {
            let at = record.len();
            child.kill()?;
            child.wait()?;
            return Ok(Some(at));
        }
        if born.elapsed() > Duration::from_mins(10) {
            let _ = child.kill();
            bail!("a worker sent nothing for ten minutes: {}", last_words(house));
        }
        let taken = record.accepted_count();
        bar.at(
            taken,
            house.to_tell(),
            &format!("kill {} of {}", report.kills, house.options.kills),
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// How long a life sends: random, and so that all kills fit into what is left.
fn lifetime(house: &House, kills_left: u32, rng: &mut StdRng) -> Duration {
    let left = house.to_tell().saturating_sub(house.sink.record.accepted_count());
    let left = f64::from(u32::try_from(left).unwrap_or(u32::MAX));
    let each = left / f64::from(house.options.per_second()) / f64::from(kills_left + 1);
    Duration::from_secs_f64(each * rng.random_range(0.0..1.9))
}

/// Between a death and the next start: what was open, whether it was intended, whether the sums hold.
async fn after_kill(house: &House, at: u64, rng: &mut StdRng, report: &mut Report) -> Result<()> {
    house.sink.quiet().await;
    let lines = house.sink.record.since(at)?;
    let cuts: Vec<_> = lines
        .into_iter()
        .filter_map(|line| match line {
            Line::Cut(cut) => Some(cut),
            Line::Accepted(_) => None,
        })
        .collect();
    report.hits += u32::from(!cuts.is_empty());
    let after = format!("kill {}", report.kills);
    report.sums(sums::breaks(&house.database()).await?, &after);
    let mut conn = reading(&house.database()).await?;
    let open = unpaired(&mut conn, house.people.campaign).await?;
    for cut in &cuts {
        let Some(address) = &cut.to else { continue };
        let number = house.people.numbers.get(address).copied();
        if !number.is_some_and(|number| open.contains_key(&number)) {
            let text = format!("was open at the sink ({}) without an intent ({after})", cut.phase);
            report.breaks.push(Break::about("intent before wire", number, address, text));
        }
    }
    if open.len() < cuts.len() {
        let text = format!("{} open at the sink, {} intents ({after})", cuts.len(), open.len());
        report.breaks.push(Break::of("intent before wire", text));
    }
    if let Some(how) = house.options.machine {
        die(how, &house.journals(), rng)?;
    }
    Ok(())
}

/// Lets a worker go to its end.
pub async fn finish(house: &House, report: &mut Report, bar: &Bar) -> Result<()> {
    let mut child = start(house)?;
    let watch = async {
        loop {
            let taken = house.sink.record.accepted_count();
            bar.at(taken, house.to_tell(), "to the end");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let status = tokio::select! {
        status = ended(&mut child) => status?,
        () = watch => bail!("nobody watches for ever"),
    };
    if !status.success() {
        bail!("the last worker ended with {status}: {}", last_words(house));
    }
    report.sums(sums::breaks(&house.database()).await?, "the end");
    Ok(())
}

/// Record and database, when sending has finished; at most so many people may ever have been in doubt.
pub async fn compare(house: &House, most_doubts: u64, report: &mut Report) -> Result<()> {
    let everybody = Everybody::read(&house.database(), house.people.campaign).await?;
    if everybody.notice != "sending-finished" {
        let text = format!("the notice is `{}` when its run has ended", everybody.notice);
        report.breaks.push(Break::of("it ends", text));
    }
    let open = still_open(&house.forthwith.folder.join("shop.db"), &house.accounts).await?;
    if open > 0 {
        let text = format!("{open} stolen hashes open an account again");
        report.breaks.push(Break::of("secured before told", text));
    }
    let accepted = house.sink.record.accepted()?;
    report.most_doubts = most_doubts;
    let both = Both {
        accepted: &accepted,
        everybody: &everybody,
        people: &house.people,
        accounts: &house.accounts,
        most_doubts,
        may_repeat: house.options.policy == Policy::Resend,
        is_restored: house.options.restore,
    };
    report.found = both.compare();
    report.breaks.append(&mut report.found.breaks);
    Ok(())
}

/// What is still in doubt is settled by the sink's record; then everybody is told, once more or not.
async fn settle(house: &House, report: &mut Report, bar: &Bar) -> Result<()> {
    let before = Everybody::read(&house.database(), house.people.campaign).await?;
    let waiting: Vec<u64> = before
        .people
        .iter()
        .filter(|(_, person)| person.class == "in-doubt")
        .map(|(number, _)| *number)
        .collect();
    let (accepted, not_sent) = house.settle(&waiting)?;
    bar.note(&format!("settled: {accepted} were accepted, {not_sent} not sent"));
    if not_sent > 0 {
        finish(house, report, bar).await?;
    }
    let after = Everybody::read(&house.database(), house.people.campaign).await?;
    let taken = house.sink.record.accepted()?;
    let told = after.in_class("told");
    if told != house.to_tell() || taken.len() as u64 != told {
        let text = format!(
            "{told} told and {} addresses in the record, of {} to tell, when all doubt is settled",
            taken.len(),
            house.to_tell()
        );
        report.breaks.push(Break::of("nobody is lost", text));
    }
    let repeated = taken.values().filter(|copies| copies.len() > 1).count() as u64;
    if repeated != report.found.second_copies {
        let text = format!("{repeated} second copies, {} before", report.found.second_copies);
        report.breaks.push(Break::of("settled doubt sends nobody a second copy", text));
    }
    Ok(())
}

/// Why the run says nothing, where it does not.
fn void(house: &House, report: &mut Report) {
    let options = &house.options;
    if report.kills < options.kills {
        report.void.push(format!("{} of {} kills were made", report.kills, options.kills));
    }
    if report.hits < options.hits_needed() {
        let (hits, needed) = (report.hits, options.hits_needed());
        report.void.push(format!("{hits} kills hit open transactions, {needed} are needed"));
    }
    // the one whose answers are always lost has one by that alone
    if options.policy == Policy::Resend && report.found.second_copies < 2 {
        report.void.push("no second copy came of a kill under `resend`".into());
    }
    if report.sending < f64::from(options.seconds) {
        let (took, least) = (report.sending, options.seconds);
        report.void.push(format!("sending took {took:.1} s, {least} are needed"));
    }
}

/// Waits until so many were taken.
pub async fn until(house: &House, child: &mut Child, taken: u64, bar: &Bar) -> Result<()> {
    while house.sink.record.accepted_count() < taken {
        let is_over = child.try_wait().context("a worker")?;
        if let Some(status) = is_over {
            bail!(
                "the worker ended with {status} before {taken} were taken: {}",
                last_words(house)
            );
        }
        bar.at(house.sink.record.accepted_count(), house.to_tell(), "");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
