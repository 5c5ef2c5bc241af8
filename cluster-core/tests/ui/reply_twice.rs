use cluster_core::Request;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Request)]
#[reply(u64)]
#[reply(Option<u64>)]
struct PriceOf;

fn main() {}
