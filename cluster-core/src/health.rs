//! Who is well: rules over what the workers report, and over what they fail to report.

mod silence;
