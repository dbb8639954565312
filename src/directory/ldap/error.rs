//! What goes wrong with an LDAP server. A server's own words may hold a name or a value, so that of
//! what it says only the code and what that means are told.

use thiserror::Error;

use crate::domain::credential::CredentialKind;
use crate::secret::secret_file::SecretFileError;
use crate::tls::TlsSetupError;

/// Why an LDAP directory did not do what was asked of it.
#[derive(Debug, Error)]
pub enum LdapFault {
    /// A setting makes no sense.
    #[error("directory.ldap.{key} {said}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong with it, and a hint.
        said: String,
    },
    /// Our own password.
    #[error(transparent)]
    Password(#[from] SecretFileError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The host has no address.
    #[error("the host in directory.ldap.url does not resolve: {cause}")]
    Unresolved {
        /// What the system said.
        cause: String,
    },
    /// The connection could be overheard.
    #[error(
        "the LDAP server at {place} is not on this machine, and directory.ldap.tls would let others on \
         the way read password hashes"
    )]
    InClear {
        /// Host and port.
        place: String,
    },
    /// No connection.
    #[error("the LDAP server at {place} cannot be reached: {cause}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What happened.
        cause: String,
    },
    /// No connection that may be used.
    #[error("no secured connection to the LDAP server at {place}: {cause}")]
    Unsecured {
        /// Host and port.
        place: String,
        /// What happened.
        cause: String,
    },
    /// The server does not let us in.
    #[error("the LDAP server at {place} does not let directory.ldap.bind_dn in: {}", meaning(*code))]
    Refused {
        /// Host and port.
        place: String,
        /// The server's result.
        code: u32,
    },
    /// The server has no compare-and-set.
    #[error(
        "the LDAP server at {place} offers no assertion control (RFC 4528), so nothing can be replaced \
             on the condition that it did not change meanwhile"
    )]
    NoAssertion {
        /// Host and port.
        place: String,
    },
    /// The connection broke.
    #[error("{doing}: the connection to the LDAP server broke; whether this was kept is not known")]
    Lost {
        /// What was under way.
        doing: &'static str,
    },
    /// No answer in time.
    #[error("{doing}: no answer within directory.ldap.timeout; whether this was kept is not known")]
    Slow {
        /// What was under way.
        doing: &'static str,
    },
    /// The server is busy.
    #[error("{doing}: {}", meaning(*code))]
    Busy {
        /// What was under way.
        doing: &'static str,
        /// The server's result.
        code: u32,
    },
    /// It points to another server.
    #[error("{doing}: the server refers to another one")]
    Referral {
        /// What was under way.
        doing: &'static str,
    },
    /// An operation that concerns no single account failed.
    #[error("{doing}: {}", meaning(*code))]
    Failed {
        /// What was under way.
        doing: &'static str,
        /// The server's result.
        code: u32,
    },
    /// Entries were not changed; the others of the call were.
    #[error("of {asked} entries to be changed the LDAP server refuses {refused}: {}", meaning(*code))]
    Denied {
        /// Entries to be changed.
        asked: usize,
        /// Entries that were refused.
        refused: usize,
        /// The result of the first of those.
        code: u32,
    },
    /// No password may be read, so that none cannot be told from a hidden one.
    #[error(
        "directory.ldap.bind_dn may not read directory.ldap.password of an entry, which then looks like one \
         without a password"
    )]
    Hidden,
    /// An entry is not one account's.
    #[error("entry {place} of an answer {fault}")]
    Entry {
        /// Its place, from 1.
        place: usize,
        /// What is wrong with it.
        fault: EntryFault,
    },
    /// The rehearsal marker can't be read as one.
    #[error("the entry cn=forthwith-rehearsal has {0} descriptions")]
    Marker(usize),
    /// A kind that LDAP has nothing of.
    #[error("an LDAP directory holds passwords, and no credentials of kind {0}")]
    Kind(CredentialKind),
    /// A modification went through that must not have.
    #[error("the LDAP server wrote what it was told only to try")]
    NotOnlyTried,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EntryFault {
    /// Of no account that was asked for.
    #[error("is of no account that was asked for")]
    Unasked,
    /// Of an account that was answered before.
    #[error("is of an account that another entry was given for")]
    AnsweredTwice,
    /// Of two accounts.
    #[error("is of two accounts of the call")]
    OfTwo,
    /// The change time.
    #[error("has no generalized time in directory.ldap.changed_at")]
    ChangeTime,
}

