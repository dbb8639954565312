//! The `forthwith` binary: parses arguments, runs, maps the result to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    forthwith::cli::main(std::env::args_os())
}
