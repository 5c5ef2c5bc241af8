//! What stands on the board of a document: changes, each as it is told.

use super::ledger::Made;
use crate::protocol::{DocumentTold, Told, Version};

/// The changes that go on from this version without a gap; what is no change ends them.
pub(super) fn read<'a>(records: impl IntoIterator<Item = &'a [u8]>, known: Version) -> Vec<Made> {
    let mut news = Vec::new();
    let mut next = known.sequence + 1;
    for record in records {
        let Ok(Told::Document(told)) = Told::read(record) else {
            break;
        };
        let DocumentTold::Changed { sequence, .. } = told else {
            break;
        };
        // What has come by the connection already.
        if sequence < next {
            continue;
        }
        match Made::read(&told) {
            Ok(made) if sequence == next => news.push(made),
            _ => break,
        }
        next += 1;
    }
    news
}
