//! The master: what it decides, as pure functions; time and the state of the world come in as arguments.
//!
//! - `proxy_state`: what one worker is doing, and what follows from each thing that happens to it;
//! - `death_queue`: who is to be replaced, in which order, and how far the first of them is;
//! - `accidents`: how soon a worker that died by itself is started again;
//! - `wanted`: what operators asked for, and the one next step towards it.

mod accidents;
mod death_queue;
mod proxy_state;
mod wanted;
