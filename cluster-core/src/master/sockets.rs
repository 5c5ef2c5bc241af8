//! The sockets that workers share: those that a service manager has given, and those that the master binds.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::start::{MakeSocket, MasterError, Monitor};
use crate::options::{Host, Options};
use crate::sys::listen_fds::{self, Listening};
use crate::sys::{Address, socket};
use crate::worker::application::Socket;

/// Connections that may wait in the queue of the shared socket; the kernel's own bound may be lower.
const BACKLOG: u32 = 1024;
/// What a service manager calls the socket that is meant for the monitor.
const MONITOR: &str = "monitor";

/// The file of a socket that this master has bound.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl SocketFile {
    pub(super) fn bound(path: PathBuf) -> Self {
        SocketFile {
            inode: inode(&path),
            path,
        }
    }

    /// The file of a Unix socket that was bound before; none for TCP.
    pub(super) fn of(socket: &Socket) -> Option<Self> {
        match socket {
            Socket::Tcp(_) => None,
            Socket::Unix(_, path) => Some(Self::bound(path.clone())),
        }
    }

    /// Removes it, unless another has bound the path since.
    pub(super) fn remove(self) {
        if self.inode.is_none() || inode(&self.path) != self.inode {
            return;
        }
        if let Err(e) = std::fs::remove_file(&self.path) {
            warn!(path = %self.path.display(), error = %e, "a socket was not removed");
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The listening sockets that a service manager has given.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The one that is meant for the monitor.
    pub(super) monitor: Option<Socket>,
    application: Vec<GivenSocket>,
}

#[derive(Debug)]
struct GivenSocket {
    listening: Listening,
    name: Option<String>,
}

impl GivenSocket {
    fn is_for_monitor(&self, address: SocketAddr) -> bool {
        self.name.as_deref() == Some(MONITOR) || self.serves(&Address::Tcp(address))
    }

    /// Whether whoever connects to this address comes to this socket.
    fn serves(&self, wanted: &Address) -> bool {
        match (&self.listening.address, wanted) {
            (Address::Tcp(ours), Address::Tcp(wanted)) if self.listening.dual => {
                let all = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                let of_v4 =
                    ours.ip() == all && wanted.ip().is_ipv4() && wanted.ip().is_unspecified();
                ours.port() == wanted.port() && (of_v4 || ours.ip() == wanted.ip())
            }
            (ours, wanted) => ours == wanted,
        }
    }

    /// It is about to be closed.
    fn warn_of(&self) {
        let (address, name) = (&self.listening.address, self.name.as_deref());
        warn!(%address, name, "a listening socket that was given is closed: nothing is served there (--host, --port)");
    }

    fn into_socket(self) -> Socket {
        let fd = self.listening.fd;
        match self.listening.address {
            Address::Tcp(_) => Socket::Tcp(fd.into()),
            Address::Unix(path) => Socket::Unix(fd.into(), path),
        }
    }
}

impl Given {
    /// Takes what was given to this process. The monitor's is known by its name, or by the address that the monitor would bind.
    pub(super) fn take(monitor: Option<SocketAddr>) -> Result<Self, MasterError> {
        let mut application = Vec::new();
        for passed in listen_fds::take()? {
            let name = passed.name.clone();
            let listening = passed.listening()?;
            info!(address = %listening.address, name, "a listening socket was given");
            application.push(GivenSocket { listening, name });
        }
        Ok(Self::sorted(application, monitor))
    }

    fn sorted(mut application: Vec<GivenSocket>, monitor: Option<SocketAddr>) -> Self {
        let meant = monitor.and_then(|at| application.iter().position(|g| g.is_for_monitor(at)));
        Given {
            monitor: meant.map(|number| application.remove(number).into_socket()),
            application,
        }
    }

    /// Whether the application is served where the sockets are, and not where the options say: nobody has named a port.
    fn come_as_they_are(&self, options: &Options) -> bool {
        !self.application.is_empty() && (options.port == 0 || !options.is_set("port"))
    }

    /// Closes what nobody has a use for.
    pub(super) fn refuse(self) {
        self.application.iter().for_each(GivenSocket::warn_of);
    }
}

/// A port that is busy is found before anything is started.
pub(super) fn check(
    options: &Options,
    given: &Given,
    monitor: Option<&dyn Monitor>,
    serves: bool,
) -> Result<(), MasterError> {
    if options.skip_check_busy_ports {
        return Ok(());
    }
    if let Some(monitor) = monitor.filter(|_| given.monitor.is_none()) {
        socket::bind_tcp(monitor.address(options), BACKLOG)?;
    }
    if serves && !given.come_as_they_are(options) {
        for address in options.hosts.iter().map(|host| place(host, options)) {
            if let Address::Tcp(tcp) = address
                && !given.application.iter().any(|g| g.serves(&address))
            {
                socket::bind_tcp(tcp, BACKLOG)?;
            }
        }
    }
    Ok(())
}

/// All sockets of the application: for each address that the options name the one that was given, or else one that is bound; and those of its own making.
///
/// Where the options name no port, or port 0, what was given stands in the place of all IP addresses. What fits no address is warned of, and closed.
/// The files of those that are bound here are noted in `files`, also where a later one fails.
pub(super) fn bind(
    options: &Options,
    given: Given,
    own: Vec<MakeSocket>,
    files: &mut Vec<SocketFile>,
) -> Result<Vec<Socket>, MasterError> {
    let as_they_are = given.come_as_they_are(options);
    let (taken, to_bind) = share_out(options, as_they_are, &given.application);
    let mut sockets = Vec::new();
    for (number, socket) in given.application.into_iter().enumerate() {
        if taken.contains(&number) {
            sockets.push(socket.into_socket());
        } else {
            socket.warn_of();
        }
    }
    for address in to_bind {
        sockets.push(match address {
            Address::Tcp(tcp) => Socket::Tcp(socket::bind_tcp(tcp, BACKLOG)?),
            Address::Unix(path) => {
                let listener = socket::bind_unix(&path, 0o660)?;
                files.push(SocketFile::bound(path.clone()));
                Socket::Unix(listener, path)
            }
        });
    }
    for make in own {
        let socket = make().map_err(MasterError::OwnListener)?;
        if let Socket::Unix(_, path) = &socket {
            files.push(SocketFile::bound(path.clone()));
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Which of the given ones, by number, are used, and what is to be bound.
fn share_out(
    options: &Options,
    as_they_are: bool,
    given: &[GivenSocket],
) -> (Vec<usize>, Vec<Address>) {
    let mut taken: Vec<usize> = Vec::new();
    let mut to_bind = Vec::new();
    if as_they_are {
        taken.extend(0..given.len());
    }
    for address in options.hosts.iter().map(|host| place(host, options)) {
        match given.iter().position(|g| g.serves(&address)) {
            Some(number) if taken.contains(&number) => {}
            Some(number) => taken.push(number),
            None if as_they_are && matches!(address, Address::Tcp(_)) => {}
            None => to_bind.push(address),
        }
    }
    (taken, to_bind)
}

fn place(host: &Host, options: &Options) -> Address {
    match host {
        Host::Ip(ip) => Address::Tcp(SocketAddr::new(*ip, options.port)),
        Host::Unix(path) => Address::Unix(path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::options::{Outcome, Sources};

    fn options(flags: &str) -> Options {
        let args = ["x"].into_iter().chain(flags.split_whitespace());
        let sources = Sources {
            args: args.map(Into::into).collect(),
            ..Sources::default()
        };
        match Options::from_sources(sources).unwrap() {
            Outcome::Run(options) => *options,
            Outcome::Print(text) => panic!("{text}"),
        }
    }

    fn given(address: &str) -> GivenSocket {
        let (address, dual) = match address.strip_prefix("dual ") {
            Some(address) => (address, true),
            None => (address, false),
        };
        let address = match address.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => Address::Tcp(address.parse().unwrap()),
        };
        let listening = Listening {
            fd: OwnedFd::from(tempfile::tempfile().unwrap()),
            address,
            dual,
        };
        GivenSocket {
            listening,
            name: None,
        }
    }

    /// The numbers of the given ones that are used, and what is bound.
    fn shared(flags: &str, all: &[&str]) -> (Vec<usize>, Vec<String>) {
        let options = options(flags);
        let given = Given::sorted(all.iter().map(|address| given(address)).collect(), None);
        let as_they_are = given.come_as_they_are(&options);
        let (taken, to_bind) = share_out(&options, as_they_are, &given.application);
        (taken, to_bind.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_given_socket_stands_in_for_the_address_that_it_is_at() {
        let flags = "--port 80 --host 10.0.0.1 --host 10.0.0.2 --host unix:/s";
        let (taken, bound) = shared(flags, &["10.0.0.2:80", "10.0.0.1:81", "unix:/s"]);
        assert_eq!((taken, bound), (vec![0, 2], vec!["10.0.0.1:80".to_owned()]));
    }

    #[test]
    fn where_no_port_is_named_they_come_as_they_are() {
        for flags in ["", "--port 0", "--host 127.0.0.1"] {
            let (taken, bound) = shared(flags, &["10.0.0.2:80", "unix:/s"]);
            assert_eq!((taken, bound), (vec![0, 1], vec![]), "{flags}");
        }
        let (taken, bound) = shared("--host unix:/a --host unix:/b", &["unix:/b"]);
        assert_eq!((taken, bound), (vec![0], vec!["unix:/a".to_owned()]));
        let (taken, bound) = shared("--port 8080", &[]);
        assert_eq!((taken, bound), (vec![], vec!["0.0.0.0:8080".to_owned()]));
    }

    #[test]
    fn one_of_both_families_serves_both() {
        let flags = "--port 80 --host 0.0.0.0 --host ::";
        assert_eq!(shared(flags, &["dual [::]:80"]), (vec![0], vec![]));
        let (taken, bound) = shared(flags, &["[::]:80"]);
        assert_eq!((taken, bound), (vec![0], vec!["0.0.0.0:80".to_owned()]));
        // Who names one address does not want all.
        let (taken, bound) = shared("--port 80 --host 127.0.0.1", &["dual [::]:80"]);
        assert_eq!((taken, bound), (vec![], vec!["127.0.0.1:80".to_owned()]));
    }

    #[test]
    fn the_monitor_has_its_own_by_name_or_by_address() {
        let at: SocketAddr = "127.0.0.1:8081".parse().unwrap();
        let named = || GivenSocket {
            name: Some(MONITOR.to_owned()),
            ..given("10.0.0.1:9")
        };
        let by_name = Given::sorted(vec![given("10.0.0.1:80"), named()], Some(at));
        assert!(by_name.monitor.is_some() && by_name.application.len() == 1);
        let by_address = Given::sorted(vec![given("127.0.0.1:8081")], Some(at));
        assert!(by_address.monitor.is_some() && by_address.application.is_empty());
        // Alone, it says nothing of where the application is.
        assert!(!by_address.come_as_they_are(&options("")));
        let none = Given::sorted(vec![named()], None);
        assert!(none.monitor.is_none() && none.application.len() == 1);
    }
}
