//! A server under measurement: started, and waited for until it answers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::process::Process;
use super::reply::{Reply, ReplyBuffer, ReplyError};
use super::{BenchError, Plan};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A running server; dropping it stops it and all that it started.
pub(crate) struct Server {
    process: Process,
    port: u16,
}

impl Server {
    /// Starts `program` and waits until it answers on `port`.
    ///
    /// # Errors
    /// Where it cannot be started, ends, or does not answer in time.
    pub(crate) fn start(
        plan: &Plan,
        name: &'static str,
        program: &Path,
        arguments: &[String],
        port: u16,
    ) -> Result<Self, BenchError> {
        let mut process = Process::start(plan, name, program, arguments)?;
        process.ready(plan, &format!("port {port}"), || {
            connect(port)
                .and_then(|mut stream| ask(&mut stream, port, "/"))
                .is_ok_and(|reply| reply.status == 200)
        })?;
        Ok(Self { process, port })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.process.name()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// A port of the loopback that was free a moment ago.
///
/// # Errors
/// Where none is.
pub(crate) fn free_port() -> Result<u16, BenchError> {
    let bound =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound
        .map(|address| address.port())
        .map_err(|source| BenchError::Talk { port: 0, source })
}

/// A connection to `port` of the loopback, on which no wait is longer than an answer may take.
///
/// # Errors
/// Where it cannot be made.
pub(crate) fn connect(port: u16) -> Result<TcpStream, BenchError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let make = || {
        let stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(stream)
    };
    make().map_err(|source: io::Error| BenchError::Talk { port, source })
}

/// The text of a request that keeps its connection.
pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

/// Asks for `path`, and keeps the connection.
///
/// # Errors
/// Where the connection breaks, or what comes is no reply.
pub(crate) fn ask(stream: &mut TcpStream, port: u16, path: &str) -> Result<Reply, BenchError> {
    let talk = |source| BenchError::Talk { port, source };
    let wrong = |source| BenchError::Reply { port, source };
    stream.write_all(request(path).as_bytes()).map_err(talk)?;
    let mut buffer = ReplyBuffer::default();
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes).map_err(talk)? {
            0 => return Err(wrong(ReplyError::Ended)),
            length => buffer.push(&bytes[..length]),
        }
        if let Some(reply) = buffer.take().map_err(wrong)? {
            return Ok(reply);
        }
    }
}
