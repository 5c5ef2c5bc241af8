//! One connection: its stream, whatever it runs over, behind its gate.

use std::{
    any::Any,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

use super::gate::{Gate, Order, Pass};
use crate::tally::scope::RequestScope;

/// What a connection runs over.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The stream itself, as `HttpServer` shows it to `on_connect`.
    pub(crate) fn as_any(&self) -> &dyn Any {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
            Stream::Tls(stream) => &**stream,
        }
    }
}

/// Calls a method of whichever stream it is.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
            Stream::Tls($inner) => $call,
        }
    };
}

/// The stream that actix's dispatcher reads and writes.
pub(crate) struct Conn {
    stream: Stream,
    gate: Rc<Gate>,
}

impl Conn {
    pub(crate) fn new(stream: Stream, gate: Rc<Gate>) -> Self {
        Conn { stream, gate }
    }

    pub(crate) fn gate(&self) -> &Rc<Gate> {
        &self.gate
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match either!(&mut self.stream, s => Pin::new(s).poll_read(cx, buf)) {
            // What the client had sent before it was told to go is still read; only then comes the end.
            Poll::Pending if self.gate.is_closing() => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    self.gate.bytes_read();
                }
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(&mut self.stream, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(&mut self.stream, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.stream, s => s.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.stream, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.stream, s => Pin::new(s).poll_shutdown(cx))
    }
}

pin_project! {
    /// The life of a connection from acceptance to end, under the orders of its gate.
    pub(crate) struct Attended<F> {
        #[pin]
        life: F,
        // Dropped after `life`: a connection counts as closed when its descriptor is.
        pass: Pass,
    }
}

impl<F> Attended<F> {
    pub(crate) fn new(life: F, pass: Pass) -> Self {
        Attended { life, pass }
    }
}

impl<F: Future<Output = ()>> Future for Attended<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let gate = this.pass.gate();
        gate.attend(cx.waker());
        if gate.order() == Order::Abort {
            return Poll::Ready(());
        }
        let _scope = RequestScope::enter();
        this.life.poll(cx)
    }
}
