//! actix-web applications as a cluster.

mod acceptor;
mod tally;

pub use acceptor::{AcceptorError, HttpSettings, Listener, Server, Site};
pub use tally::{Meter, Meters, Traffic, in_request};
