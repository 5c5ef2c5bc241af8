#[cluster_core::main]
fn main() {}
