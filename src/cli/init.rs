//! `forthwith init`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::ask::Wanted;
use super::context::Context;
use crate::app::App;
use crate::config::env::PASSWORDS;
use crate::engine::Workspace;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder to make the workspace in; the one `--workspace` names, else this one
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The name a founder will sign under; give it twice, for two people
    #[arg(long = "founder", value_name = "NAME", required = true)]
    founders: Vec<String>,
    /// A file with the first founder's password; else `FORTHWITH_PASSWORD_1`, else a prompt
    #[arg(long = "password-file-1", value_name = "FILE")]
    password_file_1: Option<PathBuf>,
    /// A file with the second founder's password; else `FORTHWITH_PASSWORD_2`, else a prompt
    #[arg(long = "password-file-2", value_name = "FILE")]
    password_file_2: Option<PathBuf>,
}

pub(super) async fn run(args: InitArgs, context: &Context<'_>) -> Result<(), CliError> {
    let workspace = args.folder.map_or_else(|| context.workspace.clone(), Workspace::at);
    let [first, second] = args.founders.as_slice() else {
        return Err(CliError::refused(
            "a workspace has two founders; hint: `--founder ANN --founder BOB`, each typing their \
             own password",
        ));
    };
    let wanted = |name, file: Option<&PathBuf>, variable| {
        let file = file.map(PathBuf::as_path);
        context.person(&Wanted { name, file, variable, is_new: true })
    };
    // Both passwords before the first file: who is called away in between leaves nothing behind.
    let founders = [
        wanted(first, args.password_file_1.as_ref(), PASSWORDS[1])?,
        wanted(second, args.password_file_2.as_ref(), PASSWORDS[2])?,
    ];
    let config = context.config_of(&workspace)?;
    let app = App::init(workspace.clone(), config).await?;
    let done = app.engine.found(founders).await;
    app.close().await;
    done?;
    let folder = workspace.root().display();
    context.printer.say(&format!(
        "Made a workspace in `{folder}` with the founders {first} and {second}.\n\
         Copy `{}` to a safe place now: without the keys nobody can read this database again.\n\
         Next: `forthwith incident new SLUG`",
        workspace.keys().display()
    ));
    Ok(())
}
