//! Bounds of values, kept while they are serialized: before whichever serializer there is stands one that counts, so that what exceeds
//! a bound takes no memory and no stack beyond it, and JSON, which has no number for some of Rust's, says null of none of them.

use std::cell::Cell;
use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{self, Serializer};

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// How deep arrays and objects may be nested.
    pub(crate) levels: usize,
    /// About how many bytes it may take in memory.
    pub(crate) bytes: usize,
    /// Whether integers may have more than 64 bits.
    pub(crate) wide: bool,
}

/// A bound of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Large,
    Deep,
    NotFinite,
    Wide,
    /// What the key of a map may be.
    Key,
}

/// Why a value is not serialized.
#[derive(Debug)]
pub(crate) struct Unfit<E> {
    /// The first bound that it exceeds; none where its type or its serializer refuses it.
    pub(crate) bound: Option<Bound>,
    pub(crate) source: E,
}

/// Gives a value to a serializer, unless it is beyond what is allowed.
pub(crate) fn serialize<T: Serialize + ?Sized, S: Serializer>(
    value: &T,
    serializer: S,
    allowed: Allowed,
) -> Result<S::Ok, Unfit<S::Error>> {
    let count = Count {
        allowed,
        taken: Cell::new(0),
        exceeded: Cell::new(None),
    };
    let serialized = value.serialize(Checked {
        inner: serializer,
        count: &count,
        left: allowed.levels,
    });
    match (serialized, count.exceeded.get()) {
        (Ok(serialized), None) => Ok(serialized),
        // A type may pass over an error of what is in it: the bound is exceeded all the same.
        (Ok(_), bound) => Err(Unfit {
            bound,
            source: exceeded(),
        }),
        (Err(source), bound) => Err(Unfit { bound, source }),
    }
}

fn exceeded<E: ser::Error>() -> E {
    E::custom("a bound is exceeded")
}

/// How far a value is, and the first bound that it exceeds.
struct Count {
    allowed: Allowed,
    taken: Cell<usize>,
    exceeded: Cell<Option<Bound>>,
}

impl Count {
    fn exceeds<E: ser::Error>(&self, bound: Bound) -> E {
        self.note(bound);
        exceeded()
    }

    fn note(&self, bound: Bound) {
        self.exceeded.set(self.exceeded.get().or(Some(bound)));
    }

    fn weigh<E: ser::Error>(&self, bytes: usize) -> Result<(), E> {
        self.taken.set(self.taken.get().saturating_add(bytes));
        match self.taken.get() <= self.allowed.bytes {
            true => Ok(()),
            false => Err(self.exceeds(Bound::Large)),
        }
    }
}

/// A serializer that passes on what is within the bounds.
struct Checked<'c, S> {
    inner: S,
    count: &'c Count,
    /// How many levels there may be here.
    left: usize,
}

/// A value within another.
struct Within<'a, T: ?Sized> {
    value: &'a T,
    count: &'a Count,
    left: usize,
}

impl<T: Serialize + ?Sized> Serialize for Within<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Checked {
            inner: serializer,
            count: self.count,
            left: self.left,
        })
    }
}

/// An array or an object that is being filled.
struct Opened<'c, C> {
    inner: C,
    count: &'c Count,
    left: usize,
}

impl<'c, C> Opened<'c, C> {
    fn element<'a, T: ?Sized, E: ser::Error>(
        &self,
        value: &'a T,
        bytes: usize,
    ) -> Result<Within<'a, T>, E>
    where
        'c: 'a,
    {
        self.count.weigh(bytes)?;
        Ok(Within {
            value,
            count: self.count,
            left: self.left,
        })
    }
}

impl<'c, S: Serializer> Checked<'c, S> {
    /// How many levels are left in so many more, one of which may have a name.
    fn enter(&self, levels: usize, name: Option<&str>) -> Result<usize, S::Error> {
        self.count
            .weigh(2 + name.map_or(0, |name| name.len() + 6))?;
        let left = self.left.checked_sub(levels);
        left.ok_or_else(|| self.count.exceeds(Bound::Deep))
    }

    fn finite(&self, is_finite: bool) -> Result<(), S::Error> {
        match is_finite {
            true => self.count.weigh(8),
            false => Err(self.count.exceeds(Bound::NotFinite)),
        }
    }

    fn narrow(&self, is_narrow: bool) -> Result<(), S::Error> {
        match is_narrow || self.count.allowed.wide {
            true => self.count.weigh(16),
            false => Err(self.count.exceeds(Bound::Wide)),
        }
    }
}

macro_rules! leaves {
    ($($method:ident: $type:ty, $bytes:literal;)*) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.count.weigh($bytes)?;
            self.inner.$method(value)
        }
    )*};
}

macro_rules! opens {
    ($($method:ident($($name:ident: $type:ty),*) -> $opened:ident, $levels:literal, $variant:expr;)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<Self::$opened, S::Error> {
            let left = self.enter($levels, $variant)?;
            let inner = self.inner.$method($($name),*)?;
            Ok(Opened { inner, count: self.count, left })
        }
    )*};
}

