//! How much of what is possible.

use std::time::Duration;

/// A key has no more bytes.
pub const MOST_KEY_BYTES: usize = 1024;
/// The name of a namespace has no more bytes.
pub const MOST_NAME_BYTES: usize = 255;
/// A value has no more bytes where the options do not say otherwise.
pub const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;
/// No options allow values of more bytes.
pub const MOST_VALUE_BYTES: usize = 15 * 1024 * 1024;
/// How long a load may take where it is not said otherwise.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
