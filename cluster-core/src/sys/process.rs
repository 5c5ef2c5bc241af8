//! p
pub(crate) fn user_id() -> u32 { rustix::process::geteuid().as_raw() }
