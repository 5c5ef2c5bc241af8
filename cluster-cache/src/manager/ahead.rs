//! What is read and written next is fetched from memory ahead: for many questions together, as each would wait for it alone.

use super::CacheManager;
use super::intake::Come;
use crate::protocol::Ask;

/// Questions that are looked ahead of: what they need fits the processor's innermost cache.
pub(super) const WINDOW: usize = 32;
/// With fewer bytes in all namespaces than these nothing is far away.
const SMALL: usize = 512 * 1024;

impl CacheManager {
    /// Has the processor fetch what the first of these questions are about. It changes nothing but the time that they take.
    pub(super) fn fetch_ahead(&self, come: &[Come], bytes: &[u8]) {
        if come.len() < 2 || self.bytes < SMALL {
            return;
        }
        let (mut keys, mut found) = ([(0, 0); WINDOW], 0);
        for come in &come[..come.len().min(WINDOW)] {
            let Come::Asked { link, bytes: range } = come else {
                continue;
            };
            let Ok((number, key)) = Ask::peek(&bytes[range.clone()]) else {
                continue;
            };
            let tie = self.links.space(*link, number);
            let Some(space) = tie.and_then(|tie| self.spaces.tied(tie)) else {
                continue;
            };
            keys[found] = (space, self.spaces[space].table.fetch_place(key));
            found += 1;
        }
        let (mut places, mut left) = ([(0, 0); WINDOW], 0);
        for (space, hash) in &keys[..found] {
            if let Some(place) = self.spaces[*space].table.fetch_entry(*hash) {
                places[left] = (*space, place);
                left += 1;
            }
        }
        for (space, place) in &places[..left] {
            self.spaces[*space].table.fetch_bytes(*place);
        }
    }
}
