//! L3: configuration. Defaults that the program carries, a workspace's file and the environment,
//! laid over each other into the settings that lower modules own.

pub mod check;
pub mod env;
mod layers;
mod portal;
pub mod replies;
mod settings;

use std::path::{Path, PathBuf};

pub use env::Variables;
pub use layers::{Leaf, Origin};
pub use portal::WebSettings;
pub use settings::{LogFormat, LogLevel, LogSettings};

use layers::{Layers, put};
use settings::Written;

use crate::domain::address::EmailAddress;
use crate::domain::problem::{Problem, ProblemList};
use crate::domain::provider::ProviderTable;
use crate::domain::reply::ReplyRules;
use crate::domain::toml_file::Problems;
use crate::engine::portal::PortalSettings;
use crate::engine::support::SupportLimits;
use crate::engine::{WorkerSettings, Workspace};
use crate::mail::settings::RelaySettings;
use crate::secret::relay::RelaySecret;

/// Every key with its default.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// A workspace's own settings.
pub const FILE: &str = "forthwith.toml";

/// A workspace's own provider table.
pub const PROVIDERS_FILE: &str = "providers.toml";

/// The provider table where a workspace has none of its own.
const PROVIDERS: &str = include_str!("../../config/providers.toml");

/// What this program was set up with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The relay notices are handed to.
    pub relay: RelaySettings,
    /// What the portal may use, and where its mail goes.
    pub portal: PortalSettings,
    /// Where its pages are served.
    pub web: WebSettings,
    /// What support may look up.
    pub support: SupportLimits,
    /// What a worker may use of its machine.
    pub worker: WorkerSettings,
    /// How long a write waits for another process that holds the lock of the database.
    pub database_wait: std::time::Duration,
    /// The only addresses that tests of a notice go to.
    pub test_addresses: Vec<EmailAddress>,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Mailbox providers and their limits.
    pub providers: ProviderTable,
    /// What replies mean.
    pub replies: ReplyRules,
    /// The folder for what this host remembers outside of any workspace, where it has one.
    pub state_home: Option<PathBuf>,
    settings: Vec<(String, Leaf)>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Keys or values that cannot be used, all that were found.
    #[error(transparent)]
    Problems(#[from] ProblemList),
    /// The defaults do not fit this program.
    #[error("config/default.toml: {0}; this is a defect, please report it")]
    Defaults(String),
}

/// A workspace's own tables, as read.
#[derive(Debug, Clone, Copy, Default)]
struct Tables<'a> {
    providers: Option<&'a str>,
    replies: Option<&'a str>,
}

/// What helps where a problem of the provider table has no hint of its own.
const PROVIDERS_HINT: &str =
    "[provider.name] with domains = [\"example.com\"], pace_per_second, connections and the like";

impl Config {
    /// Loads a workspace's configuration; a workspace without files has the defaults.
    pub fn load(workspace: &Workspace, variables: &Variables) -> Result<Self, ConfigError> {
        let mut problems = ProblemList::default();
        let mut read = |name: &str| {
            let text = workspace.own_text(&workspace.root().join(name), name);
            text.unwrap_or_else(|found| {
                problems.take(found);
                None
            })
        };
        let (own, providers, replies) = (read(FILE), read(PROVIDERS_FILE), read(replies::FILE));
        let tables = Tables { providers: providers.as_deref(), replies: replies.as_deref() };
        let laid = Self::lay(own.as_deref(), &tables, variables, workspace.root());
        match laid {
            Ok(config) if problems.is_empty() => Ok(config),
            Err(ConfigError::Problems(more)) => {
                problems.take(more);
                Err(problems.sorted().into())
            }
            Ok(_) => Err(problems.into()),
            Err(other) => Err(other),
        }
    }

    /// The configuration of commands that need no workspace.
    pub fn without_workspace(variables: &Variables) -> Result<Self, ConfigError> {
        Self::lay(None, &Tables::default(), variables, Path::new(""))
    }

