//! A small blocking HTTP/1.1 client that can tell on which connection a request failed, and how.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::clock::{Ms, now};

/// The longest head of an answer, and its longest body, in bytes.
const LONGEST: usize = 16 << 20;
/// The most headers of an answer.
const HEADERS: usize = 32;

/// How a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// Nobody listens.
    #[error("nobody listens")]
    Refused,
    /// The connection ended before any byte of an answer came.
    #[error("the connection ended without an answer")]
    Unanswered,
    /// An answer began and did not end.
    #[error("the answer broke off")]
    Broken,
    /// Nothing came in time.
    #[error("no answer in time")]
    Late,
    /// The answer is an error.
    #[error("answered {status}: {body:.200}")]
    Status {
        /// Its status.
        status: u16,
        /// What it says.
        body: String,
    },
    /// The answer is not what was asked for.
    #[error("answered wrongly: {body:.200}")]
    Wrong {
        /// What it says.
        body: String,
    },
    /// What came is no HTTP.
    #[error("what came is no answer")]
    Strange,
    /// Something else.
    #[error("{0}")]
    Other(ErrorKind),
}

impl Failure {
    fn of(error: &io::Error, begun: bool) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Failure::Refused,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::Late,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => match begun {
                true => Failure::Broken,
                false => Failure::Unanswered,
            },
            kind => Failure::Other(kind),
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    /// Whether the connection is to be of use afterwards.
    pub(crate) keep: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Request {
            method: "GET",
            path,
            body: &[],
            keep: false,
        }
    }

    pub(crate) fn post(path: &'a str, body: &'a [u8]) -> Self {
        Request {
            method: "POST",
            body,
            ..Request::get(path)
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The process that gave it, where it says so.
    pub(crate) served_by: Option<u32>,
    /// The server closes the connection after it.
    pub(crate) closes: bool,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection, kept alive as long as the server keeps it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    patience: Duration,
    bytes: Vec<u8>,
    /// The port of this end: with the time it names the connection.
    pub(crate) port: u16,
    pub(crate) opened: Ms,
}

impl Connection {
    /// Connects to a port of the loopback; neither that nor an answer is waited for longer than `patience`.
    ///
    /// # Errors
    /// Where nobody listens, or accepts in time.
    pub(crate) fn open(port: u16, patience: Duration) -> Result<Self, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let opened = now();
        let open = || {
            let stream = TcpStream::connect_timeout(&address, patience)?;
            stream.set_nodelay(true)?;
            let port = stream.local_addr()?.port();
            Ok((stream, port))
        };
        let (stream, port) = open().map_err(|error| Failure::of(&error, false))?;
        Ok(Connection {
            stream,
            patience,
            bytes: Vec::new(),
            port,
            opened,
        })
    }

    /// Whether the server has closed it since the last answer, as it may.
    pub(crate) fn is_closed(&self) -> bool {
        let peek = || {
            self.stream.set_nonblocking(true)?;
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            peeked
        };
        match peek() {
            Err(error) => error.kind() != ErrorKind::WouldBlock,
            // Its end, or what nobody has asked for.
            Ok(_) => true,
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Where there is none, or what comes is none.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let deadline = Instant::now() + self.patience;
        self.limit(deadline)?;
        let connection = if request.keep { "keep-alive" } else { "close" };
        let mut bytes = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: {connection}\r\ncontent-length: {}\r\n\r\n",
            request.method,
            request.path,
            request.body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(request.body);
        let sent = self.stream.write_all(&bytes);
        sent.map_err(|error| Failure::of(&error, false))?;
        let mut room = vec![0; 64 * 1024];
        loop {
            if let Some((reply, length)) = cut(&self.bytes)? {
                self.bytes.drain(..length);
                return Ok(reply);
            }
            self.limit(deadline)?;
            let begun = !self.bytes.is_empty();
            match self.stream.read(&mut room) {
                Ok(0) if begun => return Err(Failure::Broken),
                Ok(0) => return Err(Failure::Unanswered),
                Ok(length) => self.bytes.extend_from_slice(&room[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::of(&error, begun)),
            }
        }
    }

    fn limit(&self, deadline: Instant) -> Result<(), Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Late);
        }
        let set = self
            .stream
            .set_read_timeout(Some(left))
            .and_then(|()| self.stream.set_write_timeout(Some(left)));
        set.map_err(|error| Failure::Other(error.kind()))
    }
}

/// The first whole answer of these bytes, and how long it is.
fn cut(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < LONGEST => return Ok(None),
        _ => return Err(Failure::Strange),
    };
    let header = |name: &str| {
        let mut all = response.headers.iter();
        let found = all.find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let length: usize = header("content-length")
        .and_then(|value| value.parse().ok())
        .filter(|length| *length <= LONGEST)
        .ok_or(Failure::Strange)?;
    let Some(body) = bytes.get(head..head + length) else {
        return Ok(None);
    };
    let reply = Reply {
        status: response.code.ok_or(Failure::Strange)?,
        served_by: header("served-by").and_then(|value| value.parse().ok()),
        closes: header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        body: body.to_vec(),
    };
    Ok(Some((reply, head + length)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// Asks a server that hears one request, says this, and closes.
    fn said(answer: &'static [u8]) -> Result<Reply, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                heard.extend(byte);
            }
            stream.write_all(answer).unwrap();
        });
        let mut connection = Connection::open(port, PATIENCE).unwrap();
        let reply = connection.ask(&Request::get("/"));
        server.join().unwrap();
        assert!(connection.is_closed());
        reply
    }

    #[test]
    fn an_answer_says_who_gave_it() {
        let reply = said(
            b"HTTP/1.1 200 OK\r\nServed-By: 17\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nhi",
        )
        .unwrap();
        let expected = Reply {
            status: 200,
            served_by: Some(17),
            closes: true,
            body: b"hi".to_vec(),
        };
        assert_eq!(reply, expected);
    }

    #[test]
    fn each_failure_has_its_name() {
        assert_eq!(said(b""), Err(Failure::Unanswered));
        assert_eq!(said(b"HTTP/1.1 200"), Err(Failure::Broken));
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi";
        assert_eq!(said(half), Err(Failure::Broken));
        assert_eq!(said(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Failure::Strange));
        assert_eq!(said(b"SSH-2.0\r\n"), Err(Failure::Strange));
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let refused = Connection::open(port, PATIENCE).unwrap_err();
        assert_eq!(refused, Failure::Refused);
    }
}
