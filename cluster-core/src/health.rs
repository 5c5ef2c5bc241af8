//! Who is well: rules over what the workers report, and over what they fail to report.

pub(crate) mod heartbeat;
pub(crate) mod policy;
pub(crate) mod pulse;
pub(crate) mod silence;
pub(crate) mod vitals;
