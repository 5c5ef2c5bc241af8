use cluster_core::HandlerActor;

#[derive(HandlerActor)]
struct Prices;

fn main() {}
