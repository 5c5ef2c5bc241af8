//! The terminal while it is ours, and given back however that ends.

use std::io::{self, IsTerminal};

use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// The terminal in raw mode, on its other screen. A panic gives it back before it is told; so does a drop.
pub(super) struct Terminal(DefaultTerminal);

impl Terminal {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// It is none, or cannot be set; it is as it was then.
    pub(super) fn take() -> Result<Self, CliError> {
        ratatui::try_init().map(Self).map_err(|e| {
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
        let _ = ratatui::try_restore();
    }
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
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
