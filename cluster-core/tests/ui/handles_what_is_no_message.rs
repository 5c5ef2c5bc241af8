use actix::{Context, Handler};
use cluster_core::{Event, HandlerActor};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
struct Changed;

struct Unmarked;

#[derive(HandlerActor)]
#[handles(Changed, Unmarked)]
struct Prices;

impl Handler<Changed> for Prices {
    type Result = ();

    fn handle(&mut self, _: Changed, _: &mut Context<Self>) {}
}

fn main() {}
