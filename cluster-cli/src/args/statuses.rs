//! What `cluster statuses` and `cluster recycle` take.

use clap::Args;

use super::Answer;

/// Show registered statuses of all processes, or set one
#[derive(Debug, Args)]
#[command(after_help = "\
A status is a value that the application, or the cluster itself, registers in each process under a name.

Examples:
  cluster statuses
  cluster statuses os
  cluster statuses queue-length --reduce sum
  cluster statuses gc --set true")]
pub(crate) struct Statuses {
    /// The status; all names without one
    #[arg(id = "status", value_name = "NAME")]
    pub(crate) status: Option<String>,
    /// Make the values of all processes one: list, sum, min, max or merge
    #[arg(long, value_name = "HOW", default_value = "list", requires = "status")]
    pub(crate) reduce: String,
    /// Set it in every process that lets it be set
    #[arg(
        long,
        value_name = "JSON",
        requires = "status",
        conflicts_with = "reduce"
    )]
    pub(crate) set: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

/// Replace one worker: its successor serves first
#[derive(Debug, Args)]
#[command(after_help = "\
The worker is queued, and `cluster status` shows how far it is.

Example:
  cluster recycle 3")]
pub(crate) struct Recycle {
    /// Its id or pid
    pub(crate) worker: u32,
    #[command(flatten)]
    pub(crate) answer: Answer,
}
