use cluster_core::HandlerActor;

#[derive(HandlerActor)]
#[handles]
struct Prices;

fn main() {}
