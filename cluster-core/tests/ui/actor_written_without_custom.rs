use actix::{Actor, Context, Handler};
use cluster_core::{Event, HandlerActor};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
struct Changed;

#[derive(HandlerActor)]
#[handles(Changed)]
struct Prices;

impl Actor for Prices {
    type Context = Context<Self>;
}

impl Handler<Changed> for Prices {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Context<Self>) {}
}

fn main() {}
