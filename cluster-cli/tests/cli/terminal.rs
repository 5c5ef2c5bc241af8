//! A terminal of a test's own: a pty, and what it would show.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command at a terminal of 120 columns and 30 lines.
pub(crate) struct Terminal {
    /// What is typed goes here, and what is written comes from here; none when it was hung up.
    end: Option<File>,
    /// Held open, so that what is set there can be looked at when the command has ended.
    line: OwnedFd,
    before: Termios,
    child: Child,
    /// Readable when it has ended.
    life: OwnedFd,
    parser: vt100::Parser,
}

impl Terminal {
    /// Starts it as the leader of a session whose terminal this is.
    pub(crate) fn start(command: &Command) -> Self {
        // Closed in children from the start: one that another test starts would keep it open.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let end = openpt(flags).expect("there are ptys");
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
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session
            .env("TERM", "xterm-256color")
            .stdin(clone())
            .stdout(clone())
            .stderr(clone());
        let child = session.spawn().expect("it can be started");
        let pid = Pid::from_child(&child);
        let life = pidfd_open(pid, PidfdFlags::empty()).expect("it is our child");
        Self {
            end: Some(File::from(end)),
            line,
            before,
            child,
            life,
            parser: vt100::Parser::new(side(30), side(120), 0),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let mut end = self.end.as_ref().expect("it is not hung up");
        end.write_all(keys.as_bytes()).expect("it is read");
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
            assert!(
                self.take(left),
                "it never came to this: {what}:\n{}",
                self.parser.screen().contents()
            );
        }
    }

    /// Whether anything on the screen has a colour.
    pub(crate) fn is_coloured(&self) -> bool {
        let screen = self.parser.screen();
        let places = (0..30).flat_map(|line| (0..120).map(move |column| (line, column)));
        let mut cells = places.filter_map(|(line, column)| screen.cell(line, column));
        cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
    }

    /// Closes the window, so to say, and waits for the end of the command.
    pub(crate) fn hang_up(mut self) -> ExitStatus {
        self.end = None;
        let within = Timespec::try_from(PATIENCE).expect("it is short");
        let mut ends = [PollFd::new(&self.life, PollFlags::IN)];
        let ended = poll(&mut ends, Some(&within)).expect("it can be waited for");
        assert_eq!(ended, 1, "it does not end");
        self.child.wait().expect("it is our child")
    }

    /// Waits for the end of the command, which has to leave the terminal as it found it.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let within = Timespec::try_from(left).expect("it is short");
            let end = self.end.as_ref().expect("it is not hung up");
            let mut ready = [
                PollFd::new(&self.life, PollFlags::IN),
                PollFd::new(end, PollFlags::IN),
            ];
            let ready = poll(&mut ready, Some(&within)).expect("it can be waited for");
            assert_ne!(ready, 0, "it does not end");
            self.take(Duration::ZERO);
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
        let mut end = self.end.as_ref().expect("it is not hung up");
        let within = Timespec::try_from(within).expect("it is short");
        let mut ready = [PollFd::new(end, PollFlags::IN)];
        if poll(&mut ready, Some(&within)).is_ok_and(|ready| ready == 0) {
            return false;
        }
        let mut bytes = [0; 4096];
        let length = end.read(&mut bytes).unwrap_or(0);
        self.parser.process(&bytes[..length]);
        length > 0
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
