//! The steps of a connection at which a fault can strike. Pure names.

/// One step of a connection, named after the command that opens it; in their usual order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    /// The server's first line.
    Greeting,
    /// The EHLO command; HELO too, unless the fault says that EHLO is not known.
    Ehlo,
    /// The STARTTLS command and the handshake.
    Tls,
    /// The AUTH command and its exchange.
    Auth,
    /// The MAIL command.
    Mail,
    /// The RCPT command.
    Rcpt,
    /// The DATA command.
    Data,
    /// The dot that ends the body.
    Dot,
    /// The RSET command.
    Rset,
    /// The QUIT command.
    Quit,
}

/// Whose number or address decides whether a rule strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decider {
    /// The number of the connection at this sink.
    Connection,
    /// The reverse-path.
    Sender,
    /// The recipient, when RCPT names it.
    Recipient,
}

impl Phase {
    /// Every phase, in the order of a connection.
    pub(super) const ALL: [Self; 10] = [
        Self::Greeting,
        Self::Ehlo,
        Self::Tls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Dot,
        Self::Rset,
        Self::Quit,
    ];

    /// The phase a rule names.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == word)
    }

    /// Its name in rules.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Dot => "dot",
            Self::Rset => "rset",
            Self::Quit => "quit",
        }
    }

    /// Who decides its fate.
    pub(super) fn decider(self) -> Decider {
        match self {
            Self::Mail => Decider::Sender,
            Self::Rcpt | Self::Data | Self::Dot => Decider::Recipient,
            Self::Greeting | Self::Ehlo | Self::Tls | Self::Auth | Self::Rset | Self::Quit => {
                Decider::Connection
            }
        }
    }

    /// The code a `wrong` reply has in place of the one that is due.
    pub(super) fn wrong_code(self) -> u16 {
        match self {
            Self::Ehlo => 220,
            Self::Greeting | Self::Tls | Self::Auth | Self::Data => 250,
            Self::Mail | Self::Rcpt | Self::Dot | Self::Rset | Self::Quit => 354,
        }
    }
}
