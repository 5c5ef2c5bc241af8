//! What the command line says: options that go for every verb, and the verbs.

mod addressee;
mod cache;
mod debugging;
mod logs;
mod statuses;
#[cfg(test)]
mod tests;
mod top;
mod verbs;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

pub(crate) use cache::{Cache, CacheVerb};
pub(crate) use debugging::{Debug, Isolate, LogLevel, Profile, Release, Stacks};
pub(crate) use logs::{Logs, Named};
pub(crate) use statuses::{Recycle, Statuses};
pub(crate) use top::Top;
pub(crate) use verbs::{
    Answer, Completions, Emit, Pause, Restart, Resume, Run, Scale, Status, Stop, Systemd, Upgrade,
};

const AFTER: &str = "\
Which cluster is meant: the one at --runtime-dir, or the one that is called --name, or the only one that you run.

Exit codes:
  0  done
  1  something else failed
  2  the command line is wrong
  3  no cluster is running
  4  several are running: say which
  5  no permission: the cluster is another user's
  6  no answer from the master
  7  busy: something that excludes it is under way
  8  the master refused it, or it failed

Examples:
  cluster run --bin hello -- --port 8080 --workers 4
  cluster status
  cluster --name shop restart --wait
  cluster --json status | jq '.workers[].pid'";

/// Runs, watches, scales, rolls and stops clusters of worker processes.
#[derive(Debug, Parser)]
#[command(name = "cluster", version, after_help = AFTER, subcommand_required = true, arg_required_else_help = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What goes for every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options for every verb")]
pub(crate) struct Common {
    /// The cluster of this name
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The cluster whose runtime directory this is
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Print JSON instead of text, also of an error
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(Run),
    Status(Status),
    Top(Top),
    Stop(Stop),
    Restart(Restart),
    Upgrade(Upgrade),
    Scale(Scale),
    Pause(Pause),
    Resume(Resume),
    /// Mark the node up: health probes are told how it really is again
    #[command(
        after_help = "Takes back `cluster mark-down`. Whether probes hear \"up\" then depends on the workers that serve."
    )]
    MarkUp(Answer),
    /// Mark the node down: health probes are told "down" until it is marked up
    #[command(
        after_help = "Workers serve on: the load balancer stops sending new requests, and what is under way is finished.\n\nExample: take a node out of service for a while\n  cluster mark-down\n  ...\n  cluster mark-up"
    )]
    MarkDown(Answer),
    Emit(Emit),
    Cache(Cache),
    Recycle(Recycle),
    Statuses(Statuses),
    Logs(Logs),
    LogLevel(LogLevel),
    Stacks(Stacks),
    Profile(Profile),
    Isolate(Isolate),
    Release(Release),
    Debug(Debug),
    Systemd(Systemd),
    Completions(Completions),
}

/// What a command line comes to.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// It is to be carried out.
    Run(Box<Cli>),
    /// Something is to be printed: help, the version.
    Print(String),
    /// It is wrong.
    Wrong { error: clap::Error, json: bool },
}

/// Reads a command line, whose first word is the program.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    let args: Vec<OsString> = args.into_iter().collect();
    let read = Cli::try_parse_from(&args).and_then(|cli| {
        check(&cli)?;
        Ok(cli)
    });
    match read {
        Ok(cli) => Parsed::Run(Box::new(cli)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Parsed::Print(error.render().ansi_if_terminal())
            }
            // What was wrong is unknown to nobody but the parser: whether JSON was asked for is seen without it.
            _ => {
                let own = args.iter().take_while(|arg| *arg != "--");
                let json = own.into_iter().any(|arg| arg == "--json");
                Parsed::Wrong { error, json }
            }
        },
    }
}

/// What the parser cannot see: options of every verb against those of one.
fn check(cli: &Cli) -> Result<(), clap::Error> {
    let conflict = |text: &str| Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
    let Common {
        name, runtime_dir, ..
    } = &cli.common;
    let begins = matches!(cli.verb, Verb::Run(_) | Verb::Systemd(_));
    if name.is_some() && runtime_dir.is_some() && !begins {
        return conflict(
            "--name and --runtime-dir both say which cluster is meant: give one of them",
        );
    }
    if cli.common.json && matches!(cli.verb, Verb::Top(_)) {
        return conflict(
            "top is for people to look at: `cluster --json status` prints the same figures",
        );
    }
    if let Verb::Status(Status {
        name: Some(named), ..
    })
    | Verb::Top(Top {
        name: Some(named), ..
    }) = &cli.verb
    {
        if runtime_dir.is_some() {
            return conflict(
                "a name and --runtime-dir both say which cluster is meant: give one of them",
            );
        }
        if name.as_ref().is_some_and(|name| name != named) {
            return conflict("two different names say which cluster is meant: give one of them");
        }
    }
    Ok(())
}

/// Help in the terminal's own colours, where there is a terminal that wants them.
trait Rendered {
    fn ansi_if_terminal(&self) -> String;
}

impl Rendered for clap::builder::StyledStr {
    fn ansi_if_terminal(&self) -> String {
        if crate::output::colours(&std::io::stdout()) {
            self.ansi().to_string()
        } else {
            self.to_string()
        }
    }
}
