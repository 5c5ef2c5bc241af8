//! The identity of the program that runs.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use object::read::{Object, ObjectSection, ReadCache};

/// The build id: in hexadecimal, the linker's own (a hash of the program) where the file has one, else the file's size and time of change.
///
/// The file is that which this process was started from, by way of the kernel's own reference: it may have been replaced since.
pub(crate) fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| of_file("/proc/self/exe").unwrap_or_else(|| "unknown".to_owned()))
}

/// When the program that runs was built: when its file was last changed; the epoch where that is not known. Of two builds of an
/// application the newer one has the later time.
pub fn time() -> SystemTime {
    let changed = std::fs::metadata("/proc/self/exe").and_then(|file| file.modified());
    changed.unwrap_or(UNIX_EPOCH)
}

/// Why a section of the program that runs could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SectionError {
    /// The program's file cannot be read.
    #[error("the program's file cannot be read")]
    File(#[from] io::Error),
    /// The file, or what it says of the section, is damaged.
    #[error("the program's file is damaged where it says what its sections are, or where they lie")]
    Damaged(#[source] object::Error),
    /// The section is too long.
    #[error("the section {name} of the program has {bytes} bytes (allowed: up to {most})")]
    Size {
        /// Its name.
        name: String,
        /// How long it is, in bytes.
        bytes: u64,
        /// How long it may be.
        most: u64,
    },
}

/// A section of the program that runs, by its name; nothing where there is none.
///
/// # Errors
///
/// That it has more bytes than `most`, and is not read therefore; why it cannot be read.
pub fn section(name: &str, most: u64) -> Result<Option<Vec<u8>>, SectionError> {
    let cache = ReadCache::new(File::open("/proc/self/exe")?);
    let program = object::File::parse(&cache).map_err(SectionError::Damaged)?;
    let Some(section) = program.section_by_name(name) else {
        return Ok(None);
    };
    let bytes = section.size();
    if bytes > most {
        let name = name.to_owned();
        return Err(SectionError::Size { name, bytes, most });
    }
    let data = section.data().map_err(SectionError::Damaged)?;
    Ok(Some(data.to_vec()))
}

/// Bytes of the linker's id that are shown; enough that no two builds share them.
const SHOWN: usize = 8;

/// The build id of a program's file; none where it cannot be read.
pub(crate) fn of_file(path: &str) -> Option<String> {
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let cache = ReadCache::new(file);
    let linked = object::File::parse(&cache).ok().and_then(|program| {
        let id = program.build_id().ok()??;
        Some(
            id.iter()
                .take(SHOWN)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    });
    linked.or_else(|| Some(format!("{:x}-{:x}", metadata.size(), metadata.mtime())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_one_id_and_others_have_others() {
        let mine = of_file("/proc/self/exe").unwrap();
        assert_eq!(mine, id());
        assert!(time() > UNIX_EPOCH && time() <= SystemTime::now());
        assert_ne!(mine, of_file("/bin/sh").unwrap());
        assert_eq!(of_file("/nowhere"), None);
        let text = section(".text", u64::MAX).unwrap();
        assert!(text.is_some_and(|text| !text.is_empty()));
        assert_eq!(section(".no-such", 1).unwrap(), None);
        let error = section(".text", 1).unwrap_err().to_string();
        assert!(error.ends_with("bytes (allowed: up to 1)"), "{error}");
    }
}
