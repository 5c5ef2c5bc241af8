//! The identity of the program that runs: a hash of its file.

use std::sync::OnceLock;

use crate::emitter::Kind;

/// The build id: 16 hexadecimal digits, a hash of the program's file; "unknown" where the file cannot be read.
///
/// The file is read once, as this process was started from it, by way of the kernel's own reference: a file that has been
/// replaced since gives the old id all the same.
pub(crate) fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| hash_of("/proc/self/exe").unwrap_or_else(|| "unknown".to_owned()))
}

const PRIME: u64 = 0x0000_0100_0000_01b3;

fn hash_of(path: &str) -> Option<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).ok()?;
    let mut buffer = vec![0; 256 * 1024];
    let mut hash = Kind::id_of("");
    loop {
        let n = file.read(&mut buffer).ok()?;
        if n == 0 {
            return Some(format!("{hash:016x}"));
        }
        // Words first, in a plain loop: without optimisation it takes a tenth of a second for each 60 MB, and half a second otherwise.
        let (words, rest) = buffer[..n].as_chunks::<8>();
        let mut next = 0;
        while next < words.len() {
            hash = (hash ^ u64::from_le_bytes(words[next])).wrapping_mul(PRIME).rotate_left(23);
            next += 1;
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(PRIME).rotate_left(23);
        }
    }
}
