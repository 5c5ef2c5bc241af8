use cluster_core::Request;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Request)]
#[reply(u64)]
struct PriceOf<T>(T);

fn main() {}
