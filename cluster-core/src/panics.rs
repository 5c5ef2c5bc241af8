//! What a panic leads to: one in an actor or a task ends the process, as actix would leave a dead mailbox behind; one in a request ends that request alone.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static ARBITER: Cell<bool> = const { Cell::new(false) };
    static CONTAINED: Cell<u32> = const { Cell::new(0) };
}

/// Runs code of the application's whose panic is an error of its own, and ends neither the process nor anything else.
///
/// What the code leaves behind when it panics must not be used again.
///
/// # Errors
///
/// What it panicked with.
pub fn contain_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    struct Within;
    impl Drop for Within {
        fn drop(&mut self) {
            CONTAINED.set(CONTAINED.get() - 1);
        }
    }
    CONTAINED.set(CONTAINED.get() + 1);
    let within = Within;
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    drop(within);
    outcome.map_err(|payload| said(&*payload))
}

/// What a panic said.
fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|said| (*said).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned())
}

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
        if is_request() || CONTAINED.get() > 0 || !ARBITER.get() {
            return;
        }
        tracing::error!(panic = %info, "a panic outside of any request: ending the process");
        std::process::abort();
    }));
}
