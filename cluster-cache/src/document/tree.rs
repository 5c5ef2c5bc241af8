//! The tree of a document, and how a change changes it. Pure.
//!
//! A change says, once it is made, how it is undone; changes are undone in the reverse order. One that does not fit changes nothing.

use serde_json::{Map, Value};

use super::limits::{MOST_DOCUMENT_BYTES, MOST_GROWN};
use super::path::{Keys, Path, PathFault, place};

/// Why a change does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// An array has places, and no names.
    #[error("{key:?} is no place in the array that it meets (allowed: numbers from 0)")]
    Name {
        /// The key.
        key: String,
    },
    /// The array would be too long.
    #[error("the array would have more than {MOST_GROWN} elements (allowed: up to {MOST_GROWN})")]
    Grown,
    /// The document would be too large.
    #[error("the document would take {0} bytes (allowed: up to {MOST_DOCUMENT_BYTES})")]
    Large(usize),
}

/// How a change is undone.
#[derive(Debug, PartialEq)]
pub(crate) struct Undo {
    /// Keys of the path down to where it was made.
    depth: usize,
    was: Was,
    bytes: usize,
}

/// What was at that place.
#[derive(Debug, PartialEq)]
enum Was {
    /// This, of which something else has taken the place.
    Value(Value),
    /// This, which was taken out.
    Taken(Value),
    /// Nothing.
    Absent,
    /// Nothing, in an array of this length.
    Shorter(usize),
}

/// Where a value is to be set.
enum Site {
    /// In the place of what is there.
    There(usize),
    /// As a new member of an object.
    Member(usize),
    /// Beyond the end of an array of this length.
    Beyond(usize, usize),
}

/// The tree of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    root: Value,
    bytes: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Tree::of(Value::Object(Map::new()))
    }
}

impl Tree {
    pub(crate) fn of(root: Value) -> Self {
        let bytes = bytes(&root);
        Tree { root, bytes }
    }

    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    /// About how many bytes it takes as JSON.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is at a path that is read as it goes.
    #[inline]
    pub(crate) fn find(&self, mut keys: Keys<'_>) -> Result<Option<&Value>, PathFault> {
        let mut at = Some(&self.root);
        loop {
            if let Some(name) = keys.next_name() {
                at = at.and_then(|value| child(value, name));
            } else if let Some(key) = keys.next() {
                let key = key?;
                at = at.and_then(|value| child(value, &key));
            } else {
                return Ok(at);
            }
        }
    }

    pub(crate) fn get(&self, path: &Path) -> Option<&Value> {
        let mut keys = path.keys().iter();
        keys.try_fold(&self.root, |at, key| child(at, key))
    }

    /// Sets a value. Objects and arrays that are missing are made; what is neither and stands in the way gives way; an array is filled up
    /// with nulls.
    pub(crate) fn set(&mut self, path: &Path, value: Value) -> Result<Undo, Misfit> {
        let site = self.site(path)?;
        let (depth, rest) = match site {
            Site::There(depth) => (depth, &path.keys()[depth..]),
            Site::Member(depth) | Site::Beyond(depth, _) => (depth, &path.keys()[depth + 1..]),
        };
        let key = path.keys().get(depth).map_or("", |key| key);
        let mut added = wrapped_bytes(rest, bytes(&value))?;
        let mut gone = 0;
        match site {
            Site::There(depth) => gone = self.at(path, depth).map_or(0, |old| bytes(old)),
            Site::Member(_) => added += member_bytes(key),
            Site::Beyond(_, length) => {
                added += (place(key).unwrap_or(length) - length) * 5 + 1;
            }
        }
        let all = self.bytes - gone + added;
        if all > MOST_DOCUMENT_BYTES && added > gone {
            return Err(Misfit::Large(all));
        }
        let (value, before) = (wrapped(rest, value), self.bytes);
        let Some(at) = self.at(path, depth) else {
            unreachable!("a site is in the tree")
        };
        let was = match (site, at) {
            (Site::There(_), at) => Was::Value(std::mem::replace(at, value)),
            (Site::Beyond(_, length), Value::Array(list)) => {
                list.resize(place(key).unwrap_or(length), Value::Null);
                list.push(value);
                Was::Shorter(length)
            }
            (_, at) => {
                if let Value::Object(map) = at {
                    map.insert(key.to_owned(), value);
                }
                Was::Absent
            }
        };
        self.bytes = all;
        Ok(Undo {
            depth,
            was,
            bytes: before,
        })
    }

