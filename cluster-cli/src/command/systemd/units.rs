//! The units themselves.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cluster_core::{Host, Options};

use super::quote::word;

/// How long the master may be stuck: it says that it is alive twice in this time.
const WATCHDOG: Duration = Duration::from_secs(30);
/// What a start or a stop may take beyond the time of the workers: the cache manager starts first and ends last, and a load balancer hears of a stop
/// before they do.
const BEYOND: Duration = Duration::from_secs(30);

/// The units of one application.
pub(super) struct Units {
    pub(super) program: PathBuf,
    /// What it is given.
    pub(super) args: Vec<OsString>,
    /// What that makes, as far as the units depend on it.
    pub(super) options: Options,
}

impl Units {
    pub(super) fn service_file(&self) -> String {
        format!("{}.service", self.options.name)
    }

    pub(super) fn socket_file(&self) -> String {
        format!("{}.socket", self.options.name)
    }

    pub(super) fn service(&self) -> String {
        let name = &self.options.name;
        let mut command = vec![word(self.program.as_os_str())];
        command.extend(self.args.iter().map(|arg| word(arg)));
        let mut directory = String::new();
        if self.options.runtime_dir.is_none() {
            // By its path, so that with a User= too all is where `cluster status` looks for it.
            let path = format!("%t/cluster/{name}");
            command.splice(1..1, ["--runtime-dir".to_owned(), path]);
            directory = format!(
                "RuntimeDirectory=cluster/{name}\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=restart\n"
            );
        }
        let command = command.join(" ");
        let options = &self.options;
        let watchdog = WATCHDOG.as_secs();
        let start = (options.start_timeout + options.warm_up_timeout + BEYOND).as_secs();
        let stop = (options.stop_timeout + BEYOND).as_secs();
        format!(
            "\
[Unit]
Description={name}, a cluster of worker processes
After=network.target

[Service]
# Ready when all workers serve; what the master says of itself is heard, and nobody else.
Type=notify
NotifyAccess=main
ExecStart={command}
# A rolling restart: no request is lost.
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=100ms
# A stop is told to the master, which has its workers finish what they have, and ends them all. The workers of a master that dies serve
# on, and the next one takes them over: they are not to be killed with it.
KillMode=process
TimeoutStartSec={start}
TimeoutStopSec={stop}
WatchdogSec={watchdog}
{directory}
[Install]
WantedBy=multi-user.target
"
        )
    }

    pub(super) fn socket(&self) -> String {
        let Options {
            name, hosts, port, ..
        } = &self.options;
        let mut listen = String::new();
        for host in hosts {
            let address = match host {
                Host::Ip(ip) => std::net::SocketAddr::new(*ip, *port).to_string(),
                Host::Unix(path) => std::path::absolute(path)
                    .unwrap_or_else(|_| path.clone())
                    .display()
                    .to_string()
                    .replace('%', "%%"),
                _ => continue,
            };
            listen.push_str(&format!("ListenStream={address}\n"));
        }
        format!(
            "\
[Unit]
Description=Where {name} listens

[Socket]
{listen}# As the application itself listens: an IPv6 address is for IPv6 alone, a Unix socket for its user and group.
BindIPv6Only=ipv6-only
SocketMode=0660

[Install]
WantedBy=sockets.target
"
        )
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (file, text) in [
            (self.service_file(), self.service()),
            (self.socket_file(), self.socket()),
        ] {
            writeln!(f, "# /etc/systemd/system/{file}\n{text}")?;
        }
        Ok(())
    }
}
