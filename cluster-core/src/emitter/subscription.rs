//! A subscription: what is heard ends with it.

use std::fmt;
use std::sync::{Arc, Weak};

use super::hub::Hub;

/// One listener of an event. Dropping it ends it.
pub struct Subscription {
    hub: Weak<Hub>,
    id: u64,
    number: u64,
}

impl Subscription {
    pub(crate) fn new(hub: &Arc<Hub>, id: u64, number: u64) -> Self {
        Subscription {
            hub: Arc::downgrade(hub),
            id,
            number,
        }
    }

    /// Lets it go on for as long as the process lives.
    pub fn forever(mut self) {
        self.hub = Weak::new();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.registry.unlisten(self.id, self.number);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
