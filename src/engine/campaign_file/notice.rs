//! `[notice]`: what is sent, by whom and in which languages.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;

use crate::domain::address::EmailAddress;
use crate::domain::duration::HumanDuration;
use crate::domain::recipient::parse_locale;
use crate::domain::toml_file::Problems;

/// The shortest and the longest life of a personal link.
const SHORTEST_TOKEN: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_TOKEN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeSection {
    /// Folder under `templates/mail/`.
    pub template: String,
    /// How people come to a new password.
    #[serde(default)]
    pub mode: Mode,
    /// How long a personal link lives, from the latest attempt on; for mode `link`.
    #[serde(default = "one_day")]
    pub token_for: HumanDuration,
    /// Language of people whose own the notice is not told in.
    #[serde(default = "english")]
    pub locale: String,
    /// Language of the people of a region, where they have no tag of their own that it is told in.
    #[serde(default)]
    pub region_locales: BTreeMap<String, String>,
    /// Languages without which nothing may be planned.
    #[serde(default)]
    pub require_locales: Vec<String>,
    /// Who the mail is from.
    pub from: Sender,
    /// Where answers go.
    pub reply_to: Option<EmailAddress>,
    /// The envelope sender's domain; the From domain where absent.
    pub bounce_domain: Option<String>,
}

/// A name and an address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// The name shown.
    pub name: String,
    /// The address.
    pub address: EmailAddress,
}

/// How people come to a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They go to the site they know; no link and no secret in the mail.
    #[default]
    Site,
    /// Each gets a link of their own with a single-use token, and the site's words beside it.
    Link,
    /// The notice speaks of no new password.
    None,
}

const fn one_day() -> HumanDuration {
    HumanDuration::from_secs(24 * 60 * 60)
}

fn english() -> String {
    "en".into()
}

impl NoticeSection {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let life = self.token_for.signed();
        if life < SHORTEST_TOKEN || life > LONGEST_TOKEN || life.as_secs() % 60 != 0 {
            problems.at(
                "notice.token_for",
                "`notice.token_for` must be whole minutes, at least 1m and at most 7d: notices say it; \
                 hint: `token_for = \"24h\"`",
            );
        }
        let is_domain = |domain: &String| EmailAddress::parse(&format!("a@{domain}")).is_ok();
        if self.bounce_domain.as_ref().is_some_and(|domain| !is_domain(domain)) {
            problems.at(
                "notice.bounce_domain",
                "`notice.bounce_domain` is no domain; hint: what stands behind the @ of the envelope \
                 sender, such as `bounces.example.com`",
            );
        }
        self.check_languages(problems);
    }

    /// What is no language tag.
    fn check_languages(&self, problems: &mut Problems<'_>) {
        let own = std::iter::once(("notice.locale".to_owned(), "notice.locale", &self.locale));
        let regional = self.region_locales.iter().map(|(region, locale)| {
            (format!("notice.region_locales.{region}"), "notice.region_locales", locale)
        });
        let required = self.require_locales.iter().enumerate().map(|(at, locale)| {
            (format!("notice.require_locales.{at}"), "notice.require_locales", locale)
        });
        for (path, key, locale) in own.chain(regional).chain(required) {
            if parse_locale(locale).as_ref() != Some(locale) {
                problems.at(
                    &path,
                    format!(
                        "`{key}`: `{locale}` is no language tag; hint: write it as `fr` or `pt-BR`"
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::EngineError;
    use crate::engine::campaign_file::CampaignFile;

    const SCAFFOLD: &str = include_str!("../../../templates/scaffold/campaign.toml");

    fn parse(notice: &str) -> Result<CampaignFile, EngineError> {
        let text = SCAFFOLD.replacen("mode = \"site\"", notice, 1);
        CampaignFile::parse(&text, "campaigns/x.toml")
    }

    #[test]
    fn a_link_lives_a_day_unless_the_file_says_otherwise_and_never_over_a_week() {
        assert_eq!(parse("mode = \"link\"").unwrap().notice.token_for.to_string(), "1d");
        for good in ["1m", "90m", "7d"] {
            let notice = format!("mode = \"link\"\ntoken_for = \"{good}\"");
            assert!(parse(&notice).is_ok(), "{good}");
        }
        for bad in ["0s", "30s", "90s", "169h", "8d"] {
            let notice = format!("mode = \"link\"\ntoken_for = \"{bad}\"");
            let error = parse(&notice).unwrap_err().to_string();
            assert!(error.contains("`notice.token_for`") && error.contains("hint:"), "{error}");
        }
    }

    #[test]
    fn every_language_that_is_none_is_told_where_it_stands() {
        let notice = "region_locales = { Belgium = \"francais!\", \"Canada/QC\" = \"fr\" }\n\
                      require_locales = [\"fr\", \"EN_us\"]";
        let error = parse(notice).unwrap_err().to_string();
        let told: Vec<&str> =
            error.lines().filter(|line| line.contains("no language tag")).collect();
        assert_eq!(told.len(), 2, "{error}");
        assert!(told[0].contains("`notice.region_locales`: `francais!`"), "{error}");
        assert!(told[1].contains("`notice.require_locales`: `EN_us`"), "{error}");
    }
}
