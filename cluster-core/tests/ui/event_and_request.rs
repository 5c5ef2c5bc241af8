use cluster_core::{Event, Request};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event, Request)]
#[reply(u64)]
struct Both;

fn main() {}
