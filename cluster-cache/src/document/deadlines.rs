//! Until when paths are there that have a time. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::MOST_DEADLINE_BYTES;
use super::path::Path;
use crate::table::Millis;

/// What each takes besides its path.
const PLACE: usize = 16;

/// The paths that have a time, by the wall clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Deadlines {
    paths: BTreeMap<Path, Millis>,
    /// The same by their time.
    order: BTreeSet<(Millis, Path)>,
    bytes: usize,
}

impl Deadlines {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Path, Millis)> {
        self.paths.iter().map(|(path, at)| (path, *at))
    }

    /// Whether there is room for a path.
    pub(crate) fn has_room(&self, path: &Path) -> bool {
        self.bytes + path.bytes() + PLACE <= MOST_DEADLINE_BYTES
    }

    /// What was at a path is gone, with all that was below it; what is there now has this time, or none.
    pub(crate) fn renew(&mut self, path: &Path, at: Option<Millis>) {
        for old in self.below(path) {
            if let Some(at) = self.paths.remove(&old) {
                self.bytes -= old.bytes() + PLACE;
                self.order.remove(&(at, old));
            }
        }
        if let Some(at) = at {
            self.bytes += path.bytes() + PLACE;
            self.paths.insert(path.clone(), at);
            self.order.insert((at, path.clone()));
        }
    }

    /// Whether a path has a time, or something below it.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let next = self.paths.range(path..).next();
        next.is_some_and(|(next, _)| path.holds(next))
    }

    fn below(&self, path: &Path) -> Vec<Path> {
        let from = self.paths.range(path..).map(|(next, _)| next);
        from.take_while(|next| path.holds(next)).cloned().collect()
    }

    /// The one whose time is over next.
    pub(crate) fn next(&self) -> Option<(Millis, &Path)> {
        self.order.first().map(|(at, path)| (*at, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_along_what_is_below_it() {
        let path = |text| Path::read(text).unwrap();
        let mut deadlines = Deadlines::default();
        for (text, at) in [("a", 5), ("a.b", 3), ("a.b.c", 9), ("ab", 4), ("b", 1)] {
            deadlines.renew(&path(text), Some(at));
        }
        let left = |deadlines: &Deadlines| -> Vec<String> {
            deadlines.iter().map(|(path, _)| path.to_string()).collect()
        };
        // A path that is set takes along what was below it.
        assert_eq!(left(&deadlines), ["a", "a.b", "a.b.c", "ab", "b"]);
        assert_eq!(deadlines.next(), Some((1, &path("b"))));
        deadlines.renew(&path("b"), None);
        deadlines.renew(&path("a.b"), Some(7));
        assert_eq!(left(&deadlines), ["a", "a.b", "ab"]);
        assert_eq!(deadlines.next(), Some((4, &path("ab"))));
        assert!(deadlines.has(&path("")) && deadlines.has(&path("a")));
        assert!(!deadlines.has(&path("a.b.c")) && !deadlines.has(&path("b")));
        deadlines.renew(&path(""), None);
        assert_eq!(deadlines, Deadlines::default());
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut deadlines = Deadlines::default();
        let long = "x".repeat(1000);
        let mut taken = 0;
        loop {
            let path = Path::read(&format!("{long}.{taken}")).unwrap();
            if !deadlines.has_room(&path) {
                break;
            }
            deadlines.renew(&path, Some(taken));
            taken += 1;
        }
        assert!((1000..1050).contains(&taken), "{taken}");
    }
}
