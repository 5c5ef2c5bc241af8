//! gdbserver and lldb-server: where they are, how each is started, and what connects to it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use crate::options::DebugServer;

/// A debug server that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    kind: DebugServer,
    program: PathBuf,
}

impl Dialect {
    /// The one that is asked for, in the first of these folders that has it; without a word gdbserver, else lldb-server, else the newest
    /// that has its version in its name.
    pub(super) fn find(asked: Option<DebugServer>, folders: &[PathBuf]) -> Option<Self> {
        let plain = |name: &str| {
            let mut files = folders.iter().map(|folder| folder.join(name));
            files.find(|file| file.is_file())
        };
        let gdb = || Some((DebugServer::Gdbserver, plain("gdbserver")?));
        let lldb = || {
            let program = plain("lldb-server").or_else(|| newest(folders, "lldb-server-"))?;
            Some((DebugServer::LldbServer, program))
        };
        let found = match asked {
            None => gdb().or_else(lldb),
            Some(DebugServer::Gdbserver) => gdb(),
            Some(DebugServer::LldbServer) => lldb(),
        };
        found.map(|(kind, program)| Dialect { kind, program })
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// The name of its file.
    pub(super) fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Attached to a process, for one debugger, by what is its standard input and output or else has this number.
    pub(super) fn args(&self, pid: u32, by: RawFd) -> Vec<OsString> {
        let (pid, by) = (pid.to_string(), by.to_string());
        let words: &[&str] = match self.kind {
            DebugServer::Gdbserver => &["--once", "--attach", "-", &pid],
            DebugServer::LldbServer => &["gdbserver", "--fd", &by, "--attach", &pid],
        };
        words.iter().map(Into::into).collect()
    }

    /// Whether it speaks by its standard input and output.
    pub(super) fn speaks_by_stdio(&self) -> bool {
        self.kind == DebugServer::Gdbserver
    }

    /// The command that connects a debugger.
    pub(super) fn command(&self, program: &Path, address: SocketAddr) -> String {
        let program = program.display();
        match self.kind {
            // The libraries are read from this machine, and not by way of the server.
            DebugServer::Gdbserver => {
                format!("gdb -q {program} -ex \"set sysroot /\" -ex \"target remote {address}\"")
            }
            DebugServer::LldbServer => {
                let version = self.name().replacen("lldb-server", "", 1);
                format!("lldb{version} {program} -o \"gdb-remote {address}\"")
            }
        }
    }

    /// Whether it takes its breakpoints out where the debugger is gone without a word; it does so while the worker stands still.
    pub(super) fn takes_out_breakpoints(&self) -> bool {
        self.kind == DebugServer::Gdbserver
    }
}

/// The file of the highest version among those called so.
fn newest(folders: &[PathBuf], begins: &str) -> Option<PathBuf> {
    let files = folders.iter().flat_map(std::fs::read_dir).flatten();
    let files = files.filter_map(|file| {
        let file = file.ok()?;
        let version: u32 = file
            .file_name()
            .to_str()?
            .strip_prefix(begins)?
            .parse()
            .ok()?;
        file.path().is_file().then(|| (version, file.path()))
    });
    files
        .max_by_key(|(version, _)| *version)
        .map(|(_, file)| file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn gdbserver_goes_before_lldb_server_and_a_plain_name_before_a_version() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [one.path().to_owned(), other.path().to_owned()];
        let find = |asked| Dialect::find(asked, &folders).map(|found| found.program);
        assert_eq!(find(None), None);
        for name in [
            "lldb-server-9",
            "lldb-server-14",
            "lldb-server-x",
            "lldb-14",
        ] {
            fs::write(other.path().join(name), "").unwrap();
        }
        let versioned = other.path().join("lldb-server-14");
        assert_eq!(find(None), Some(versioned.clone()));
        assert_eq!(find(Some(DebugServer::Gdbserver)), None);
        let at = SocketAddr::from(([127, 0, 0, 1], 7));
        let dialect = Dialect::find(None, &folders).unwrap();
        assert_eq!(
            dialect.command(Path::new("/p"), at),
            "lldb-14 /p -o \"gdb-remote 127.0.0.1:7\""
        );
        let plain = other.path().join("lldb-server");
        fs::write(&plain, "").unwrap();
        assert_eq!(find(None), Some(plain.clone()));
        fs::create_dir(one.path().join("gdbserver")).unwrap();
        assert_eq!(find(None), Some(plain.clone()), "a folder is no program");
        let gdb = other.path().join("gdbserver");
        fs::write(&gdb, "").unwrap();
        assert_eq!(find(None), Some(gdb));
        assert_eq!(find(Some(DebugServer::LldbServer)), Some(plain));
    }
}
