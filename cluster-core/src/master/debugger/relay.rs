//! What a debugger and its server say to each other, passed on; and whether the debugger has taken its leave.
//!
//! gdbserver would listen at every address of the machine whatever it is told, and so it is this process that listens, on the loopback
//! address alone.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// As much is passed on at a time, in bytes.
const PART: usize = 16 * 1024;

/// Passes on what each says until one of them is gone. True where the debugger has taken its leave before.
pub(super) async fn between(debugger: &mut TcpStream, server: &mut UnixStream) -> bool {
    let mut leave = Leave::default();
    let (mut from_debugger, mut to_debugger) = debugger.split();
    let (mut from_server, mut to_server) = server.split();
    let forth = async {
        let mut part = vec![0; PART];
        while let Ok(length @ 1..) = from_debugger.read(&mut part).await {
            leave.hear(&part[..length]);
            if to_server.write_all(&part[..length]).await.is_err() {
                break;
            }
        }
    };
    let back = tokio::io::copy(&mut from_server, &mut to_debugger);
    tokio::select! {
        () = forth => {}
        _ = back => {}
    }
    leave.taken
}

/// Hears whether a debugger takes its leave: a packet of the remote protocol that begins with `D`. What looks like the beginning of a
/// packet is one, as in the data of another that letter is escaped.
#[derive(Debug, Default)]
struct Leave {
    taken: bool,
    /// How much of such a packet's beginning was last.
    heard: usize,
}

impl Leave {
    fn hear(&mut self, part: &[u8]) {
        for letter in part {
            self.heard = match (self.heard, letter) {
                (_, b'$') => 1,
                (1, b'D') => 2,
                (2, b'#' | b';') => {
                    self.taken = true;
                    0
                }
                _ => 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leave_is_heard_however_it_comes_in_parts() {
        let heard = |parts: &[&str]| {
            let mut leave = Leave::default();
            parts.iter().for_each(|part| leave.hear(part.as_bytes()));
            leave.taken
        };
        assert!(heard(&["+$D#44"]) && heard(&["$D;1a2#00", "+"]));
        assert!(heard(&["+$", "D", "#44"]) && heard(&["$g#67$D#44"]));
        assert!(!heard(&["$vCont;D#00"]) && !heard(&["$Da#00", "D#"]) && !heard(&[]));
    }
}
