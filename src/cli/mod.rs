//! L3: the command line. One noun a file; data on stdout, talk on stderr.

mod amendment;
mod approval;
mod ask;
mod audience;
mod bars;
mod campaign;
mod config;
mod containment;
mod context;
mod credential;
mod delivery;
pub mod demo;
mod directory;
mod ending;
pub mod exit;
mod gate;
mod incident;
mod init;
mod journal;
mod key;
mod listing;
mod notice;
mod operator;
pub mod output;
mod pace;
mod password;
mod portal;
pub mod problem;
mod provider;
mod reading;
mod recover;
mod relay;
mod reply;
mod secure;
mod sink;
mod status;
mod support;
mod wave;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use bars::Bars;
pub use exit::CliError;
pub use output::Printer;

use context::Context;

use crate::config::Variables;
use crate::lifecycle;

/// Tells everyone affected by a data breach, and makes their stolen credentials worthless first.
#[derive(Debug, Parser)]
#[command(name = "forthwith", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 something for you to mend, 2 something for us to mend.\n\
    A campaign's road: init, incident new, campaign new, audience seal, containment plan and \
    approve, secure run, campaign plan, approve and run."
)]
struct Cli {
    /// The folder with the keys, the database and the campaigns; else the one that
    /// `FORTHWITH_WORKSPACE` names, else this one
    #[arg(long, global = true, value_name = "DIR")]
    workspace: Option<PathBuf>,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Make a workspace: folders, keys, database and two founders in one act
    Init(init::InitArgs),
    /// The configuration: what is in force, what is wrong
    #[command(subcommand)]
    Config(config::Verb),
    /// The workspace's keys
    #[command(subcommand)]
    Key(key::Verb),
    /// The people who may sign
    #[command(subcommand)]
    Operator(operator::Verb),
    /// The mail relay
    #[command(subcommand)]
    Relay(relay::Verb),
    /// The facts of what happened
    #[command(subcommand)]
    Incident(incident::Verb),
    /// The affected people, frozen
    #[command(subcommand)]
    Audience(audience::Verb),
    /// The company's own user database
    #[command(subcommand)]
    Directory(directory::Verb),
    /// What is done to the stolen credentials, and who approved it
    #[command(subcommand)]
    Containment(containment::Verb),
    /// Expire what was stolen
    #[command(subcommand)]
    Secure(secure::Verb),
    /// What became of each credential
    #[command(subcommand)]
    Credential(credential::Verb),
    /// The notice: plan, approve, run, watch
    #[command(subcommand)]
    Campaign(campaign::Verb),
    /// The order people are told in
    #[command(subcommand)]
    Wave(wave::Verb),
    /// What must have happened before a wave opens
    #[command(subcommand)]
    Gate(gate::Verb),
    /// A notice to look at: on the screen, as a page, or sent to an operator as a test
    #[command(subcommand)]
    Notice(notice::Verb),
    /// How fast notices go, over all and to each mailbox provider
    #[command(subcommand)]
    Pace(pace::Verb),
    /// Mailbox providers: let one rest, or go on
    #[command(subcommand)]
    Provider(provider::Verb),
    /// The public pages: the way back in
    #[command(subcommand)]
    Portal(portal::Verb),
    /// What is known of passwords from other breaches
    #[command(subcommand)]
    Password(password::Verb),
    /// What to say to people who call
    #[command(subcommand)]
    Support(support::Verb),
    /// What became of each notice
    #[command(subcommand)]
    Delivery(delivery::Verb),
    /// What is changed about sealed people afterwards, signed and with its reason
    #[command(subcommand)]
    Amendment(amendment::Verb),
    /// The wire journals: what was sent, told without the database
    #[command(subcommand)]
    Journal(journal::Verb),
    /// What servers' replies mean, and what is done about them
    #[command(subcommand)]
    Reply(reply::Verb),
    /// A local SMTP server that keeps mail and fails on purpose, for rehearsals
    Sink(Box<sink::SinkArgs>),
    /// A whole invented campaign from breach to the last notice, on this machine alone
    Demo(DemoArgs),
}

/// What a demonstration is like.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many people are affected
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub accounts: u32,
    /// End when the last notice is told instead of waiting for Ctrl-C
    #[arg(long)]
    pub exit: bool,
}

/// A listing's form.
#[derive(Debug, Clone, Copy, Args)]
struct AsJson {
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs one command line, program name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let printer = Printer::standard();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    exit::report(run(cli, &printer), &printer)
}

fn run(cli: Cli, printer: &Printer) -> Result<(), CliError> {
    let variables = Variables::capture().map_err(|error| CliError::refused(error.to_string()))?;
    printer.set_look(variables.shows_unicode(), variables.shows_colour());
    lifecycle::check_open_files(0).map_err(CliError::refused)?;
    let runtime = lifecycle::runtime().map_err(CliError::Runtime)?;
    lifecycle::run(runtime, dispatch(cli, variables, printer))
}

async fn dispatch(cli: Cli, variables: Variables, printer: &Printer) -> Result<(), CliError> {
    let mut context = Context::new(cli.workspace, variables, printer);
    context.only_reads = reading::only_reads(&cli.noun);
    match cli.noun {
        Noun::Init(args) => init::run(args, &context).await,
        Noun::Config(verb) => config::run(verb, &context),
        Noun::Key(verb) => key::run(verb, &context).await,
        Noun::Operator(verb) => operator::run(verb, &context).await,
        Noun::Relay(verb) => relay::run(verb, &context).await,
        Noun::Incident(verb) => incident::run(verb, &context),
        Noun::Audience(verb) => audience::run(verb, &context).await,
        Noun::Directory(verb) => directory::run(verb, &context).await,
        Noun::Containment(verb) => containment::run(verb, &context).await,
        Noun::Secure(verb) => secure::run(verb, &context).await,
        Noun::Credential(verb) => credential::run(verb, &context).await,
        Noun::Campaign(verb) => Box::pin(campaign::run(verb, &context)).await,
        Noun::Wave(verb) => wave::run(verb, &context).await,
        Noun::Gate(verb) => gate::run(verb, &context).await,
        Noun::Notice(verb) => notice::run(verb, &context).await,
        Noun::Pace(verb) => pace::run(verb, &context).await,
        Noun::Provider(verb) => provider::run(verb, &context).await,
        Noun::Portal(verb) => Box::pin(portal::run(verb, &context)).await,
        Noun::Password(verb) => password::run(verb, &context),
        Noun::Support(verb) => support::run(verb, &context).await,
        Noun::Delivery(verb) => delivery::run(verb, &context).await,
        Noun::Amendment(verb) => amendment::run(verb, &context).await,
        Noun::Journal(verb) => journal::run(verb, &context).await,
        Noun::Reply(verb) => reply::run(verb, &context),
        Noun::Sink(args) => sink::run(*args, &context).await,
        Noun::Demo(args) => {
            context.log_without_workspace()?;
            Box::pin(demo::run(args, printer)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_takes_a_password_itself() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                let is_file = name.ends_with("_file") || name.contains("_file_");
                assert!(!name.contains("password") || is_file, "{} {name}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let said = argument.get_help().is_some();
                assert!(said, "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}
