//! The expansions name everything by its full path: nothing the application calls by a common name gets in their way.

#![deny(warnings, missing_docs, unused_qualifications)]

mod actix {}
mod cluster_core {}
mod core {}
mod std {}
mod diagnostic {}
struct Kind;
struct Binder;
struct Batch;
struct Result;
struct Option;

use ::actix::{Context, Handler};
use ::serde::{Deserialize, Serialize};

#[derive(::std::clone::Clone, Serialize, Deserialize, ::cluster_core::Event)]
struct A;

#[derive(Serialize, Deserialize, ::cluster_core::Request)]
#[reply(u64)]
struct R;

#[derive(::cluster_core::HandlerActor)]
#[handles(A, R)]
struct __Actor;

impl Handler<A> for __Actor {
    type Result = ();

    fn handle(&mut self, _: A, _: &mut Context<Self>) {}
}

impl Handler<R> for __Actor {
    type Result = u64;

    fn handle(&mut self, _: R, _: &mut Context<Self>) -> u64 {
        let _ = (Kind, Binder, Batch, Result, Option);
        7
    }
}

fn main() {
    let _ = __Actor;
}
