use cluster_core::Request;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Request)]
#[reply]
struct PriceOf;

fn main() {}
