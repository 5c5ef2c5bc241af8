use actix::{Context, Handler};
use cluster_core::{Event, HandlerActor};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
struct Changed;

#[derive(HandlerActor)]
#[handles(Changed, Changed)]
struct Prices;

impl Handler<Changed> for Prices {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Context<Self>) {}
}

fn main() {}
