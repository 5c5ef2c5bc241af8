#[cluster_core::main(workers = 4)]
async fn main() {}
