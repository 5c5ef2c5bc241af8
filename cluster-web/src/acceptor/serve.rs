//! The application's one service of this thread, and the way a connection gets to it.

use std::{
    fmt,
    future::{Future, poll_fn, ready},
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_http::{HttpService, Protocol, Request, Response, body::MessageBody};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, fn_factory};
use actix_web::dev::AppConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::{
    conn::{Attended, Conn, Stream},
    error::AcceptorError,
    gate::{Order, Pass},
    idle,
    listener::Accepted,
    settings::HttpSettings,
};
use crate::tally::{Meter, Tally};

/// What the application is told of the place where it is served, as by `HttpServer`.
#[derive(Clone, Debug)]
pub struct Site {
    /// The host name for URLs, where a request names none.
    pub host: String,
    /// The local address.
    pub address: SocketAddr,
    /// Whether clients come over TLS.
    pub secure: bool,
}

/// Takes accepted connections; the accept loop knows no more of the application than this.
pub(crate) trait Serve {
    /// Whether the application takes requests; an error has been logged.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), ()>>;

    /// Serves a connection in a task of its own.
    fn serve(&self, accepted: Accepted, tls: Option<&TlsAcceptor>, pass: Pass);
}

/// Builds the application's service for one site.
pub(crate) async fn build<F, I, S, B>(
    factory: &F,
    site: &Site,
    settings: &HttpSettings,
    meter: Arc<Meter>,
) -> Result<Rc<dyn Serve>, AcceptorError>
where
    F: Fn() -> I,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let failed = |reason| AcceptorError::Build { reason };
    let config = AppConfig::__priv_test_new(site.secure, site.host.clone(), site.address);
    let application = factory()
        .into_factory()
        .new_service(config)
        .await
        .map_err(|error| failed(format!("{error:?}")))?;
    let counted = Arc::clone(&meter);
    let application = Rc::new(Tally::<_, B>::new(application, meter));

    let on_connect = settings.on_connect.clone();
    let mut builder = HttpService::<Conn, _, _>::build()
        .keep_alive(idle::keep_alive(settings).0)
        .client_request_timeout(settings.client_request_timeout)
        .client_disconnect_timeout(settings.client_disconnect_timeout)
        .h1_allow_half_closed(settings.h1_allow_half_closed)
        .h1_write_buffer_size(settings.h1_write_buffer_size.max(1))
        .h2_initial_window_size(settings.h2_initial_window_size)
        .h2_initial_connection_window_size(settings.h2_initial_connection_window_size)
        .local_addr(site.address)
        .on_connect_ext(move |conn: &Conn, data| {
            data.insert(Rc::clone(conn.gate()));
            if let Some(callback) = &on_connect {
                callback(conn.stream().as_any(), data);
            }
        });
    if site.secure {
        builder = builder.secure();
    }
    let http = builder
        .finish(fn_factory(move || {
            ready(Ok::<_, ()>(Rc::clone(&application)))
        }))
        .new_service(())
        .await
        .map_err(|()| failed("actix-http refused its service".to_owned()))?;
    Ok(Rc::new(Served {
        http: Rc::new(http),
        settings: settings.clone(),
        meter: counted,
    }))
}

struct Served<H> {
    http: Rc<H>,
    settings: HttpSettings,
    meter: Arc<Meter>,
}

impl<H> Serve for Served<H>
where
    H: Service<(Conn, Protocol, Option<SocketAddr>), Response = ()> + 'static,
    H::Error: fmt::Debug,
{
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.http
            .poll_ready(cx)
            .map_err(|error| tracing::error!(?error, "the application is not ready"))
    }

    fn serve(&self, accepted: Accepted, tls: Option<&TlsAcceptor>, pass: Pass) {
        let Accepted { stream, peer } = accepted;
        self.meter.connected();
        if let (Stream::Tcp(stream), Some(nodelay)) = (&stream, self.settings.tcp_nodelay) {
            // A client already gone is noticed soon enough.
            let _ = stream.set_nodelay(nodelay);
        }
        let gate = Rc::clone(pass.gate());
        match (stream, tls) {
            (Stream::Tcp(stream), Some(tls)) => {
                let http = Rc::clone(&self.http);
                let handshake = timeout(self.settings.tls_handshake_timeout, tls.accept(stream));
                let life = async move {
                    let mut handshake = pin!(handshake);
                    let stream = poll_fn(|cx| match gate.order() {
                        Order::Serve => handshake.as_mut().poll(cx).map(Some),
                        Order::Close | Order::Abort => Poll::Ready(None),
                    });
                    let stream = match stream.await {
                        Some(Ok(Ok(stream))) => stream,
                        Some(Ok(Err(error))) => {
                            return tracing::debug!(?peer, %error, "TLS handshake failed");
                        }
                        Some(Err(_)) => {
                            return tracing::debug!(?peer, "TLS handshake took too long");
                        }
                        None => return,
                    };
                    let protocol = negotiated(&stream);
                    let conn = Conn::new(Stream::Tls(Box::new(stream)), gate);
                    ended(http.call((conn, protocol, peer)).await);
                };
                actix_rt::spawn(Attended::new(life, pass));
            }
            (stream, _) => {
                let http = Rc::clone(&self.http);
                // Called within the connection's own task: `on_connect` runs there, and may panic there.
                let life = async move {
                    let conn = Conn::new(stream, gate);
                    ended(http.call((conn, Protocol::Http1, peer)).await);
                };
                actix_rt::spawn(Attended::new(life, pass));
            }
        }
    }
}

fn negotiated(stream: &tokio_rustls::server::TlsStream<TcpStream>) -> Protocol {
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    }
}

/// Clients break off all the time; it is worth a line only to who looks for it.
fn ended<E: fmt::Debug>(result: Result<(), E>) {
    if let Err(error) = result {
        tracing::debug!(?error, "connection ended early");
    }
}
