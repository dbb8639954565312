//! Names that an operator gives, checked before they become file names.

use super::CliError;

/// A short name as it stands in file names and commands.
pub(super) fn short_name(what: &str, name: &str) -> Result<(), CliError> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=64).contains(&name.len())
        && name.chars().all(known)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        return Ok(());
    }
    Err(CliError::refused(format!(
        "`{name}` is no name for {what}; hint: lower-case letters, digits and hyphens, at most 64, \
         such as `spring-2026`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for bad in ["", "..", "../x", "a/b", "A", "-a", "a-", "a b", "ü"] {
            assert!(short_name("a campaign", bad).is_err(), "{bad:?}");
        }
        short_name("a campaign", "spring-2026").unwrap();
    }
}
