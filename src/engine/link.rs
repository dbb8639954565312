//! Personal links: who gets one, what it leads to, and when a doubt about one makes a new notice.
//!
//! The rule of the design's §4: whoever may not be the person gets no secret by mail, and learns the
//! same by the words of mode `site`. So does a mailbox that several people read: whoever opens the mail
//! first could take the link.

use jiff::Timestamp;

use super::EngineError;
use super::campaign_file::{CampaignFile, Mode};
use crate::domain::address::AddressReason;
use crate::domain::delivery::DeliveryClass;
use crate::domain::duration::HumanDuration;
use crate::domain::incident::{Incident, SiteUrl};
use crate::domain::recipient::Recipient;
use crate::domain::variant::{Readership, Variant};
use crate::render::{CredentialContext, Reset, Trust};
use crate::secret::token::PlainToken;
use crate::store::deliveries::DeliveryState;
use crate::store::tokens::NewToken;

/// What is the same in all links of a campaign of mode `link`.
#[derive(Debug, Clone)]
pub struct Links {
    page: SiteUrl,
    token_for: HumanDuration,
}

/// A person's token with what is kept of it. Not `Debug`: it is in clear.
pub struct Minted {
    /// The token.
    pub token: PlainToken,
    /// What is committed with the intent.
    pub kept: NewToken,
}

impl Links {
    /// The links of a campaign; none in another mode, a refusal where mode `link` has no page to
    /// lead to. The names are those of the files, for the refusal.
    pub fn of(
        campaign: &CampaignFile,
        campaign_name: &str,
        incident: &Incident,
        incident_name: &str,
    ) -> Result<Option<Self>, EngineError> {
        if campaign.notice.mode != Mode::Link {
            return Ok(None);
        }
        let page = incident.brand().reset_url.clone().ok_or_else(|| {
            EngineError::refused(format!(
                "`{campaign_name}` has `notice.mode = \"link\"`, but `{incident_name}` has no \
                 `brand.reset_url` for the links to lead to; hint: the page that takes a new \
                 password, such as `reset_url = \"https://{}/reset\"`",
                incident.brand().site.typed()
            ))
        })?;
        Ok(Some(Self { page, token_for: campaign.notice.token_for }))
    }

    /// How long a link lives.
    pub fn token_for(&self) -> HumanDuration {
        self.token_for
    }

    /// Whether this person gets a link: there is a password to replace, nobody else reads the mailbox,
    /// and nothing says that the address may be another's (sealed as anything but `ok`, changed since the
    /// window began, or a second address).
    pub fn reach(
        recipient: &Recipient,
        variant: Variant,
        trust: Trust,
        credentials: &[CredentialContext],
    ) -> bool {
        variant.readership == Readership::Own
            && trust == Trust::Known
            && recipient.reason == AddressReason::Ok
            && credentials.iter().any(|credential| credential.needs_new_password())
    }

    /// The way to a new password by this token.
    pub fn with(&self, token: &PlainToken) -> Reset {
        Reset::Link { link: token.link(self.page.as_str()), token_for: self.token_for }
    }
}

/// A delivery whose doubt is to be sent again: as it was, with the same bytes; or, where its token has
/// outlived half its life since the message's Date, as a re-notice with a token of its own. `token_for`
/// is `None` where the doubtful message carried no token.
pub(super) fn sent_again(
    state: &DeliveryState,
    dated_at: Timestamp,
    token_for: Option<HumanDuration>,
    now: Timestamp,
) -> DeliveryState {
    let queued = DeliveryState { class: DeliveryClass::Queued, due_at: None, ..state.clone() };
    let age = now.duration_since(dated_at);
    if token_for.is_none_or(|life| age <= life.signed() / 2) {
        return queued;
    }
    renewed(state)
}

/// A delivery queued as a re-notice: another generation, with bytes and a token of its own.
pub(super) fn renewed(state: &DeliveryState) -> DeliveryState {
    DeliveryState {
        class: DeliveryClass::Queued,
        due_at: None,
        generation: state.generation + 1,
        doubts: 0,
        // its retry window begins anew: the old one may have ended while it lay in doubt
        first_attempt_at: None,
        ..state.clone()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::delivery::Doubt;

    #[test]
    fn a_link_wants_a_page_to_lead_to() {
        let file = include_str!("../../templates/scaffold/campaign.toml")
            .replace("mode = \"site\"", "mode = \"link\"");
        let incident = include_str!("../../templates/scaffold/incident.toml");
        let incident = Incident::parse(incident, "incidents/spring/incident.toml").unwrap();
        let campaign = CampaignFile::parse(&file, "campaigns/c.toml").unwrap();
        let refused = Links::of(&campaign, "campaigns/c.toml", &incident, "incident.toml");
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("brand.reset_url") && said.contains("hint:"), "{said}");
    }

    #[test]
    fn a_doubt_becomes_a_re_notice_past_half_its_tokens_life_and_never_without_a_token() {
        let dated_at: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let doubt = DeliveryState {
            class: DeliveryClass::InDoubt(Doubt::Held),
            doubts: 2,
            attempts: 3,
            first_attempt_at: Some(dated_at),
            ..DeliveryState::default()
        };
        let life = Some(HumanDuration::from_secs(86_400));
        let after = |seconds, life| {
            let now = dated_at + SignedDuration::from_secs(seconds);
            sent_again(&doubt, dated_at, life, now)
        };
        for (seconds, life) in [(60, life), (43_200, life), (43_201, None), (864_000, None)] {
            let again = after(seconds, life);
            assert_eq!((again.generation, again.doubts), (1, 2), "{seconds}");
            assert_eq!(again.first_attempt_at, Some(dated_at));
            assert_eq!(again.class, DeliveryClass::Queued);
        }
        let again = after(43_201, life);
        assert_eq!((again.generation, again.doubts, again.first_attempt_at), (2, 0, None));
        assert_eq!(again.class, DeliveryClass::Queued);
    }
}
