//! A server under measurement: started, waited for, and gone at the end in every case.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::reply::{Reply, ReplyBuffer, ReplyError};
use super::{BenchError, Plan};

/// How long a server may take to answer first.
const START: Duration = Duration::from_secs(30);

/// How long a server may take to stop by itself.
const STOP: Duration = Duration::from_secs(15);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);

/// In the environment of a server and of all it starts, so that nothing of it is left behind.
const MARK: &str = "XTASK_BENCH_SERVER";

/// A running server; dropping it stops it and all that it started.
pub(crate) struct Server {
    name: &'static str,
    port: u16,
    mark: String,
    child: Child,
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
        plan.go_on()?;
        let log = plan.folder().join(format!("{name}.log"));
        let unwritable = |source| BenchError::Write {
            path: log.clone(),
            source,
        };
        let out = File::create(&log).map_err(unwritable)?;
        let err = out.try_clone().map_err(unwritable)?;
        let mark = format!("{}-{name}-{port}", std::process::id());
        let child = Command::new(program)
            .args(arguments)
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| BenchError::Start {
                program: program.to_path_buf(),
                source,
            })?;
        let mut server = Self {
            name,
            port,
            mark,
            child,
        };
        server.ready(plan, log)?;
        Ok(server)
    }

    fn ready(&mut self, plan: &Plan, log: PathBuf) -> Result<(), BenchError> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            plan.go_on()?;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(BenchError::Ended {
                    name: self.name,
                    status,
                    log,
                });
            }
            if connect(self.port)
                .and_then(|mut stream| ask(&mut stream, self.port, "/"))
                .is_ok_and(|reply| reply.status == 200)
            {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(BenchError::Silent {
            name: self.name,
            port: self.port,
            waited: START,
            log,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; then there is nobody to tell.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begun = Instant::now();
        let ended = loop {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break true;
            }
            if begun.elapsed() > STOP {
                break false;
            }
            thread::sleep(LOOK);
        };
        let left = marked(&self.mark);
        if !ended {
            eprintln!("{}: did not stop within {STOP:?} of SIGTERM", self.name);
        } else if !left.is_empty() {
            eprintln!("{}: left {} processes behind", self.name, left.len());
        }
        for pid in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that carry `mark` in their environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}").into_bytes();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == wanted))
        })
        .filter_map(Pid::from_raw)
        .collect()
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
