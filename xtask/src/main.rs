//! The project's own chores, run as `cargo xtask COMMAND`.
//!
//! `test` is what continuous integration runs; `tidy` keeps the rules of the house that a machine can keep;
//! `deny` looks at the dependency tree; `bench` measures us against references; `chaos` torments a cluster under load.

mod bench;
mod chaos;
mod deny;
mod packages;
mod processes;
mod tidy;
mod verify;
mod workspace;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The command line.
#[derive(Parser)]
#[command(name = "cargo xtask", about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One chore.
#[derive(Subcommand)]
enum Command {
    /// Run all that continuous integration runs: packages, fmt, clippy, tidy, build, doc, chaos, tests
    Test(TestArgs),
    /// Check file length, banned names, layer order, crate direction, orphan files
    Tidy,
    /// Check licences, bans, sources and advisories of the dependency tree (needs cargo-deny)
    Deny,
    /// Measure us against a reference, in turn, in one run
    Bench(bench::BenchArgs),
    /// Torment a cluster under load as a seed says, and judge what its users saw
    Chaos(chaos::ChaosArgs),
}

/// What `test` may be told.
#[derive(Args)]
struct TestArgs {
    /// Leave out the building of the documentation, and the minute of chaos
    #[arg(long)]
    fast: bool,
    /// Handed to every test binary: a filter, or flags such as --nocapture
    #[arg(last = true)]
    filter: Vec<String>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test(args) => return verify::run(args.fast, &args.filter),
        Command::Tidy => return tidy_command(),
        Command::Deny => deny::run().map_err(chain),
        Command::Bench(args) => bench::run(&args).map_err(chain),
        Command::Chaos(args) => chaos::run(&args).map_err(chain),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn tidy_command() -> ExitCode {
    match tidy::run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {}", chain(error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its sources in one line; each of them prints its own level only.
fn chain(error: impl std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
