//! The fair acceptor: takes connections from sockets that other threads and processes accept on too, never many more
//! than its share, and serves each on the thread that took it.
//!
//! ```text
//! Listener → Door → accept loop → Attended(task) → Conn → actix's HttpService → Tally → the application
//!                     ↕ Slot            ↕ Gate
//!                   the shared page     drain, abort
//! ```
//!
//! Everything here lives on one thread, an actix arbiter; a worker with more threads has one of each per thread.

mod accept;
mod conn;
mod error;
pub(crate) mod gate;
mod idle;
mod listener;
mod serve;
mod server;
mod settings;

pub use error::AcceptorError;
pub use listener::Listener;
pub use serve::Site;
pub use server::Server;
pub use settings::HttpSettings;
