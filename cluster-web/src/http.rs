//! What a user of `HttpServer` sets of the server: [`Http`].

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cluster_core::{MakeSocket, Socket};
use rustls::ServerConfig;

use crate::acceptor::HttpSettings;

/// The server of the workers: its settings ([`HttpSettings`] by way of `Deref`), further listeners, TLS.
#[derive(Default)]
pub struct Http {
    pub(crate) settings: HttpSettings,
    pub(crate) sockets: Vec<MakeSocket>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Http {
    /// Serves a listening socket of the application's own making too. `make` is called once, in the master; all workers share the socket.
    pub fn listen(&mut self, make: impl FnOnce() -> io::Result<Socket> + 'static) -> &mut Self {
        self.sockets.push(Box::new(make));
        self
    }

    /// Serves TLS on all TCP sockets, with this configuration in place of `--tls.cert` and `--tls.key`.
    pub fn rustls(&mut self, config: ServerConfig) -> &mut Self {
        self.tls = Some(Arc::new(config));
        self
    }
}

impl Deref for Http {
    type Target = HttpSettings;

    fn deref(&self) -> &HttpSettings {
        &self.settings
    }
}

impl DerefMut for Http {
    fn deref_mut(&mut self) -> &mut HttpSettings {
        &mut self.settings
    }
}