    fn lay(
        own: Option<&str>,
        tables: &Tables<'_>,
        variables: &Variables,
        root: &Path,
    ) -> Result<Self, ConfigError> {
        let broken = |error: toml::de::Error| ConfigError::Defaults(error.to_string());
        let defaults: toml::Table = DEFAULTS.parse().map_err(broken)?;
        let mut layers = Layers::defaults(defaults.clone());
        if let Some(text) = own {
            layers.lay_file(text, FILE);
        }
        layers.lay_variables(variables);
        try_each(&mut layers, &defaults);
        if layers.problems().is_empty() {
            try_together(&mut layers);
        }
        let mut problems = layers.problems().clone();
        let providers = read_providers(tables.providers, &mut problems);
        let replies = replies::read(tables.replies, providers.as_ref(), &mut problems);
        let (true, Some(providers), Some(replies)) = (problems.is_empty(), providers, replies)
        else {
            return Err(problems.sorted().into());
        };
        let mut written =
            Written::read(layers.table(|_, _| true)).map_err(ConfigError::Defaults)?;
        let secret = variables.get(env::RELAY_SECRET).map(str::to_owned).map(RelaySecret::new);
        written.relay.auth.secret = secret;
        let relay = written.relay.under(root);
        Ok(Self {
            portal: written.portal.portal(&relay, root),
            web: written.portal.web(root),
            support: written.support.into(),
            relay,
            worker: written.worker.into(),
            database_wait: written.worker.database_wait.unsigned(),
            test_addresses: written.test.addresses,
            log: written.log,
            providers,
            replies,
            state_home: variables.state_home(),
            settings: layers.leaves().clone().into_iter().collect(),
        })
    }

    /// Every setting by its key, with where it comes from.
    pub fn settings(&self) -> &[(String, Leaf)] {
        &self.settings
    }
}

/// Tries each value that is no default alone upon the defaults, so that each wrong one is named.
fn try_each(layers: &mut Layers, defaults: &toml::Table) {
    let mut refused = Vec::new();
    for (key, leaf) in layers.leaves() {
        if leaf.origin == Origin::Default {
            continue;
        }
        let mut table = defaults.clone();
        put(&mut table, key, leaf.value.clone());
        if let Err(message) = Written::read(table) {
            refused.push((key.clone(), message));
        }
    }
    for (key, message) in refused {
        layers.refuse_value(&key, &message);
    }
}

/// Tries what each value alone cannot show to be wrong.
fn try_together(layers: &mut Layers) {
    let Ok(written) = Written::read(layers.table(|_, _| true)) else { return };
    if let Err((key, message)) = written.portal.check_together() {
        layers.refuse_value(key, &message);
    }
}

fn read_providers(own: Option<&str>, list: &mut ProblemList) -> Option<ProviderTable> {
    let Some(text) = own else {
        let shipped = toml::from_str(PROVIDERS).map_err(|error| error.to_string());
        return shipped.map_err(|what| list.push(Problem::of("config/providers.toml", &what))).ok();
    };
    let mut problems = Problems::of(PROVIDERS_FILE, text, PROVIDERS_HINT);
    let table = problems.read(PROVIDERS);
    let is_fine = problems.is_empty();
    list.take(problems.into_list());
    table.filter(|_| is_fine)
}

/// The defaults as a new workspace's own file: every key commented out.
pub fn starter() -> String {
    let (_, keys) = DEFAULTS.split_once("\n\n").unwrap_or(("", DEFAULTS));
    let mut text = String::from(
        "# The configuration of this workspace. Take the `#` off a key to change it; the values shown\n\
         # are the defaults. `forthwith config check` reads this file, `forthwith config show` prints\n\
         # what is in force.\n\n",
    );
    for line in keys.lines() {
        let is_key = !line.is_empty() && !line.starts_with(['#', '[']);
        text.push_str(if is_key { "#" } else { "" });
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
