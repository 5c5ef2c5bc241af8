//! `cluster cache`, and what each of its verbs takes.

use clap::{Args, Subcommand};

use super::Answer;

/// Look into the shared cache of the cluster, and change it
#[derive(Debug, Args)]
#[command(after_help = "\
Values are shown and given as JSON.

Examples:
  cluster cache ls
  cluster cache get products apple
  cluster cache set products apple '{\"cents\": 250}' --expire 60000
  cluster cache watch products")]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) verb: CacheVerb,
}

/// The verbs of the cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheVerb {
    /// List the namespaces
    Ls(Answer),
    /// List the keys of a namespace, in no order
    Keys(Namespace),
    /// Show a value
    Get(Key),
    /// Set a value
    Set(Set),
    /// Delete a value, and show what it was
    Del(Key),
    /// Show changes as they happen, of one key or of all, until ctrl-C
    Watch(Watch),
    /// Show figures: of one namespace or of all
    Stat(Stat),
    /// Remove all values of a namespace
    Clear(Namespace),
}

#[derive(Debug, Args)]
pub(crate) struct Namespace {
    /// The namespace
    pub(crate) namespace: String,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The namespace
    pub(crate) namespace: String,
    /// The key
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The namespace
    pub(crate) namespace: String,
    /// The key
    pub(crate) key: String,
    /// The value
    #[arg(value_name = "JSON", value_parser = value, allow_negative_numbers = true)]
    pub(crate) value: serde_json::Value,
    /// How long it is kept, in ms; as the namespace has it, unless given
    #[arg(long, value_name = "MS")]
    pub(crate) expire: Option<u64>,
    /// Whether it outlives the cache manager; as the namespace has it, unless given
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) persist: Option<bool>,
    /// Only where there is no value
    #[arg(long)]
    pub(crate) leave_if_not_null: bool,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The namespace
    pub(crate) namespace: String,
    /// The key; all of them, unless given
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

#[derive(Debug, Args)]
pub(crate) struct Stat {
    /// The namespace; all of them, unless given
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) answer: Answer,
}

fn value(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
}