impl LdapFault {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Setting { .. } | Self::Password(_) | Self::Tls(_) => return None,
            Self::Unresolved { .. } => "directory.ldap.url names the host",
            Self::InClear { .. } => "tls = \"required\", or a tunnel that ends on this machine",
            Self::Unreachable { .. } => "is the server running, and is directory.ldap.url right?",
            Self::Unsecured { .. } => {
                "the server must offer TLS (STARTTLS at ldap://), with a certificate that names its host \
                 and is signed by an authority that this machine or the file `authorities` knows"
            }
            Self::Refused { .. } => {
                "directory.ldap.bind_dn and the file directory.ldap.password_file"
            }
            Self::NoAssertion { .. } => {
                "OpenLDAP has it; docs/directories.md says what else is needed"
            }
            Self::Lost { .. } => {
                "run it again: what was written is read back first, and known again as ours"
            }
            Self::Slow { .. } => {
                "let an index serve the account attribute, make directory.ldap.batch or concurrency \
                 smaller, or timeout longer"
            }
            Self::Busy { .. } => "run it again later, with a smaller directory.ldap.concurrency",
            Self::Referral { .. } => "name the server that takes writes in directory.ldap.url",
            Self::Failed { code: 4 | 11, .. } => {
                "the server's limits for directory.ldap.bind_dn must allow 100 entries a search"
            }
            Self::Failed { .. } => {
                "run `forthwith directory check`; directory.ldap.base must be an entry"
            }
            Self::Denied { code: 50, .. } => {
                "give directory.ldap.bind_dn write access to directory.ldap.password; where the policy says \
                 pwdSafeModify, it must not hold for these entries"
            }
            Self::Denied { code: 19, .. } => {
                "the password policy refuses a hash: pwdCheckQuality 2 needs `manage` access for \
                 directory.ldap.bind_dn"
            }
            Self::Denied { .. } => "run `forthwith directory check`; it changes nothing",
            Self::Hidden => {
                "give it `read` access to that attribute, of every entry below the base"
            }
            Self::Entry { fault, .. } => fault.hint(),
            Self::Marker(_) => {
                "one description, this workspace's database id; see `forthwith status`"
            }
            Self::Kind(_) => "expire those where they are kept",
            Self::NotOnlyTried => {
                "three accounts may have been expired: look at them, and at the server"
            }
        })
    }

    /// Whether nothing may go on before somebody has looked.
    pub fn is_alarming(&self) -> bool {
        matches!(self, Self::NotOnlyTried)
    }

    /// Whether it may be about some accounts of the call alone. Others may have been changed, and are
    /// known again as ours.
    pub fn is_of_rows(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// Whether the same call may succeed a little later with nothing mended.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

impl EntryFault {
    fn hint(self) -> &'static str {
        match self {
            Self::Unasked => {
                "directory.ldap.account must be the attribute that the audience's column holds"
            }
            Self::AnsweredTwice => {
                "narrow directory.ldap.base or filter until each account has one entry"
            }
            Self::OfTwo => "seal one account an entry: LDAP takes `Ann` for `ann`",
            Self::ChangeTime => "pwdChangedTime, where the server has a password policy",
        }
    }
}

/// What a result code means (RFC 4511 appendix A.2), in words that name nothing.
pub(super) fn meaning(code: u32) -> String {
    let said = match code {
        1 => "an error in its operations",
        2 => "an error of protocol",
        3 => "its limit of time",
        4 => "its limit of size",
        8 | 13 => "a secured connection is demanded",
        11 => "an administrative limit",
        12 => "a control that it does not know",
        16 => "no such attribute",
        17 => "an undefined attribute",
        19 => "against a constraint, such as the password policy",
        20 => "a value that is there already",
        21 => "against the attribute's syntax",
        32 => "no such entry, or none that may be seen",
        34 => "no distinguished name",
        48 => "an entry that cannot log in",
        49 => "wrong name or password",
        50 => "access denied",
        51 => "busy",
        52 => "unavailable",
        53 => "unwilling",
        65 => "against the entry's object class",
        122 => "another value than asserted",
        _ => "an error",
    };
    format!("{said} (result {code})")
}
