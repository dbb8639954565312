//! How short a new password may be: NIST SP 800-63B-4 §3.1.1.2 asks for 15 characters where the password is the
//! only factor, and for 8 where it is one of several. Which holds is the company's word, part of what two people
//! sign.

use serde::Deserialize;

use super::DirectorySection;
use crate::domain::credential::CredentialKind;
use crate::domain::password_rule::{SHORTEST, SHORTEST_WITH_MFA};
use crate::domain::toml_file::Problems;

/// No page may ask for more: so many must be enough (NIST SP 800-63B-4 §3.1.1.2).
const MOST: usize = 64;

/// Whether a log-in asks for more than the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    /// Not for every account, or nobody vouches for it.
    #[default]
    NotEnforced,
    /// For every account and every log-in; and none of its secrets was exposed.
    Enforced,
}

impl DirectorySection {
    /// The fewest code points of a new password.
    pub fn shortest_password(&self) -> usize {
        self.shortest_password.unwrap_or(self.least())
    }

    /// The fewest that may be asked for.
    fn least(&self) -> usize {
        match self.second_factor {
            SecondFactor::NotEnforced => SHORTEST,
            SecondFactor::Enforced => SHORTEST_WITH_MFA,
        }
    }

    pub(super) fn check_shortest(&self, problems: &mut Problems<'_>) {
        let (least, wanted) = (self.least(), self.shortest_password());
        if (least..=MOST).contains(&wanted) {
            return;
        }
        let hint = if wanted < least {
            "leave it out; `second_factor = \"enforced\"` allows 8, where every log-in asks for a second factor"
        } else {
            "leave it out for 15"
        };
        problems.at(
            "directory.shortest_password",
            format!(
                "`directory.shortest_password` is {wanted}; it must be between {least} and {MOST}; hint: {hint}"
            ),
        );
    }

    /// Why a second factor does not stand: one whose secret was taken is none.
    pub fn fallen_factor(&self, exposed: &[CredentialKind]) -> Option<String> {
        let is_factor = |kind: &&CredentialKind| {
            matches!(kind, CredentialKind::TotpSeed | CredentialKind::RecoveryCode)
        };
        let taken = exposed.iter().find(is_factor)?;
        (self.second_factor == SecondFactor::Enforced).then(|| {
            format!(
                "`directory.second_factor` says that a second factor stands, but the incident exposed {taken}; \
                 hint: take the key out, and new passwords have 15 characters"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(more: &str, exposed: &[CredentialKind]) -> Result<usize, String> {
        let text = format!("name = 'shop'\n{more}\n[sql]\nurl = 'sqlite:shop.db'");
        let section: DirectorySection = toml::from_str(&text).map_err(|error| error.to_string())?;
        let mut problems = Problems::unplaced("x.toml");
        section.check(&mut problems);
        if let Some(fallen) = section.fallen_factor(exposed) {
            problems.at("directory.second_factor", fallen);
        }
        let done = problems.finish(Some(section.shortest_password()));
        done.map_err(|list| list.to_string())
    }

    #[test]
    fn fifteen_unless_somebody_vouches_for_a_second_factor_that_was_not_taken() {
        let password = [CredentialKind::Password];
        let seed = [CredentialKind::Password, CredentialKind::TotpSeed];
        let codes = [CredentialKind::Password, CredentialKind::RecoveryCode];
        assert_eq!(checked("", &password), Ok(15));
        assert_eq!(checked("second_factor = 'enforced'", &password), Ok(8));
        assert_eq!(checked("second_factor = 'not-enforced'", &seed), Ok(15));
        assert_eq!(checked("shortest_password = 20", &password), Ok(20));
        let own = "second_factor = 'enforced'\nshortest_password = 12";
        assert_eq!(checked(own, &password), Ok(12));
        for (text, exposed) in [
            ("second_factor = 'enforced'", &seed[..]),
            ("second_factor = 'enforced'", &codes),
            ("shortest_password = 14", &password),
            ("second_factor = 'enforced'\nshortest_password = 7", &password),
            ("shortest_password = 65", &password),
            ("second_factor = 'yes'", &password),
        ] {
            let error = checked(text, exposed).unwrap_err();
            assert!(
                error.contains("hint:") || error.contains("unknown variant"),
                "{text}: {error}"
            );
        }
    }
}
