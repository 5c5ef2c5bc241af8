#[cluster_core::main]
async fn main(port: u16) {}
