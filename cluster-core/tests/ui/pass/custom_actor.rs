//! With `custom`, the author writes `impl Actor`, for the sake of its hooks.

use actix::{Actor, Context, Handler};
use cluster_core::{Event, HandlerActor};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
struct Tick;

#[derive(HandlerActor)]
#[handles(Tick)]
#[handler_actor(custom)]
struct Clock {
    ticks: u64,
}

impl Actor for Clock {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.ticks = 1;
    }
}

impl Handler<Tick> for Clock {
    type Result = ();

    fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.ticks += 1;
    }
}

fn reachable<A: HandlerActor>() {}

fn main() {
    reachable::<Clock>();
}
