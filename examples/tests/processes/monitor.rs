//! The monitor: who may do what there, what it says to machines, and its page in a real browser.

mod costs;
mod deps;
mod fuzz;
mod inside;
mod machines;
mod metrics;
mod page;
mod safety;
