//! Typed messages between processes.

mod message;

pub use message::{Batch, Binder, Event, HandledBy, HandlerActor, Kind, Listed, Request};