    /// Deletes what is at a path; nothing where there is nothing. An element of an array leaves a null, so that the others keep their
    /// places, and the last one makes it shorter. Of the whole document an empty object is left.
    pub(crate) fn delete(&mut self, path: &Path) -> Option<Undo> {
        let before = self.bytes;
        let undo = |depth, was| {
            Some(Undo {
                depth,
                was,
                bytes: before,
            })
        };
        let Some((key, _)) = path.keys().split_last() else {
            let nothing = Tree::default();
            if *self == nothing {
                return None;
            }
            let was = std::mem::replace(self, nothing);
            return undo(0, Was::Value(was.root));
        };
        let above = path.len() - 1;
        let (was, gone) = match self.at(path, above)? {
            Value::Object(map) => {
                let old = map.remove(&**key)?;
                let gone = bytes(&old) + member_bytes(key);
                (Was::Taken(old), gone)
            }
            Value::Array(list) => {
                let place = place(key)?;
                if place + 1 == list.len() {
                    let old = list.pop()?;
                    let gone = bytes(&old) + 1;
                    (Was::Taken(old), gone)
                } else {
                    let old = list.get_mut(place).filter(|old| !old.is_null())?.take();
                    self.bytes = self.bytes + 4 - bytes(&old);
                    return undo(above + 1, Was::Value(old));
                }
            }
            _ => return None,
        };
        self.bytes -= gone;
        undo(above, was)
    }

    /// Undoes the last change that is not undone yet.
    pub(crate) fn undo(&mut self, path: &Path, undo: Undo) {
        self.bytes = undo.bytes;
        let Some(at) = self.at(path, undo.depth) else {
            return;
        };
        let key = path.keys().get(undo.depth).map_or("", |key| key);
        match (undo.was, at) {
            (Was::Value(old), at) => *at = old,
            (Was::Taken(old), Value::Object(map)) => drop(map.insert(key.to_owned(), old)),
            (Was::Taken(old), Value::Array(list)) => list.push(old),
            (Was::Absent, Value::Object(map)) => drop(map.remove(key)),
            (Was::Shorter(length), Value::Array(list)) => list.truncate(length),
            _ => {}
        }
    }

    /// What is so many keys down a path.
    fn at(&mut self, path: &Path, depth: usize) -> Option<&mut Value> {
        let mut at = &mut self.root;
        for key in &path.keys()[..depth] {
            at = match at {
                Value::Object(map) => map.get_mut(&**key)?,
                Value::Array(list) => list.get_mut(place(key)?)?,
                _ => return None,
            };
        }
        Some(at)
    }

    fn site(&self, path: &Path) -> Result<Site, Misfit> {
        let mut at = &self.root;
        for (depth, key) in path.keys().iter().enumerate() {
            at = match at {
                Value::Object(map) => match map.get(&**key) {
                    Some(value) => value,
                    None => return Ok(Site::Member(depth)),
                },
                Value::Array(list) => {
                    let named = || Misfit::Name {
                        key: key.to_string(),
                    };
                    let place = place(key).ok_or_else(named)?;
                    match list.get(place) {
                        Some(value) => value,
                        None if place < MOST_GROWN => {
                            return Ok(Site::Beyond(depth, list.len()));
                        }
                        None => return Err(Misfit::Grown),
                    }
                }
                _ => return Ok(Site::There(depth)),
            };
        }
        Ok(Site::There(path.len()))
    }
}

#[inline]
fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(list) => list.get(place(key)?),
        _ => None,
    }
}

/// A value inside of all that its path says is around it: a key that could be a place makes an array.
fn wrapped(keys: &[Box<str>], value: Value) -> Value {
    keys.iter()
        .rev()
        .fold(value, |value, key| match place(key) {
            Some(place) => {
                let mut list = vec![Value::Null; place];
                list.push(value);
                Value::Array(list)
            }
            None => Value::Object(Map::from_iter([(key.to_string(), value)])),
        })
}

/// What that would take.
fn wrapped_bytes(keys: &[Box<str>], bytes: usize) -> Result<usize, Misfit> {
    keys.iter().try_fold(bytes, |bytes, key| match place(key) {
        Some(place) if place >= MOST_GROWN => Err(Misfit::Grown),
        Some(place) => Ok(bytes + 2 + place * 5 + 1),
        None => Ok(bytes + 2 + member_bytes(key)),
    })
}

fn member_bytes(key: &str) -> usize {
    key.len() + 4
}

/// About how many bytes a value takes as JSON.
pub(crate) fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().fold(2, |all, value| all + bytes(value) + 1),
        Value::Object(map) => map.iter().fold(2, |all, (key, value)| {
            all + bytes(value) + member_bytes(key)
        }),
    }
}

/// How deep a value is: 0 where nothing is in it.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(|value| 1 + depth(value)).max(),
        Value::Object(map) => map.values().map(|value| 1 + depth(value)).max(),
        _ => None,
    }
    .unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests;
