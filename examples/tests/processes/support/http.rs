//! A small blocking HTTP/1.1 client that can tell how a request failed.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// How long an answer is waited for, unless a test says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of an answer's head, and of its body.
const LONGEST: u64 = 1 << 20;

/// Where something is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// As logs and flags spell it: `http://IP:PORT`, `IP:PORT`, `unix:PATH`.
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => {
                let address = text.strip_prefix("http://").unwrap_or(text);
                Address::Tcp(
                    address
                        .parse()
                        .unwrap_or_else(|e| panic!("{text:?} is no address: {e}")),
                )
            }
        }
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Address::Tcp(address) => address.port(),
            Address::Unix(path) => panic!("{} has no port", path.display()),
        }
    }
}

/// How a request failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody listens.
    Refused,
    /// The connection ended before any byte of an answer came.
    Unanswered,
    /// An answer began and did not end.
    Broken,
    /// Nothing came in time.
    Late,
    /// Something else, which the failure of a test shows.
    Other(#[allow(dead_code)] io::Error),
}

impl Failure {
    fn of(error: io::Error, begun: bool) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Failure::Refused,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::Late,
            _ if begun => Failure::Broken,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                Failure::Unanswered
            }
            _ => Failure::Other(error),
        }
    }
}

/// An answer.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the server closes the connection after this.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The body as a pid.
    #[track_caller]
    pub(crate) fn pid(&self) -> u32 {
        self.body
            .parse()
            .unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.status, self.body)
    }
}

/// What bytes go over.
pub(crate) trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// One connection, kept alive as long as the server keeps it.
pub(crate) struct Connection {
    wire: BufReader<Box<dyn Wire>>,
}

impl Connection {
    pub(crate) fn open(address: &Address) -> Result<Self, Failure> {
        Self::open_with(address, PATIENCE)
    }

    /// A connection whose answers are waited for no longer than `patience`.
    pub(crate) fn open_with(address: &Address, patience: Duration) -> Result<Self, Failure> {
        let failed = |error| Failure::of(error, false);
        Ok(match address {
            Address::Tcp(address) => Self::over(Self::tcp(*address, patience).map_err(failed)?),
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).map_err(failed)?;
                stream.set_read_timeout(Some(patience)).map_err(failed)?;
                Self::over(stream)
            }
        })
    }

    pub(crate) fn tcp(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// HTTP over anything.
    pub(crate) fn over(wire: impl Wire + 'static) -> Self {
        Connection {
            wire: BufReader::new(Box::new(wire)),
        }
    }

    /// GET on a connection of its own.
    pub(crate) fn get(address: &Address, path: &str) -> Result<Answer, Failure> {
        Self::open(address)?.send("GET", path, &[("connection", "close")])
    }

    /// PUT of a JSON text, on a connection of its own.
    pub(crate) fn put(address: &Address, path: &str, json: &str) -> Result<Answer, Failure> {
        let headers = [
            ("connection", "close"),
            ("content-type", "application/json"),
        ];
        Self::open(address)?.exchange("PUT", path, &headers, json)
    }

    /// GET on this connection.
    pub(crate) fn ask(&mut self, path: &str) -> Result<Answer, Failure> {
        self.send("GET", path, &[])
    }

    /// Sends a request without a body, and waits for the answer.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        self.exchange(method, path, headers, "")
    }

    /// Sends a request with a body, and waits for the answer.
    pub(crate) fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Failure> {
        let length = body.len();
        let mut request = format!("{method} {path} HTTP/1.1\r\ncontent-length: {length}\r\n");
        if headers.iter().all(|(name, _)| *name != "host") {
            request.push_str("host: localhost\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let wire = self.wire.get_mut();
        let sent = wire
            .write_all(request.as_bytes())
            .and_then(|()| wire.flush());
        sent.map_err(|error| Failure::of(error, false))?;
        let begun = self
            .wire
            .fill_buf()
            .map_err(|error| Failure::of(error, false))?;
        if begun.is_empty() {
            return Err(Failure::Unanswered);
        }
        self.answer().map_err(|error| Failure::of(error, true))
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            let length = (&mut self.wire).take(LONGEST).read_line(&mut line)?;
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let strange = || io::Error::other(format!("a strange answer: {head:?}"));
        let mut lines = head.iter();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        });
        let mut answer = Answer {
            status: status.ok_or_else(strange)?,
            headers: headers.collect(),
            body: String::new(),
        };
        let length = answer.header("content-length").and_then(|n| n.parse().ok());
        let length: u64 = length.filter(|n| *n <= LONGEST).ok_or_else(strange)?;
        let read = (&mut self.wire)
            .take(length)
            .read_to_string(&mut answer.body)?;
        if (read as u64) < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(answer)
    }
}
