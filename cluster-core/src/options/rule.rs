//! How the text of one value is read, bounded and written: one rule for each kind of value.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::quantity::{self, Unreadable};
use super::{Host, OptionsError, Place, Secret};

/// Bytes that a value may have, whatever its kind.
pub(super) const MAX_VALUE: usize = 4096;

/// What is wrong with a value, before it is known where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    OutOfRange(String),
    Malformed { value: String, noun: &'static str },
    TooLong(usize),
    Count(usize),
    Repeated(Host),
}

impl Fault {
    /// The error, now that the place is known.
    pub(super) fn at(self, place: Place, allowed: String) -> OptionsError {
        let place = Box::new(place);
        match self {
            Fault::OutOfRange(value) => OptionsError::OutOfRange {
                place,
                value,
                allowed,
            },
            Fault::Malformed { value, noun } => OptionsError::Malformed {
                place,
                value,
                noun,
                allowed,
            },
            Fault::TooLong(length) => OptionsError::TooLong {
                place,
                length,
                limit: MAX_VALUE,
            },
            Fault::Count(count) => OptionsError::Count {
                place,
                count,
                allowed,
            },
            Fault::Repeated(host) => OptionsError::RepeatedHost { place, host },
        }
    }
}

/// What a value of `cluster.toml` may be for the text of it to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A boolean; as a flag it needs no value.
    Switch,
    /// An integer.
    Integer,
    /// An integer, or a string with a number and its unit.
    Quantity,
    /// A string.
    Text,
    /// Any of these; as a flag it needs no value.
    Any,
}

/// How the text of one kind of value is read and written.
pub(super) trait Rule: Sync {
    /// What the text stands for.
    type Value: PartialEq;
    /// What `cluster.toml` may hold.
    const SHAPE: Shape;
    /// What stands for the value in `--help`.
    fn placeholder(&self) -> String;
    /// What is allowed, for `--help` and for errors.
    fn allowed(&self) -> String;
    /// The value that `text` stands for, inside its bounds.
    fn parse(&self, text: &str) -> Result<Self::Value, Fault>;
    /// A text that `parse` reads as `value`, if the value is inside its bounds.
    fn show(&self, value: &Self::Value) -> String;
}

fn malformed(value: &str, noun: &'static str) -> Fault {
    Fault::Malformed {
        value: value.to_owned(),
        noun,
    }
}

/// `true` or `false`.
pub(super) struct Switch;

impl Rule for Switch {
    type Value = bool;
    const SHAPE: Shape = Shape::Switch;

