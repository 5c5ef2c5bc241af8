//! The command line as its users have it: real processes, with and without a cluster.

mod alone;
mod bequest;
mod cache;
mod debugging;
mod logs;
mod parent;
mod running;
mod systemd;
mod terminal;
mod top;
mod trial;
mod upgrade;

use std::process::{Command, Output};

/// The command, ready to be given a verb.
fn cluster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
    command.env_remove("RUST_LOG").env_remove("CLUSTER_CONFIG");
    command
}

/// What a run of the command came to.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("the command can be started"))
    }

    /// The one line that it complains with.
    fn complaint(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        let complaint = self
            .err
            .strip_prefix("error: ")
            .and_then(|rest| rest.strip_suffix('\n'));
        let line = complaint.unwrap_or_else(|| panic!("no complaint: {:?}", self.err));
        assert!(!line.contains('\n'), "more than a line: {line:?}");
        line
    }

    /// What it prints, when all is well.
    fn output(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        &self.out
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it writes text");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}
