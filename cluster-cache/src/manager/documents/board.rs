//! The board of a document, as the manager has it: changes stand there before anybody is told of them.

use cluster_core::sys::{Board, MOST_RECORD_BYTES};
use tracing::debug;

use crate::protocol::{DocumentTold, Told};

/// Made for the first who asks where it is.
#[derive(Debug, Default)]
pub(super) struct DocumentBoard {
    board: Option<Board>,
    /// What is about to be published.
    record: Vec<u8>,
}

impl DocumentBoard {
    /// Says where it is; nothing where none can be made.
    pub(super) fn place(&mut self) -> Option<Told<'static>> {
        if self.board.is_none() {
            let made = Board::create();
            self.board = made
                .inspect_err(|e| debug!(error = %e, "a document has no board"))
                .ok();
        }
        let board = self.board.as_ref()?;
        Some(Told::Document(DocumentTold::Board {
            descriptor: board.descriptor(),
            key: board.key(),
        }))
    }

    /// Publishes a change. One that is too large for the board comes by the connections alone.
    pub(super) fn publish(&mut self, told: &Told<'_>) {
        let Some(board) = &mut self.board else {
            return;
        };
        self.record.clear();
        if told.bytes() <= MOST_RECORD_BYTES && told.write(&mut self.record).is_ok() {
            board.publish(&self.record);
        }
    }
}
