use cluster_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = 7)]
struct Changed;

fn main() {}
