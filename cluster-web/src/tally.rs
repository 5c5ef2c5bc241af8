//! Counts and times the requests of the application, and keeps a panic of one from harming any other.
//!
//! A service around the application's own. On the way it tells the connection's gate that a request is under way, and
//! marks the answers of a draining thread as the last of their connection.

mod body;
mod meter;
pub(crate) mod scope;
mod service;

pub use meter::{Meter, Meters, Traffic};
pub use scope::in_request;
pub(crate) use service::Tally;
