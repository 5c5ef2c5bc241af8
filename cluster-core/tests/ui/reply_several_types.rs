use cluster_core::Request;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Request)]
#[reply(u64, String)]
struct PriceOf;

fn main() {}
