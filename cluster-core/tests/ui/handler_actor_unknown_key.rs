use cluster_core::HandlerActor;

#[derive(HandlerActor)]
#[handles(Changed)]
#[handler_actor(context)]
struct Prices;

fn main() {}
