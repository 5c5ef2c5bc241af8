//! The command line of cluster: run, watch, scale, roll and stop a cluster.

mod args;
mod command;
mod error;
mod output;
mod progress;
mod state;

use std::io::ErrorKind;
use std::process::ExitCode;

use cluster_cache::CacheError;
use cluster_core::OperationError;
use cluster_core::operator::{FindError, OperatorError};

use args::Parsed;
use error::{CliError, Code};

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Parsed::Run(cli) => match command::execute(&cli) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                let code = code_of(&error);
                output::complain(cli.common.json, code, &error::line(&error));
                code.into()
            }
        },
        Parsed::Print(text) => {
            output::print(&text).map_or_else(|_| Code::Failure.into(), |()| ExitCode::SUCCESS)
        }
        Parsed::Wrong { error, json } => {
            output::complain_of_usage(json, &error);
            Code::Usage.into()
        }
    }
}

/// The one place where an error becomes an exit code.
fn code_of(error: &CliError) -> Code {
    match error {
        CliError::Find(error) => match error {
            FindError::None { .. } => Code::NoneRunning,
            FindError::Several { .. } => Code::Several,
            FindError::NoPermission { .. } => Code::NoPermission,
            _ => Code::Failure,
        },
        CliError::Operator(error) => match error {
            OperatorError::NotRunning { .. } => Code::NoneRunning,
            OperatorError::NoPermission { .. } => Code::NoPermission,
            OperatorError::NoAnswer { .. } | OperatorError::LinkLost(_) => Code::NoAnswer,
            OperatorError::Operation(OperationError::Busy(_)) => Code::Busy,
            OperatorError::Operation(_) => Code::Refused,
            _ => Code::Failure,
        },
        CliError::TooSlow { .. } | CliError::NotBack { .. } => Code::NoAnswer,
        CliError::UpgradeFailed { .. } => Code::Refused,
        CliError::Cache(error) => match error {
            CacheError::Deadline { .. } | CacheError::Unreachable { .. } | CacheError::LinkLost => {
                Code::NoAnswer
            }
            _ => Code::Refused,
        },
        CliError::NoValue { .. }
        | CliError::NoCache
        | CliError::LogsToStderr { .. }
        | CliError::NoSuchLog { .. } => Code::Refused,
        CliError::NoLogsEither { none, .. } => code_of(none),
        CliError::SeveralLogs { .. } => Code::Several,
        CliError::Logs { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Code::NoPermission
        }
        CliError::Unit(_) | CliError::NoTerminal { .. } => Code::Usage,
        CliError::NoLogs { .. }
        | CliError::Logs { .. }
        | CliError::Parent(_)
        | CliError::Build(_)
        | CliError::Answer(_)
        | CliError::File { .. }
        | CliError::Output(_)
        | CliError::Terminal(_)
        | CliError::Runtime(_) => Code::Failure,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_kind_of_failure_has_a_code_of_its_own() {
        let none = FindError::None {
            name: None,
            looked_in: Vec::new(),
        };
        let several = FindError::Several {
            running: Vec::new(),
        };
        let hidden = FindError::NoPermission { path: "/x".into() };
        let dead = || OperatorError::NotRunning {
            runtime_dir: "/x".into(),
        };
        let foreign = OperatorError::NoPermission {
            runtime_dir: "/x".into(),
        };
        let silent = OperatorError::NoAnswer {
            waited: Duration::ZERO,
        };
        let busy = OperationError::Busy("an upgrade".to_owned());
        let refused = OperationError::NoSuchWorker(7);
        let mute = CliError::LogsToStderr {
            cluster: "shop".to_owned(),
        };
        let either = CliError::NoLogsEither {
            none: Box::new(dead().into()),
            directory: "log".into(),
        };
        let hidden_log = CliError::Logs {
            directory: "log".into(),
            source: ErrorKind::PermissionDenied.into(),
        };
        let late = CacheError::Deadline { waited_ms: 7 };
        let zero = command::systemd::UnitError::AnyPort;
        let cases: [(CliError, u8); 15] = [
            (zero.into(), 2),
            (none.into(), 3),
            (several.into(), 4),
            (hidden.into(), 5),
            (dead().into(), 3),
            (foreign.into(), 5),
            (silent.into(), 6),
            (OperatorError::from(busy).into(), 7),
            (OperatorError::from(refused).into(), 8),
            (late.into(), 6),
            (CliError::NoCache, 8),
            (mute, 8),
            (either, 3),
            (hidden_log, 5),
            (CliError::Runtime(std::io::ErrorKind::Other.into()), 1),
        ];
        for (error, code) in cases {
            assert_eq!(code_of(&error) as u8, code, "{error}");
        }
    }
}
