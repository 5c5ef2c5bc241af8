use actix::{Context, Handler};
use cluster_core::{Event, HandlerActor};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
struct Changed;

#[derive(Clone, Serialize, Deserialize, Event)]
struct Removed;

#[derive(HandlerActor)]
#[handles(Changed)]
#[handles(Removed)]
struct Prices;

impl Handler<Changed> for Prices {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Context<Self>) {}
}

impl Handler<Removed> for Prices {
    type Result = ();

    fn handle(&mut self, _: Removed, _: &mut Context<Self>) {}
}

fn main() {}
