//! Which commands change nothing. All others are refused while the database is rewound: what is new and not
//! listed here counts as one that writes.

use super::{
    Noun, amendment, audience, campaign, config, credential, delivery, directory, gate, incident,
    journal, key, notice, operator, pace, relay, wave,
};

pub(super) fn only_reads(noun: &Noun) -> bool {
    match noun {
        Noun::Config(config::Verb::Check(_) | config::Verb::Show(_))
        | Noun::Key(key::Verb::Check(_))
        | Noun::Operator(operator::Verb::List(_))
        | Noun::Relay(relay::Verb::Check { .. })
        | Noun::Incident(incident::Verb::List(_) | incident::Verb::New { .. })
        | Noun::Directory(directory::Verb::Check { .. } | directory::Verb::Marker { .. })
        | Noun::Credential(credential::Verb::List { .. })
        | Noun::Gate(gate::Verb::List { .. })
        | Noun::Wave(wave::Verb::List { .. })
        | Noun::Pace(pace::Verb::Show { .. })
        | Noun::Notice(notice::Verb::Preview { .. })
        | Noun::Delivery(delivery::Verb::List(_) | delivery::Verb::Show { .. })
        | Noun::Amendment(amendment::Verb::List { .. })
        | Noun::Journal(journal::Verb::List(_))
        | Noun::Password(_)
        | Noun::Reply(_)
        | Noun::Sink(_)
        | Noun::Demo(_) => true,
        Noun::Audience(verb) => !matches!(verb, audience::Verb::Seal { .. }),
        Noun::Campaign(verb) => matches!(
            verb,
            campaign::Verb::New { .. }
                | campaign::Verb::Status { .. }
                | campaign::Verb::Watch { .. }
                | campaign::Verb::List(_)
                // looks first, and is the one that may write
                | campaign::Verb::Recover(_)
        ),
        _ => false,
    }
}
