//! What the tests drive clusters with.

mod axe;
mod browser;
mod cluster;
mod failed_start;
mod http;
mod load;
mod log;
mod manager;
mod processes;
mod seccomp;
mod setup;
mod states;
mod users;
mod waiting;

pub(crate) use browser::Browser;
pub(crate) use cluster::{Cluster, Worker};
pub(crate) use http::{Address, Answer, Connection, Failure};
pub(crate) use load::{Kill, Load};
pub(crate) use log::Line;
pub(crate) use manager::{Manager, Said};
pub(crate) use processes::{children, signal, variables};
pub(crate) use seccomp::Ptrace;
pub(crate) use setup::{Setup, place_program};
pub(crate) use states::ServingWatch;
pub(crate) use users::Users;
pub(crate) use waiting::{soon, within};

/// The signals by name.
pub(crate) use rustix::process::Signal;
