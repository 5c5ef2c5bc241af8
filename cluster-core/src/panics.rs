//! What a panic leads to: one in an actor or a task ends the process, as actix would leave a dead mailbox behind; one in a request ends that request alone.

use std::cell::Cell;
use std::panic;

thread_local!(static ARBITER: Cell<bool> = const { Cell::new(false) });

/// Marks this thread as one whose tasks the process depends on. Other threads (blocking work) may panic by themselves.
pub fn mark_arbiter() {
    ARBITER.set(true);
}

/// Installs the hook, and marks this thread. `is_request` says whether the panic is that of a request.
pub(crate) fn end_the_process(is_request: fn() -> bool) {
    mark_arbiter();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        before(info);
        if is_request() || !ARBITER.get() {
            return;
        }
        tracing::error!(panic = %info, "a panic outside of any request: ending the process");
        std::process::abort();
    }));
}