    fn placeholder(&self) -> String {
        "true|false".to_owned()
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn parse(&self, text: &str) -> Result<bool, Fault> {
        text.parse().map_err(|_| malformed(text, "a switch"))
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A whole number between two bounds.
pub(super) struct Number<T> {
    pub(super) placeholder: &'static str,
    pub(super) min: T,
    pub(super) max: T,
}

impl<T> Rule for Number<T>
where
    T: Copy + PartialOrd + TryFrom<i128> + ToString + Sync,
{
    type Value = T;
    const SHAPE: Shape = Shape::Integer;

    fn placeholder(&self) -> String {
        self.placeholder.to_owned()
    }

    fn allowed(&self) -> String {
        format!("{} to {}", self.min.to_string(), self.max.to_string())
    }

    fn parse(&self, text: &str) -> Result<T, Fault> {
        let out_of_range = || Fault::OutOfRange(text.to_owned());
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed(text, "a number"));
        }
        let number: i128 = text.parse().map_err(|_| out_of_range())?;
        T::try_from(number)
            .ok()
            .filter(|number| (self.min..=self.max).contains(number))
            .ok_or_else(out_of_range)
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A time; its bounds in milliseconds, and how many of them a plain number counts.
pub(super) struct Time {
    pub(super) plain: u64,
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Rule for Time {
    type Value = Duration;
    const SHAPE: Shape = Shape::Quantity;

    fn placeholder(&self) -> String {
        (if self.plain == 1 { "MS" } else { "SECONDS" }).to_owned()
    }

    fn allowed(&self) -> String {
        let [min, max] =
            [self.min, self.max].map(|ms| quantity::show_duration(Duration::from_millis(ms)));
        let plain = if self.plain == 1 { "ms" } else { "s" };
        format!("{min} to {max}, a plain number counts {plain}")
    }

    fn parse(&self, text: &str) -> Result<Duration, Fault> {
        match quantity::millis(text, self.plain) {
            Ok(ms) if (self.min..=self.max).contains(&ms) => Ok(Duration::from_millis(ms)),
            Ok(_) | Err(Unreadable::TooLarge) => Err(Fault::OutOfRange(text.to_owned())),
            Err(Unreadable::Malformed) => Err(malformed(text, "a duration")),
        }
    }

    fn show(&self, value: &Duration) -> String {
        quantity::show_duration(*value)
    }
}

/// A size in bytes between two bounds.
pub(super) struct Size {
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Rule for Size {
    type Value = u64;
    const SHAPE: Shape = Shape::Quantity;

    fn placeholder(&self) -> String {
        "SIZE".to_owned()
    }

    fn allowed(&self) -> String {
        let [min, max] = [self.min, self.max].map(quantity::show_bytes);
        format!("{min} to {max}, a plain number counts bytes")
    }

    fn parse(&self, text: &str) -> Result<u64, Fault> {
        match quantity::bytes(text) {
            Ok(bytes) if (self.min..=self.max).contains(&bytes) => Ok(bytes),
            Ok(_) | Err(Unreadable::TooLarge) => Err(Fault::OutOfRange(text.to_owned())),
            Err(Unreadable::Malformed) => Err(malformed(text, "a size")),
        }
    }

    fn show(&self, value: &u64) -> String {
        quantity::show_bytes(*value)
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static> {
    pub(super) all: &'static [(&'static str, T)],
}

impl<T> Choice<T> {
    fn names(&self, between: &str) -> String {
        let names: Vec<&str> = self.all.iter().map(|(name, _)| *name).collect();
        names.join(between)
    }
}

impl<T: Copy + PartialEq + Sync> Rule for Choice<T> {
    type Value = T;
    const SHAPE: Shape = Shape::Text;

    fn placeholder(&self) -> String {
        self.names("|")
    }

    fn allowed(&self) -> String {
        self.names(" or ")
    }

    fn parse(&self, text: &str) -> Result<T, Fault> {
        let found = self.all.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| malformed(text, "one of the choices"))
    }

    fn show(&self, value: &T) -> String {
        let found = self.all.iter().find(|(_, one)| one == value);
        found.map_or_else(String::new, |(name, _)| (*name).to_owned())
    }
}

/// Text that a predicate accepts.
pub(super) struct Text {
    pub(super) placeholder: &'static str,
    pub(super) noun: &'static str,
    pub(super) allowed: &'static str,
    pub(super) accepts: fn(&str) -> bool,
}

impl Rule for Text {
    type Value = String;
    const SHAPE: Shape = Shape::Text;

    fn placeholder(&self) -> String {
        self.placeholder.to_owned()
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, Fault> {
        if (self.accepts)(text) {
            Ok(text.to_owned())
        } else {
            Err(malformed(text, self.noun))
        }
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }
}

/// Text that a predicate accepts, and that no message shows.
pub(super) struct SecretText {
    pub(super) allowed: &'static str,
    pub(super) accepts: fn(&str) -> bool,
}

impl Rule for SecretText {
    type Value = Secret;
    const SHAPE: Shape = Shape::Text;

    fn placeholder(&self) -> String {
        "TOKEN".to_owned()
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn parse(&self, text: &str) -> Result<Secret, Fault> {
        if (self.accepts)(text) {
            Ok(Secret::new(text))
        } else {
            Err(malformed("...", "a token"))
        }
    }

    fn show(&self, value: &Secret) -> String {
        value.reveal().to_owned()
    }
}

/// The path of a file or directory.
pub(super) struct FilePath {
    pub(super) placeholder: &'static str,
}

impl Rule for FilePath {
    type Value = PathBuf;
    const SHAPE: Shape = Shape::Text;

    fn placeholder(&self) -> String {
        self.placeholder.to_owned()
    }

    fn allowed(&self) -> String {
        format!("a path of 1 to {MAX_VALUE} bytes")
    }

    fn parse(&self, text: &str) -> Result<PathBuf, Fault> {
        if text.is_empty() || text.contains('\0') {
            return Err(malformed(text, "a path"));
        }
        Ok(text.into())
    }

    fn show(&self, value: &PathBuf) -> String {
        value.to_string_lossy().into_owned()
    }
}

/// An IP address.
pub(super) struct Address;

impl Rule for Address {
    type Value = IpAddr;
    const SHAPE: Shape = Shape::Text;

    fn placeholder(&self) -> String {
        "ADDRESS".to_owned()
    }

    fn allowed(&self) -> String {
        "an IPv4 or IPv6 address".to_owned()
    }

    fn parse(&self, text: &str) -> Result<IpAddr, Fault> {
        match Host::parse(text) {
            Some(Host::Ip(address)) => Ok(address),
            _ => Err(malformed(text, "an address")),
        }
    }

    fn show(&self, value: &IpAddr) -> String {
        value.to_string()
    }
}
