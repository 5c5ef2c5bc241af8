//! A terminal of a test's own: a pty, and what it would show.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command at a terminal of 120 columns and 30 lines.
pub(crate) struct Terminal {
    keyboard: File,
    /// Held open, so that what is set there can be looked at when the command has ended.
    line: OwnedFd,
    before: Termios,
    child: Child,
    written: Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

impl Terminal {
    /// Starts it as the leader of a session whose terminal this is.
    pub(crate) fn start(command: &Command) -> Self {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are ptys");
        grantpt(&end).expect("it is ours");
        unlockpt(&end).expect("it is ours");
        let name = ptsname(&end, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = open(name.as_c_str(), flags, Mode::empty()).expect("it can be opened");
        let before = tcgetattr(&line).expect("it is a terminal");
        tcsetwinsize(&line, size(120, 30)).expect("it is a terminal");
        let clone = || line.try_clone().expect("a descriptor is free");
        let mut session = Command::new("setsid");
        session
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args());
        session
            .env("TERM", "xterm-256color")
            .stdin(clone())
            .stdout(clone())
            .stderr(clone());
        let child = session.spawn().expect("it can be started");
        let keyboard = File::from(end);
        let mut screen = keyboard.try_clone().expect("a descriptor is free");
        let (tell, written) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                if tell.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard,
            line,
            before,
            child,
            written,
            parser: vt100::Parser::new(side(30), side(120), 0),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let keys = keys.as_bytes();
        self.keyboard.write_all(keys).expect("it is read");
    }

    /// Makes it another size.
    pub(crate) fn resize(&mut self, columns: u16, lines: u16) {
        self.parser
            .screen_mut()
            .set_size(side(lines), side(columns));
        tcsetwinsize(&self.line, size(columns, lines)).expect("it is a terminal");
    }

    /// Waits until the screen is as it should be, and gives back its text.
    pub(crate) fn until(&mut self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.parser.screen().contents();
            if is(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.written.recv_timeout(left) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(e) => panic!("{e}: it never came to this: {what}:\n{text}"),
            }
        }
    }

    /// Waits for the end of the command, which has to leave the terminal as it found it.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            self.take(Duration::from_millis(20));
        };
        while self.take(Duration::from_millis(200)) {}
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen(), "its screen is left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        let after = tcgetattr(&self.line).expect("it is a terminal");
        let modes = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        assert!(after.local_modes.contains(modes));
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(status.signal(), None);
        status
    }

    /// Takes in what is written within a time; false if nothing was.
    fn take(&mut self, within: Duration) -> bool {
        match self.written.recv_timeout(within) {
            Ok(bytes) => {
                self.parser.process(&bytes);
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn side(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).expect("it has some")
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
