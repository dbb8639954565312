//! `forthwith credential`.

use clap::{Args, Subcommand};

use super::ask::SignedAct;
use super::context::Context;
use super::delivery::find_to_act;
use super::listing::Listing;
use super::output::count;
use super::{AsJson, CliError};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::engine::Engine;
use crate::engine::report::CredentialView;

/// Rows asked for at a time.
const PAGE: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List what became of each credential; accounts are masked
    List {
        /// The campaign
        campaign: String,
        /// Only this class, such as `failed` or `not-found`
        #[arg(long, value_name = "CLASS")]
        class: Option<CredentialClass>,
        #[command(flatten)]
        form: AsJson,
    },
    /// Leave one kind of credential of somebody as it is, before the pass; signed, and their notice
    /// says so
    Exempt(ExemptArgs),
}

#[derive(Debug, Args)]
pub(super) struct ExemptArgs {
    /// The campaign
    campaign: String,
    /// Numbers, accounts or addresses; `-` asks for one, so that an address stays off the command line
    #[arg(value_name = "WHO", required = true)]
    who: Vec<String>,
    /// Which kind stays as it is
    #[arg(long, value_name = "KIND")]
    kind: CredentialKind,
    #[command(flatten)]
    act: SignedAct,
}

pub(super) async fn run(verb: Verb, context: &Context<'_>) -> Result<(), CliError> {
    let (campaign, class, form) = match verb {
        Verb::List { campaign, class, form } => (campaign, class, form),
        Verb::Exempt(args) => return exempt(&args, context).await,
    };
    context
        .with_engine(async |engine| {
            let columns = ["number", "account", "kind", "class", "reason", "changed_at"];
            let mut listing = Listing::new(context.printer, &columns, form.json);
            each_page(&engine, &campaign, class, |page| listing.page(page)).await?;
            listing.finish("no credentials of that kind");
            Ok(())
        })
        .await
}

async fn exempt(args: &ExemptArgs, context: &Context<'_>) -> Result<(), CliError> {
    context
        .with_engine(async |engine| {
            let mut numbers = Vec::new();
            for who in &args.who {
                numbers.extend(find_to_act(&engine, &args.campaign, &context.who(who)?).await?);
            }
            numbers.sort_unstable();
            numbers.dedup();
            let (people, kind) = (count(numbers.len() as u64), args.kind);
            context.confirm(
                &format!("The {kind} of {people} people will go on working as it is. Go on?"),
                args.act.yes,
            )?;
            let signer = context.signer(&engine, &args.act.signing.wanted()).await?;
            let exempted =
                engine.exempt(&args.campaign, &numbers, kind, &args.act.reason, &signer).await?;
            context.printer.say(&format!(
                "The {kind} of {} people is exempt; their notices say that it still works.",
                count(exempted)
            ));
            Ok(())
        })
        .await
}

async fn each_page(
    engine: &Engine,
    campaign: &str,
    class: Option<CredentialClass>,
    mut show: impl FnMut(&[CredentialView]) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut after = 0;
    loop {
        let mut page = engine.credentials(campaign, class, after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        if !is_last {
            drop_last_person(&mut page);
        }
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        show(&page)?;
        if is_last {
            return Ok(());
        }
    }
}

/// A full page may end between two credentials of one person, and the next begins after that person:
/// they are left to it whole.
fn drop_last_person(page: &mut Vec<CredentialView>) {
    let Some(last) = page.last().map(|view| view.number) else { return };
    if page.first().is_some_and(|view| view.number != last) {
        page.retain(|view| view.number != last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_whose_credentials_span_two_pages_is_shown_once_and_whole() {
        let view = |number, kind| CredentialView {
            number,
            account: String::new(),
            kind,
            class: "expired",
            reason: String::new(),
            changed_at: String::new(),
        };
        let mut page = vec![view(1, "password"), view(1, "session"), view(2, "password")];
        drop_last_person(&mut page);
        assert_eq!(page.iter().map(|view| view.number).collect::<Vec<_>>(), [1, 1]);
        drop_last_person(&mut page);
        assert_eq!(page.len(), 2, "one person alone is never dropped");
    }
}
