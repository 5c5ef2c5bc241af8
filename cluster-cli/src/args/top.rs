//! What the live view takes.

use clap::Args;

/// Watch the cluster live in the terminal, and steer it by key
#[derive(Debug, Args)]
#[command(after_help = "\
It asks the master once a second. `?` lists the keys: pause, resume, recycle and isolate the worker that is selected, see its stacks, \
profile it, change its log level; scale, roll, mark the node up or down. What hurts is asked first. Where the master dies it says so, \
and goes on when the next one has taken over. `q` or ctrl-C leaves.

The columns: REQ/S, P50 and P99 are requests per second and their times since the last heartbeat, CPU is of one core, LAG by how \
much the latest timer was late, LAST 2 MIN requests per second in steps of 5 s, all workers at one scale.

Examples:
  cluster top
  cluster top shop
  cluster top --once | head -3")]
pub(crate) struct Top {
    /// The cluster of this name (the same as --name)
    #[arg(id = "cluster", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print one frame as text, and leave
    #[arg(long)]
    pub(crate) once: bool,
}
