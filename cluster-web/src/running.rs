//! A process of the cluster that is ready, as application code sees it.

use cluster_core::{Cluster, Role};

use crate::error::Result;

/// A process of the cluster that is ready: what `listen` resolves to.
#[derive(Debug)]
#[must_use = "a process that does not `wait` leaves the cluster"]
pub struct Running(pub(crate) cluster_core::Running);

impl Running {
    /// What this process does.
    pub fn role(&self) -> Role {
        self.0.role()
    }

    /// The addresses that the application is served at: `127.0.0.1:8080`, `[::1]:8080`, `unix:/path`.
    pub fn addresses(&self) -> &[String] {
        self.0.addresses()
    }

    /// The handle of the cluster.
    pub fn handle(&self) -> &Cluster {
        self.0.handle()
    }

    /// Resolves when this process is to end: all that it had is done, or its time is over.
    ///
    /// # Errors
    ///
    /// Why it ended badly.
    pub async fn wait(self) -> Result<()> {
        Ok(self.0.wait().await?)
    }
}
