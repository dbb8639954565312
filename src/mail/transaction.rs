//! How a connection attempt and one mail transaction can end.

use std::io;
use std::net::SocketAddr;

use super::auth::AuthFault;
use super::tls::TlsFault;
use crate::domain::reply::{Phase, SmtpReply};

/// The end of one mail transaction.
#[derive(Debug)]
#[must_use = "an attempt without an outcome is in doubt"]
pub enum Transaction {
    /// 250 to the final dot: the server took responsibility.
    Accepted {
        /// The server's words.
        reply: SmtpReply,
    },
    /// A 4yz or 5yz, read cleanly: the server has not taken the message.
    Refused {
        /// Which step it answered.
        phase: Phase,
        /// The server's words.
        reply: SmtpReply,
    },
    /// No clean reply came.
    Broken {
        /// The step it broke in.
        phase: Phase,
        /// Whether the message may have been written: then nobody knows if it was taken.
        after_dot: bool,
        /// What broke.
        cause: BreakCause,
    },
    /// The address needs SMTPUTF8 and the server does not offer it. Nothing was written.
    NeedsSmtputf8,
}

/// What broke a dialogue.
#[derive(Debug, thiserror::Error)]
pub enum BreakCause {
    /// The phase's time ran out.
    #[error("no answer in time")]
    Timeout,
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server said something that is no answer to what it was asked; addresses are masked.
    #[error("the server does not keep to the dialogue: {0}")]
    Garbage(String),
    /// The network failed.
    #[error("the network failed: {0}")]
    Io(#[source] io::Error),
    /// The mark before the final dot could not be made, so nothing was written.
    #[error("the mark before the final dot could not be made")]
    Mark(#[source] io::Error),
}

/// Why no connection came about. Nobody's address is to blame for any of these.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFault {
    /// The relay's name has no address.
    #[error("the relay {host} does not resolve; hint: check `host` and the resolver")]
    Resolve {
        /// The relay's host.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// In a rehearsal, the relay's name leads off this machine.
    #[error(
        "the relay {host} resolves to {address}; a rehearsal's relay must be on loopback; hint: `relay.host = \"127.0.0.1\"`"
    )]
    NotLoopback {
        /// The relay's host.
        host: String,
        /// The first address that is not loopback.
        address: SocketAddr,
    },
    /// The server answered with a 4yz or 5yz.
    #[error("the relay {relay} refused at {phase}: {reply}; hint: {}", refused_hint(*phase))]
    Refused {
        /// The relay, `host:port`.
        relay: String,
        /// Greeting, EHLO or STARTTLS.
        phase: Phase,
        /// The server's words.
        reply: SmtpReply,
    },
    /// The connection could not be secured as the settings ask for.
    #[error("the relay {relay} cannot be spoken to safely: {cause}")]
    Tls {
        /// The relay, `host:port`.
        relay: String,
        /// What is wrong.
        #[source]
        cause: TlsFault,
    },
    /// We are not logged in.
    #[error("no log-in at the relay {relay}: {cause}")]
    Auth {
        /// The relay, `host:port`.
        relay: String,
        /// What is wrong.
        #[source]
        cause: AuthFault,
    },
    /// No clean reply came.
    #[error("connecting to the relay {relay} broke at {phase}: {cause}; hint: {}", broken_hint(*phase, cause))]
    Broken {
        /// The relay, `host:port`.
        relay: String,
        /// Connect, greeting, EHLO or TLS.
        phase: Phase,
        /// What broke.
        #[source]
        cause: BreakCause,
    },
}

/// What helps where a server answers and lets nobody in.
fn refused_hint(phase: Phase) -> &'static str {
    match phase {
        Phase::Greeting => "does the relay take mail from this machine? `forthwith relay check`",
        Phase::Ehlo => "`relay.hello` must be a name the relay takes; `forthwith relay check`",
        _ => "`relay.tls`, and `forthwith relay check`",
    }
}

/// What helps where no clean reply came.
fn broken_hint(phase: Phase, cause: &BreakCause) -> &'static str {
    match (phase, cause) {
        (_, BreakCause::Garbage(_)) => {
            "does an SMTP server listen at `relay.host` and `relay.port`? `forthwith relay check`"
        }
        (Phase::Connect, _) => {
            "`relay.host` and `relay.port`; does the relay run? `forthwith relay check`"
        }
        (Phase::Tls, _) => "`relay.tls` and `relay.port` must go together; `forthwith relay check`",
        _ => "`forthwith relay check` tries the relay alone",
    }
}

impl ConnectFault {
    /// The phase it ended in.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Resolve { .. } | Self::NotLoopback { .. } => Phase::Connect,
            Self::Refused { phase, .. } | Self::Broken { phase, .. } => *phase,
            Self::Tls { .. } => Phase::Tls,
            Self::Auth { .. } => Phase::Auth,
        }
    }

    /// Whether the fault is ours to mend (or the relay's keepers'), so that trying again by itself
    /// does not help: a 4yz, a name that does not resolve just now and a broken connection pass, a
    /// 5yz, a wrong certificate, a refused log-in and a server that speaks no SMTP do not.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::NotLoopback { .. } | Self::Tls { .. } => true,
            Self::Resolve { .. } => false,
            Self::Refused { reply, .. } => reply.code() >= 500,
            Self::Auth { cause, .. } => !cause.is_passing(),
            Self::Broken { cause, .. } => matches!(cause, BreakCause::Garbage(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_not_getting_in_ends_with_one_hint() {
        let relay = || "relay.example:25".to_owned();
        let phases = [Phase::Connect, Phase::Greeting, Phase::Ehlo, Phase::Tls];
        let reply = || SmtpReply::new(554, "no");
        let mut faults: Vec<ConnectFault> = phases
            .into_iter()
            .flat_map(|phase| {
                let refused = ConnectFault::Refused { relay: relay(), phase, reply: reply() };
                let causes = [BreakCause::Closed, BreakCause::Garbage("?".into())];
                let broken =
                    causes.map(|cause| ConnectFault::Broken { relay: relay(), phase, cause });
                std::iter::once(refused).chain(broken)
            })
            .collect();
        let address = ([192, 0, 2, 1], 25).into();
        faults.push(ConnectFault::NotLoopback { host: "relay.example".into(), address });
        let cause = AuthFault::Broken(BreakCause::Timeout);
        faults.push(ConnectFault::Auth { relay: relay(), cause });
        faults.push(ConnectFault::Tls { relay: relay(), cause: TlsFault::NotOffered });
        for fault in faults {
            let said = fault.to_string();
            assert_eq!(said.matches("hint: ").count(), 1, "{said}");
        }
    }
}
