//! The last re-check, as `status` shows it.

use crate::cli::output::count;
use crate::engine::report::Status;

/// What the last re-check found, and whether another is overdue.
pub(super) fn recheck_lines(status: &Status) -> String {
    let mut text = String::new();
    if let Some(last) = &status.recheck {
        let when = last.ended_at.as_ref().map_or_else(
            || format!("begun {} and not ended", last.started_at),
            |ended| format!("ended {ended}"),
        );
        text = format!(
            "\nLast re-check, {when}: {} checked = {} fine + {} regressed ({} expired again) + {} set \
             elsewhere",
            count(last.checked),
            count(last.fine),
            count(last.regressed),
            count(last.mended),
            count(last.reset_elsewhere)
        );
        if last.regressed > 0 {
            text.push_str("\nALARM: expired credentials had come back");
        }
    }
    if status.recheck_overdue {
        text.push_str("\nA re-check is overdue: `forthwith secure recheck`");
    }
    text
}
