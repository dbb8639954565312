//! The `forthwith` binary: parses arguments, runs, maps the result to an exit code.

fn main() {}
