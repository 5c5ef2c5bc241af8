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
        for word in buffer[..n].chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            hash = (hash ^ u64::from_le_bytes(bytes)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }
}
