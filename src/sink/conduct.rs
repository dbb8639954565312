//! How this sink behaves towards every connection: what all dialogues have in common.

use std::sync::Arc;

use super::SinkError;
use super::auth::AuthSettings;
use super::counts::Tally;
use super::fate::Fates;
use super::fault::{FaultRules, Handshake, Kind};
use super::greylist::Greylist;
use super::offer::Offers;
use super::phase::Phase;
use super::settings::Settings;
use super::spoil::Spoil;
use super::tls::TlsMode;

/// Rules, offers and counters of one sink.
#[derive(Debug)]
pub(super) struct Conduct {
    pub(super) tally: Arc<Tally>,
    pub(super) fates: Fates,
    pub(super) offers: Offers,
    pub(super) auth: Option<AuthSettings>,
    pub(super) greylist: Option<Greylist>,
    pub(super) tls_required: bool,
    pub(super) messages_per_connection: Option<u64>,
}

impl Conduct {
    /// Takes its part of the settings. Refuses those that could never come to anything.
    pub(super) fn new(settings: &Settings) -> Result<Self, SinkError> {
        let rules: FaultRules =
            settings.replies.rules().iter().chain(settings.faults.rules()).cloned().collect();
        check(&rules, settings)?;
        let offers = Offers::new(
            settings.offer.clone(),
            settings.ehlo,
            settings.tls.mode,
            settings.auth.as_ref(),
        )?;
        Ok(Self {
            tally: Arc::default(),
            fates: Fates::new(rules, settings.seed),
            offers,
            auth: settings.auth.clone(),
            greylist: settings.greylist.map(|list| Greylist::new(list, settings.seed)),
            tls_required: settings.tls.required && settings.tls.mode == TlsMode::Starttls,
            messages_per_connection: settings.messages_per_connection,
        })
    }
}

/// A fault that can never strike is a mistake in the test that asks for it.
fn check(rules: &FaultRules, settings: &Settings) -> Result<(), SinkError> {
    for rule in rules.rules() {
        match (rule.phase, settings.tls.mode, &rule.kind) {
            (Phase::Tls, TlsMode::None, _) => {
                return Err(SinkError::IdleFault {
                    phase: "tls",
                    hint: "take the TLS mode starttls",
                });
            }
            (Phase::Tls, TlsMode::Implicit, Kind::Refuse(_) | Kind::Spoil(_)) => {
                let hint = "implicit TLS has no reply to spoil: take cut, silent or a handshake \
                            fault, or the TLS mode starttls";
                return Err(SinkError::IdleFault { phase: "tls", hint });
            }
            (Phase::Auth, ..) if settings.auth.is_none() => {
                return Err(SinkError::IdleFault {
                    phase: "auth",
                    hint: "name a user and a secret",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// The handshake that a rule of the TLS phase asks for.
pub(super) fn handshake(kind: Option<&Kind>) -> Handshake {
    match kind {
        Some(Kind::Handshake(how)) => *how,
        _ => Handshake::Whole,
    }
}

/// The spoil a rule asks for, if it asks for one.
pub(super) fn spoil(kind: &Kind) -> Option<Spoil> {
    match kind {
        Kind::Spoil(spoil) => Some(spoil.clone()),
        _ => None,
    }
}
