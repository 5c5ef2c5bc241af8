//! Values as a document holds them: what serializes is turned into JSON values, within bounds that are kept while it is done.

use serde::Serialize;
use serde_json::Value;

use super::limits::{MOST_DOCUMENT_BYTES, MOST_NESTING};
use super::tree;
use crate::value::checked::{self, Allowed, Bound};

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
    #[error("it holds a map whose keys are no texts, numbers or truth values")]
    Key,
    /// Its type cannot be serialized.
    #[error("it cannot be serialized: {0}")]
    Type(String),
}

/// Turns a value into one that is nested no deeper than so many levels.
pub(crate) fn take<T: Serialize + ?Sized>(value: &T, levels: usize) -> Result<Value, ValueFault> {
    let allowed = Allowed {
        levels,
        bytes: MOST_DOCUMENT_BYTES,
        wide: false,
    };
    let taken = checked::serialize(value, serde_json::value::Serializer, allowed);
    let taken = taken.map_err(|unfit| match unfit.bound {
        Some(Bound::Large) => ValueFault::Large,
        Some(Bound::Deep) => ValueFault::Deep(levels),
        Some(Bound::NotFinite) => ValueFault::NotFinite,
        Some(Bound::Wide) => ValueFault::Wide,
        Some(Bound::Key) => ValueFault::Key,
        None => ValueFault::Type(unfit.source.to_string()),
    })?;
    // What came as JSON already was no array and no object on the way.
    match tree::depth(&taken) <= levels {
        true => Ok(taken),
        false => Err(ValueFault::Deep(levels)),
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
        let json = serde_json::value::RawValue::from_string("[".repeat(9) + "1" + &"]".repeat(9));
        let json = json.unwrap();
        assert_eq!(fault(take(&json, 8)), ValueFault::Deep(8));
        assert!(take(&json, 9).is_ok());
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
