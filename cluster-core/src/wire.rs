//! Bytes to frames and back; pure. [`codec`] is the only place that names bincode.
//!
//! ```text
//! frame    length: u32 | kind: u16 | version: u8 | flags: u8 | payload (≤ 64 KiB)
//! message  one frame, or on the data lane a run of frames of which all but the last say MORE
//! ```

pub(crate) mod codec;
pub(crate) mod fields;
pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod message;
