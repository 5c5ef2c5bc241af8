use cluster_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "price changed")]
struct Changed;

fn main() {}