impl<'c, S: Serializer> Serializer for Checked<'c, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Opened<'c, S::SerializeSeq>;
    type SerializeTuple = Opened<'c, S::SerializeTuple>;
    type SerializeTupleStruct = Opened<'c, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Opened<'c, S::SerializeTupleVariant>;
    type SerializeMap = Opened<'c, S::SerializeMap>;
    type SerializeStruct = Opened<'c, S::SerializeStruct>;
    type SerializeStructVariant = Opened<'c, S::SerializeStructVariant>;

    leaves! {
        serialize_bool: bool, 4;
        serialize_i8: i8, 8;
        serialize_i16: i16, 8;
        serialize_i32: i32, 8;
        serialize_i64: i64, 8;
        serialize_u8: u8, 8;
        serialize_u16: u16, 8;
        serialize_u32: u32, 8;
        serialize_u64: u64, 8;
        serialize_char: char, 6;
        serialize_unit_struct: &'static str, 4;
    }

    opens! {
        serialize_seq(length: Option<usize>) -> SerializeSeq, 1, None;
        serialize_tuple(length: usize) -> SerializeTuple, 1, None;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct, 1, None;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeTupleVariant, 2, Some(variant);
        serialize_map(length: Option<usize>) -> SerializeMap, 1, None;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct, 1, None;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeStructVariant, 2, Some(variant);
    }

    fn serialize_i128(self, number: i128) -> Result<S::Ok, S::Error> {
        self.narrow(u64::try_from(number).is_ok() || i64::try_from(number).is_ok())?;
        self.inner.serialize_i128(number)
    }

    fn serialize_u128(self, number: u128) -> Result<S::Ok, S::Error> {
        self.narrow(u64::try_from(number).is_ok())?;
        self.inner.serialize_u128(number)
    }

    fn serialize_f32(self, number: f32) -> Result<S::Ok, S::Error> {
        self.finite(number.is_finite())?;
        self.inner.serialize_f32(number)
    }

    fn serialize_f64(self, number: f64) -> Result<S::Ok, S::Error> {
        self.finite(number.is_finite())?;
        self.inner.serialize_f64(number)
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        self.count.weigh(text.len() + 2)?;
        self.inner.serialize_str(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        self.enter(1, None)?;
        // An array of numbers, as JSON has it.
        self.count.weigh(bytes.len().saturating_mul(9))?;
        self.inner.serialize_bytes(bytes)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.count.weigh(4)?;
        self.inner.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.count.weigh(4)?;
        self.inner.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let (count, left) = (self.count, self.left);
        self.inner.serialize_some(&Within { value, count, left })
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.count.weigh(variant.len() + 2)?;
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let (count, left) = (self.count, self.left);
        let value = Within { value, count, left };
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let left = self.enter(1, Some(variant))?;
        let count = self.count;
        let value = Within { value, count, left };
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn collect_str<T: Display + ?Sized>(self, text: &T) -> Result<S::Ok, S::Error> {
        // What is shown is not known to be short before it is.
        let mut shown = Shown(self.count);
        match fmt::Write::write_fmt(&mut shown, format_args!("{text}")) {
            Ok(()) => self.inner.collect_str(text),
            Err(_) => Err(ser::Error::custom("it cannot be shown")),
        }
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Weighs what is shown.
struct Shown<'c>(&'c Count);

impl fmt::Write for Shown<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.weigh::<fmt::Error>(text.len())
    }
}

macro_rules! lists {
    ($($trait:ident, $method:ident;)*) => {$(
        impl<C: ser::$trait> ser::$trait for Opened<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = self.element(value, 1)?;
                self.inner.$method(&value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

lists! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl<C: ser::$trait> ser::$trait for Opened<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let value = self.element(value, key.len() + 4)?;
                self.inner.serialize_field(key, &value)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(key)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl<C: ser::SerializeMap> ser::SerializeMap for Opened<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let key = self.element(key, 2)?;
        let serialized = self.inner.serialize_key(&key);
        serialized.inspect_err(|_| self.count.note(Bound::Key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.element(value, 0)?;
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes nothing of an error of what is in it.
    struct Careless;

    impl Serialize for Careless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use ser::SerializeSeq;
            let mut list = serializer.serialize_seq(None)?;
            let _ = list.serialize_element(&f64::NAN);
            list.serialize_element(&1)?;
            list.end()
        }
    }

    #[test]
    fn a_bound_is_exceeded_whatever_the_type_makes_of_it() {
        let allowed = Allowed {
            levels: 9,
            bytes: 1000,
            wide: true,
        };
        let written = serialize(&[[1.5]], serde_json::value::Serializer, allowed).unwrap();
        assert_eq!(written, serde_json::json!([[1.5]]));
        let unfit = serialize(&Careless, serde_json::value::Serializer, allowed).unwrap_err();
        assert_eq!(unfit.bound, Some(Bound::NotFinite));
        // Its own.
        let unfit = serialize(&u128::MAX, serde_json::value::Serializer, allowed).unwrap_err();
        assert_eq!(unfit.bound, None);
    }
}
