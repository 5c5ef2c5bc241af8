//! Values as a document holds them: what serializes is turned into JSON values, within bounds that are kept while it is done.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser;
use serde_json::{Map, Number, Value};

use super::limits::{MOST_DOCUMENT_BYTES, MOST_NESTING};

/// Why a value cannot be in a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueFault {
    /// It takes too much.
    #[error(
        "it takes more than {MOST_DOCUMENT_BYTES} bytes (allowed: up to {MOST_DOCUMENT_BYTES})"
    )]
    Large,
    /// It is nested too deep.
    #[error(
        "it is nested deeper than {0} levels below its path (allowed: up to {MOST_NESTING}, those of the path included)"
    )]
    Deep(usize),
    /// A number is not finite.
    #[error("it holds a number that is not finite, which JSON cannot say")]
    NotFinite,
    /// A number is too large.
    #[error("it holds an integer of more than 64 bits")]
    Wide,
    /// The key of a map is no text, number or truth value.
    #[error("it holds a map whose keys are no texts, integers or truth values")]
    Key,
    /// Its type cannot be serialized.
    #[error("it cannot be serialized: {0}")]
    Type(String),
}

impl ser::Error for ValueFault {
    fn custom<T: Display>(message: T) -> Self {
        ValueFault::Type(message.to_string())
    }
}

/// Turns a value into one that is nested no deeper than so many levels.
pub(crate) fn take<T: Serialize + ?Sized>(value: &T, levels: usize) -> Result<Value, ValueFault> {
    let mut taken = 0;
    value.serialize(Taker {
        taken: &mut taken,
        levels,
        left: levels,
    })
}

struct Taker<'t> {
    taken: &'t mut usize,
    levels: usize,
    left: usize,
}

impl<'t> Taker<'t> {
    fn weigh(&mut self, bytes: usize) -> Result<(), ValueFault> {
        *self.taken = self.taken.saturating_add(bytes);
        match *self.taken {
            0..=MOST_DOCUMENT_BYTES => Ok(()),
            _ => Err(ValueFault::Large),
        }
    }

    fn inner(&mut self) -> Taker<'_> {
        Taker {
            taken: self.taken,
            levels: self.levels,
            left: self.left - 1,
        }
    }

    fn leaf(mut self, bytes: usize, value: impl Into<Value>) -> Result<Value, ValueFault> {
        self.weigh(bytes)?;
        Ok(value.into())
    }

    /// Room for what is in it.
    fn open(mut self, variant: Option<&'static str>) -> Result<Opened<'t>, ValueFault> {
        let needed = 1 + usize::from(variant.is_some());
        self.weigh(2 + variant.map_or(0, |name| name.len() + 6))?;
        if self.left < needed {
            return Err(ValueFault::Deep(self.levels));
        }
        self.left -= needed - 1;
        Ok(Opened {
            taker: self,
            variant,
            list: Vec::new(),
            map: Map::new(),
            key: None,
        })
    }
}

/// An array or an object that is being filled.
struct Opened<'t> {
    taker: Taker<'t>,
    /// The name that is put around it.
    variant: Option<&'static str>,
    list: Vec<Value>,
    map: Map<String, Value>,
    key: Option<String>,
}

impl Opened<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
        self.taker.weigh(1)?;
        let value = value.serialize(self.taker.inner())?;
        self.list.push(value);
        Ok(())
    }

    fn insert<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), ValueFault> {
        self.taker.weigh(key.len() + 4)?;
        let value = value.serialize(self.taker.inner())?;
        self.map.insert(key, value);
        Ok(())
    }

    fn close(self, value: Value) -> Value {
        match self.variant {
            Some(name) => Value::Object(Map::from_iter([(name.to_owned(), value)])),
            None => value,
        }
    }

    fn close_list(mut self) -> Result<Value, ValueFault> {
        let list = std::mem::take(&mut self.list);
        Ok(self.close(Value::Array(list)))
    }

    fn close_map(mut self) -> Result<Value, ValueFault> {
        let map = std::mem::take(&mut self.map);
        Ok(self.close(Value::Object(map)))
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, number: $type) -> Result<Value, ValueFault> {
            self.leaf(8, number)
        }
    )*};
}

