//! The rows of a flush bound value by value. As JSON each value costs a function call to take out: a row of
//! twelve 3.0 µs, bound 1.3.
//!
//! A statement has as many rows as its text says, so there is one text for each of a few sizes, kept prepared.
//! Rows over are NULL and passed over.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;

use crate::domain::chunk::chunk_of;
use crate::domain::reply::ReplyClass;
use crate::store::deliveries::{Ended, Flush, Move, NewIntent};
use crate::store::row;

/// Columns of an outcome, a move and an intent.
const COLUMNS: [usize; 3] = [11, 10, 12];
/// Where a text has these rows.
const SOURCES: [&str; 3] = ["{outcomes}", "{moves}", "{intents}"];

/// A statement for so many rows of each.
pub(super) type ForSize = (usize, LazyLock<String>);

/// The smallest of them that a flush fits into; none for one that is larger than all.
pub(super) fn fitting<'s>(sizes: &'s [ForSize], flush: &Flush) -> Option<(usize, &'s str)> {
    let rows = flush.ended.len().max(flush.intents.len());
    let (size, sql) = sizes.iter().find(|(size, _)| *size >= rows)?;
    Some((*size, sql))
}

/// A text for so many rows of each. Its own binds are counted from one and come behind those of the rows.
pub(super) fn sized(text: &str, size: usize) -> String {
    let mut sql = renumbered(text, size * COLUMNS.iter().sum::<usize>());
    for (source, columns) in SOURCES.into_iter().zip(COLUMNS) {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let rows = format!("(VALUES {})", vec![row; size].join(", "));
        sql = sql.replace(source, &rows);
    }
    sql
}

/// With every `$n` as much higher.
fn renumbered(text: &str, by: usize) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len() + 256), text);
    while let Some((before, after)) = rest.split_once('$') {
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let number = after[..end].parse().map_or(0, |number: usize| number + by);
        // Writing to a String cannot fail.
        let _ = write!(out, "{before}${number}");
        rest = &after[end..];
    }
    out + rest
}

macro_rules! bind {
    ($arguments:ident: $($value:expr),+ $(,)?) => { $($arguments.add($value)?;)+ };
}

/// A flush's rows as the arguments of a statement for `size` of each.
pub(super) fn rows(flush: &Flush, size: usize) -> Result<SqliteArguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(size * COLUMNS.iter().sum::<usize>() + 32, 0);
    for one in &flush.ended {
        outcome(&mut arguments, one)?;
    }
    fill(&mut arguments, (size - flush.ended.len()) * COLUMNS[0])?;
    let mut moves = 0;
    for change in flush.ended.iter().filter_map(|one| one.change.as_ref()) {
        moves += 1;
        a_move(&mut arguments, change)?;
    }
    fill(&mut arguments, (size - moves) * COLUMNS[1])?;
    for one in &flush.intents {
        intent(&mut arguments, one)?;
    }
    fill(&mut arguments, (size - flush.intents.len()) * COLUMNS[2])?;
    Ok(arguments)
}

fn fill(arguments: &mut SqliteArguments, values: usize) -> Result<(), BoxDynError> {
    for _ in 0..values {
        arguments.add(None::<i64>)?;
    }
    Ok(())
}

fn outcome(arguments: &mut SqliteArguments, ended: &Ended) -> Result<(), BoxDynError> {
    let outcome = &ended.outcome;
    bind!(arguments:
        row::int(ended.key.number),
        i64::from(ended.key.generation),
        i64::from(ended.key.n),
        outcome.result.word(),
        outcome.phase.as_str(),
        outcome.code.map(i64::from),
        outcome.enhanced.as_deref(),
        outcome.class.map(ReplyClass::word),
        outcome.queue_id.as_deref(),
        outcome.reply.as_deref(),
        row::micros(outcome.ended_at),
    );
    Ok(())
}

fn a_move(arguments: &mut SqliteArguments, change: &Move) -> Result<(), BoxDynError> {
    let state = &change.state;
    bind!(arguments:
        row::int(change.number),
        change.from.word(),
        change.from.reason(),
        change.to.word(),
        change.to.reason(),
        i64::from(state.generation),
        i64::from(state.doubts),
        i64::from(state.attempts),
        state.first_attempt_at.map(row::micros),
        state.due_at.map(row::micros),
    );
    Ok(())
}

fn intent(arguments: &mut SqliteArguments, intent: &NewIntent) -> Result<(), BoxDynError> {
    bind!(arguments:
        row::int(intent.key.number),
        i64::from(intent.key.generation),
        i64::from(intent.key.n),
        row::micros(intent.dated_at),
        &intent.content[..],
        intent.from.word(),
        row::int(chunk_of(intent.key.number)),
        row::int(intent.epoch),
        row::int(intent.segment),
        intent.relay.as_str(),
        i64::from(intent.amendments),
        i64::from(intent.carried),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gets_its_rows_and_its_own_binds_come_behind_them() {
        let sql = sized("a {outcomes} b {moves} c {intents} d $1, $12; e $2", 2);
        let of = |columns: usize| {
            let row = format!("({})", vec!["?"; columns].join(", "));
            format!("(VALUES {row}, {row})")
        };
        assert_eq!(sql, format!("a {} b {} c {} d $67, $78; e $68", of(11), of(10), of(12)));
    }
}
