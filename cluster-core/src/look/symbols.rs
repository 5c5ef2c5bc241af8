//! The names of what is executed at an address, by the symbols and the debug information of its file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use addr2line::{Loader, demangle_auto};

use super::program::{Image, Program};

/// A name is cut off there, in bytes: generic types can be without end.
const LONGEST_NAME: usize = 512;

/// A function at an address; with what was inlined there, an address has several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Symbol {
    pub(super) function: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    /// It has no frame of its own: the next one's function has it inlined.
    pub(super) inlined: bool,
}

/// The symbols of all files, each read when it is first asked for.
#[derive(Default)]
pub(super) struct Symbols {
    files: HashMap<PathBuf, Option<Loader>>,
    known: HashMap<u64, Vec<Symbol>>,
}

impl Symbols {
    /// What is executed at an address, the innermost first; never empty.
    pub(super) fn at(&mut self, program: &Program, address: u64) -> &[Symbol] {
        let files = &mut self.files;
        self.known.entry(address).or_insert_with(|| {
            let image = program.image(address);
            let found = image.and_then(|image| look_up(files, image, address));
            found.unwrap_or_else(|| {
                let function = match image {
                    Some(image) => format!("{:#x} in {}", address - image.bias, short(&image.name)),
                    None => format!("{address:#x}"),
                };
                vec![Symbol {
                    function,
                    file: None,
                    line: None,
                    inlined: false,
                }]
            })
        })
    }
}

fn look_up(
    files: &mut HashMap<PathBuf, Option<Loader>>,
    image: &Image,
    address: u64,
) -> Option<Vec<Symbol>> {
    let path = image.path.as_ref()?;
    let loader = files
        .entry(path.clone())
        .or_insert_with(|| Loader::new(path).ok())
        .as_ref()?;
    let inside = address.wrapping_sub(image.bias);
    let mut symbols = Vec::new();
    if let Ok(mut frames) = loader.find_frames(inside) {
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|f| f.raw_name().ok());
            let location = frame.location.as_ref();
            symbols.push(Symbol {
                function: name.map(|name| demangle(&name)).unwrap_or_default(),
                file: location.and_then(|l| l.file).map(str::to_owned),
                line: location.and_then(|l| l.line),
                inlined: true,
            });
        }
    }
    // The symbol has the whole path, where the debug information of line tables alone has not.
    let symbol = loader.find_symbol(inside).map(demangle);
    match (symbols.last_mut(), symbol) {
        (Some(outermost), symbol) => {
            outermost.inlined = false;
            if let Some(name) = symbol {
                outermost.function = name;
            }
        }
        (None, Some(function)) => symbols.push(Symbol {
            function,
            file: None,
            line: None,
            inlined: false,
        }),
        (None, None) => return None,
    }
    // Source lines without a name are those of what the symbol has named.
    symbols.retain(|symbol| !symbol.function.is_empty());
    if symbols.is_empty() {
        return None;
    }
    Some(symbols)
}

/// A name as people write it, without the hash that the compiler adds.
fn demangle(name: &str) -> String {
    let mut name = demangle_auto(name.into(), None).into_owned();
    if let Some((whole, hash)) = name.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        name.truncate(whole.len());
    }
    if name.len() > LONGEST_NAME {
        let end = name.floor_char_boundary(LONGEST_NAME);
        name.truncate(end);
        name.push('…');
    }
    name
}

/// The last part of a path.
fn short(path: &str) -> &str {
    let name = Path::new(path).file_name().and_then(|name| name.to_str());
    name.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_bounded() {
        assert_eq!(
            demangle("_ZN5hello4slow17h0123456789abcdefE"),
            "hello::slow"
        );
        assert_eq!(demangle("epoll_wait"), "epoll_wait");
        let long = demangle(&"ä".repeat(LONGEST_NAME));
        assert!(long.len() <= LONGEST_NAME + '…'.len_utf8() && long.ends_with('…'));
    }
}
