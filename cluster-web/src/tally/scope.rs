//! Whether this thread is in the midst of a request.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is now running code on behalf of a connection: a handler, a middleware, a body.
///
/// A process-wide panic hook asks it, to tell the panic of a request, which ends that request alone, from one of
/// an actor or a task.
#[must_use]
pub fn in_request() -> bool {
    DEPTH.get() > 0
}

/// While it lives, [`in_request`] is true on this thread.
pub(crate) struct RequestScope(());

impl RequestScope {
    pub(crate) fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        RequestScope(())
    }
}

impl Drop for RequestScope {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_leaves_the_scope_too() {
        let seen = std::panic::catch_unwind(|| {
            let _outer = RequestScope::enter();
            let _inner = RequestScope::enter();
            std::panic::resume_unwind(Box::new(in_request()));
        });
        assert_eq!(seen.unwrap_err().downcast_ref(), Some(&true));
        assert!(!in_request());
    }
}
