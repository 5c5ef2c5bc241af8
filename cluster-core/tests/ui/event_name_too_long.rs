use cluster_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "a.name.in.sixty.five.byte.is.one.more.than.other.processes.accept")]
struct Changed;

fn main() {}
