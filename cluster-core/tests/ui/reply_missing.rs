use cluster_core::Request;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Request)]
struct PriceOf;

fn main() {}
