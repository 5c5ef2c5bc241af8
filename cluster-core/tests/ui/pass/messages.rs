//! Events and requests of every shape: their kinds, and the actor that handles them.

use actix::{Context, Handler};
use cluster_core::{Event, HandlerActor, Request};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(name = "prices.changed")]
struct PriceChanged {
    sku: String,
    cents: u64,
}

#[derive(Clone, Serialize, Deserialize, Event)]
enum Light {
    Green,
    Blinking { hertz: f32 },
    Off(String),
}

#[derive(Clone, Serialize, Deserialize, Event)]
struct Tick;

#[derive(Serialize, Deserialize, Request)]
#[reply(Option<u64>)]
struct PriceOf {
    sku: String,
}

#[derive(Serialize, Deserialize, Request)]
#[request(name = "prices:next")]
#[reply(Option<Box<Self>>)]
struct Next(u64);

mod elsewhere {
    use super::*;

    #[derive(Clone, Serialize, Deserialize, Event)]
    pub struct Cleared();
}

#[derive(HandlerActor)]
#[handles(PriceChanged, Light, Tick, PriceOf, Next, elsewhere::Cleared)]
struct Prices;

macro_rules! handles {
    ($($message:ty => $reply:ty = $value:expr),* $(,)?) => {
        $(impl Handler<$message> for Prices {
            type Result = $reply;

            fn handle(&mut self, _: $message, _: &mut Context<Self>) -> $reply {
                $value
            }
        })*
    };
}

handles! {
    PriceChanged => () = (),
    Light => () = (),
    Tick => () = (),
    PriceOf => Option<u64> = Some(1),
    elsewhere::Cleared => () = (),
}

impl Handler<Next> for Prices {
    type Result = actix::MessageResult<Next>;

    fn handle(&mut self, _: Next, _: &mut Context<Self>) -> Self::Result {
        actix::MessageResult(None)
    }
}

fn answered_with<R: Request<Reply = Option<u64>>>() {}

fn reachable<A: HandlerActor>() {}

fn main() {
    assert_eq!(PriceChanged::KIND.name, "prices.changed");
    assert_eq!(Light::KIND.name, "Light");
    assert_eq!(PriceOf::KIND.name, "PriceOf");
    assert_eq!(Next::KIND.name, "prices:next");
    assert_eq!(elsewhere::Cleared::KIND.name, "Cleared");
    assert_ne!(Tick::KIND.fingerprint, Light::KIND.fingerprint);
    answered_with::<PriceOf>();
    reachable::<Prices>();
}
