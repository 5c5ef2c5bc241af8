//! The terminal while it is ours, and given back however that ends.

use std::future::poll_fn;
use std::io::{self, IsTerminal, Read};
use std::mem::ManuallyDrop;
use std::task::Poll;

use crossterm::event::KeyEvent;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use super::typed::Typed;
use crate::error::CliError;

/// The terminal in raw mode, on its other screen. A panic gives it back before it is told; so does a drop.
///
/// The library's own terminal is never dropped: where the terminal has gone it would say so, on a standard error that is gone as well, and
/// panic over that.
pub(super) struct Terminal(ManuallyDrop<DefaultTerminal>);

impl Terminal {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// It is none, or cannot be set; it is as it was then.
    pub(super) fn take() -> Result<Self, CliError> {
        ratatui::try_init()
            .map(|terminal| Self(ManuallyDrop::new(terminal)))
            .map_err(|e| {
                let _ = ratatui::try_restore();
                CliError::Terminal(e)
            })
    }

    pub(super) fn draw(
        &mut self,
        draw: impl FnOnce(&mut ratatui::Frame<'_>),
    ) -> Result<(), CliError> {
        self.0.draw(draw).map(drop).map_err(CliError::Terminal)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

/// What is typed.
pub(super) struct Keyboard(Receiver<Vec<KeyEvent>>);

impl Keyboard {
    /// Reads from now on, on a thread that ends with the terminal or with the process.
    pub(super) fn open() -> Self {
        // Who types faster than it is drawn waits in the terminal.
        let (tell, typed) = channel(1);
        std::thread::spawn(move || {
            let (mut stdin, mut keys) = (io::stdin().lock(), Typed::default());
            let mut bytes = [0; 1024];
            loop {
                match stdin.read(&mut bytes) {
                    Ok(length @ 1..) => {
                        if tell.blocking_send(keys.take(&bytes[..length])).is_err() {
                            return;
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => return,
                }
            }
        });
        Self(typed)
    }

    /// The next keys; nothing where the terminal is gone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Vec<KeyEvent>> {
        self.0.recv().await
    }
}

/// Tells when the terminal has another size.
pub(super) fn sizes() -> Result<Signal, CliError> {
    signal(SignalKind::window_change()).map_err(CliError::Runtime)
}

/// Whether there is one to read keys from and to draw on.
pub(super) fn check() -> Result<(), CliError> {
    for (stream, is) in [
        ("standard input", io::stdin().is_terminal()),
        ("standard output", io::stdout().is_terminal()),
    ] {
        if !is {
            return Err(CliError::NoTerminal { stream });
        }
    }
    Ok(())
}

/// The signals upon which the terminal is given back.
pub(super) struct Ends(Vec<(u8, Signal)>);

impl Ends {
    pub(super) fn listen() -> Result<Self, CliError> {
        let kinds = [
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::terminate(),
        ];
        let listen = |kind: SignalKind| {
            let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
            Ok((number, signal(kind).map_err(CliError::Runtime)?))
        };
        kinds
            .into_iter()
            .map(listen)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The number of the next one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> u8 {
        poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }
}
