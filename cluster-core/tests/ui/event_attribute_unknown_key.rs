use cluster_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(nam = "price.changed")]
struct Changed;

fn main() {}
