use cluster_core::Event;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
struct Changed<T> {
    value: T,
}

fn main() {}
