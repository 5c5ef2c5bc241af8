//! What a user of `HttpServer` sets, under the same names and with the same defaults.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use actix_http::{Extensions, KeepAlive};

/// Called once for every new connection, with its stream and the data its requests will see.
pub(crate) type OnConnect = Arc<dyn Fn(&dyn Any, &mut Extensions) + Send + Sync>;

/// How connections are served. The defaults are those of actix-web's `HttpServer`.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpSettings {
    /// How long an idle connection is kept open, up to a tenth longer; 5 seconds. A thread that does not run ends no connection.
    pub keep_alive: KeepAlive,
    /// How long a client may take to send the head of its first request, else it is answered 408; zero: for ever; 5 seconds.
    pub client_request_timeout: Duration,
    /// How long the orderly end of a connection may take; zero: for ever; 1 second.
    pub client_disconnect_timeout: Duration,
    /// How long a TLS handshake may take; 3 seconds.
    pub tls_handshake_timeout: Duration,
    /// The most open connections of one thread; at the bound new ones wait in the queue of the socket; 25,600, at least 1.
    pub max_connections: u32,
    /// `TCP_NODELAY` of accepted connections; `None`: as the listening socket has it.
    pub tcp_nodelay: Option<bool>,
    /// Whether a client may close its side and still receive its answer; true.
    pub h1_allow_half_closed: bool,
    /// The size in bytes at which the answers collected for an HTTP/1 connection are written out; 32 KiB, at least 1.
    pub h1_write_buffer_size: usize,
    /// Whether HTTP/2 is offered, over TLS only; false. actix sends no GOAWAY: a drain cuts idle HTTP/2 connections.
    pub http2: bool,
    /// The initial flow-control window of an HTTP/2 stream, in bytes; 1 MiB.
    pub h2_initial_window_size: u32,
    /// The initial flow-control window of an HTTP/2 connection, in bytes; 2 MiB.
    pub h2_initial_connection_window_size: u32,
    pub(crate) on_connect: Option<OnConnect>,
}

impl HttpSettings {
    /// Calls `callback` once for every new connection.
    ///
    /// It sees what the connection runs over: a `tokio::net::TcpStream`, a `tokio::net::UnixStream` or a
    /// `tokio_rustls::server::TlsStream<TcpStream>`. What it puts into the extensions is every request's
    /// `conn_data`.
    pub fn on_connect(
        &mut self,
        callback: impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static,
    ) -> &mut Self {
        self.on_connect = Some(Arc::new(callback));
        self
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            keep_alive: KeepAlive::default(),
            client_request_timeout: Duration::from_secs(5),
            client_disconnect_timeout: Duration::from_secs(1),
            tls_handshake_timeout: Duration::from_secs(3),
            max_connections: 25_600,
            tcp_nodelay: None,
            h1_allow_half_closed: true,
            h1_write_buffer_size: 32 << 10,
            http2: false,
            h2_initial_window_size: 1 << 20,
            h2_initial_connection_window_size: 2 << 20,
            on_connect: None,
        }
    }
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("keep_alive", &self.keep_alive)
            .field("client_request_timeout", &self.client_request_timeout)
            .field("client_disconnect_timeout", &self.client_disconnect_timeout)
            .field("tls_handshake_timeout", &self.tls_handshake_timeout)
            .field("max_connections", &self.max_connections)
            .field("tcp_nodelay", &self.tcp_nodelay)
            .field("h1_allow_half_closed", &self.h1_allow_half_closed)
            .field("h1_write_buffer_size", &self.h1_write_buffer_size)
            .field("http2", &self.http2)
            .field("on_connect", &self.on_connect.is_some())
            .finish_non_exhaustive()
    }
}
