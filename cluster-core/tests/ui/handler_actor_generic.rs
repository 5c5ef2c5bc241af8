use cluster_core::HandlerActor;

#[derive(HandlerActor)]
#[handles(Changed)]
struct Prices<T>(T);

fn main() {}
