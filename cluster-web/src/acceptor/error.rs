//! What can go wrong before a thread serves.

use std::io;

/// Why a thread cannot serve the application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptorError {
    /// The application's factory made no service.
    #[error("the application could not be built: {reason}")]
    Build {
        /// What the application's own initialisation said.
        reason: String,
    },
    /// A listening socket cannot be used.
    #[error("cannot accept on {address}")]
    Listener {
        /// The address the socket is bound to.
        address: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There is nothing to serve: the application was built for no site.
    #[error("an application needs at least one site to be served at")]
    NoSite,
}