impl<'t> ser::Serializer for Taker<'t> {
    type Ok = Value;
    type Error = ValueFault;
    type SerializeSeq = Opened<'t>;
    type SerializeTuple = Opened<'t>;
    type SerializeTupleStruct = Opened<'t>;
    type SerializeTupleVariant = Opened<'t>;
    type SerializeMap = Opened<'t>;
    type SerializeStruct = Opened<'t>;
    type SerializeStructVariant = Opened<'t>;

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    integers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, truth: bool) -> Result<Value, ValueFault> {
        self.leaf(4, truth)
    }

    fn serialize_i128(self, number: i128) -> Result<Value, ValueFault> {
        match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => self.leaf(8, number),
            (_, Ok(number)) => self.leaf(8, number),
            _ => Err(ValueFault::Wide),
        }
    }

    fn serialize_u128(self, number: u128) -> Result<Value, ValueFault> {
        let number = u64::try_from(number).map_err(|_| ValueFault::Wide)?;
        self.leaf(8, number)
    }

    fn serialize_f32(self, number: f32) -> Result<Value, ValueFault> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<Value, ValueFault> {
        let number = Number::from_f64(number).ok_or(ValueFault::NotFinite)?;
        self.leaf(8, number)
    }

    fn serialize_char(self, char: char) -> Result<Value, ValueFault> {
        self.leaf(6, char.to_string())
    }

    fn serialize_str(mut self, text: &str) -> Result<Value, ValueFault> {
        self.weigh(text.len() + 2)?;
        Ok(Value::String(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, ValueFault> {
        let mut opened = self.open(None)?;
        bytes.iter().try_for_each(|byte| opened.push(byte))?;
        opened.close_list()
    }

    fn serialize_none(self) -> Result<Value, ValueFault> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueFault> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueFault> {
        self.leaf(4, Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, ValueFault> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ValueFault> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, ValueFault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueFault> {
        let mut opened = self.open(None)?;
        opened.insert(variant.to_owned(), value)?;
        opened.close_map()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Opened<'t>, ValueFault> {
        self.open(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Opened<'t>, ValueFault> {
        self.open(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Opened<'t>, ValueFault> {
        self.open(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Opened<'t>, ValueFault> {
        self.open(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Opened<'t>, ValueFault> {
        self.open(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Opened<'t>, ValueFault> {
        self.open(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Opened<'t>, ValueFault> {
        self.open(Some(variant))
    }

    fn collect_str<T: Display + ?Sized>(mut self, text: &T) -> Result<Value, ValueFault> {
        // What is shown is not known to be short before it is.
        let mut shown = String::new();
        let weighed = fmt::Write::write_fmt(
            &mut Weighed(&mut shown, MOST_DOCUMENT_BYTES),
            format_args!("{text}"),
        );
        weighed.map_err(|_| ValueFault::Large)?;
        self.weigh(shown.len() + 2)?;
        Ok(Value::String(shown))
    }
}

/// Text of at most so many bytes.
struct Weighed<'s>(&'s mut String, usize);

impl fmt::Write for Weighed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > self.1 {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

impl ser::SerializeSeq for Opened<'_> {
    type Ok = Value;
    type Error = ValueFault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueFault> {
        self.close_list()
    }
}

impl ser::SerializeTuple for Opened<'_> {
    type Ok = Value;
    type Error = ValueFault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
        self.push(value)
    }

    fn end(self) -> Result<Value, ValueFault> {
        self.close_list()
    }
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Opened<'_> {
            type Ok = Value;
            type Error = ValueFault;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
                self.push(value)
            }

            fn end(self) -> Result<Value, ValueFault> {
                self.close_list()
            }
        }
    )*};
}

fields!(SerializeTupleStruct, SerializeTupleVariant);

macro_rules! named_fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Opened<'_> {
            type Ok = Value;
            type Error = ValueFault;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), ValueFault> {
                self.insert(key.to_owned(), value)
            }

            fn end(self) -> Result<Value, ValueFault> {
                self.close_map()
            }
        }
    )*};
}

named_fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Opened<'_> {
    type Ok = Value;
    type Error = ValueFault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueFault> {
        let key = key.serialize(self.taker.inner())?;
        self.key = Some(match key {
            Value::String(key) => key,
            Value::Number(number) if !number.is_f64() => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => return Err(ValueFault::Key),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
        let key = self.key.take().ok_or(ValueFault::Key)?;
        self.insert(key, value)
    }

    fn end(self) -> Result<Value, ValueFault> {
        self.close_map()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    #[derive(Serialize)]
    enum Shape {
        Dot,
        Circle { radius: f64 },
        Line(u8, i64),
        Named(String),
    }

    #[test]
    fn values_are_what_serde_json_makes_of_them() {
        fn same<T: Serialize>(value: T) {
            let taken = take(&value, MOST_NESTING).unwrap();
            assert_eq!(taken, serde_json::to_value(&value).unwrap());
        }
        same([Shape::Dot, Shape::Circle { radius: 0.5 }]);
        same((Shape::Line(1, -2), Shape::Named("x".into())));
        same(BTreeMap::from([(1, 'a'), (2, 'ä')]));
        same(BTreeMap::from([(true, Some(())), (false, None)]));
        same((Ipv4Addr::LOCALHOST, u64::MAX, i64::MIN, 1.5_f32, ""));
        same(serde_json::json!({"a": [1, -1, 0.1, null, true, "x"], "b": {}}));
        same(u128::from(u64::MAX));
    }

    #[test]
    fn what_a_document_cannot_hold_is_refused() {
        let fault = |value: Result<Value, ValueFault>| value.unwrap_err();
        assert_eq!(fault(take(&[f64::NAN], 9)), ValueFault::NotFinite);
        assert_eq!(fault(take(&f32::INFINITY, 9)), ValueFault::NotFinite);
        assert_eq!(fault(take(&u128::MAX, 9)), ValueFault::Wide);
        let keyed = BTreeMap::from([((1, 2), 3)]);
        assert_eq!(fault(take(&keyed, 9)), ValueFault::Key);
        let deep = (0..10_000).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert_eq!(fault(take(&deep, 100)), ValueFault::Deep(100));
        assert!(take(&[[[1]]], 3).is_ok());
        assert_eq!(fault(take(&[[[1]]], 2)), ValueFault::Deep(2));
        assert_eq!(fault(take(&Shape::Line(1, 2), 1)), ValueFault::Deep(1));
        assert!(take(&Shape::Line(1, 2), 2).is_ok());
        assert_eq!(fault(take(&"x".repeat(100 << 20), 9)), ValueFault::Large);
        assert_eq!(fault(take(&vec![0_u8; 100 << 20], 9)), ValueFault::Large);
        // Taken apart level by level: it would be too deep to be dropped at once by some threads.
        let mut rest = deep;
        while let Value::Array(mut inner) = rest {
            rest = inner.pop().unwrap();
        }
    }
}
