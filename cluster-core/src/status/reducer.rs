//! Many values made one; pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StatusEntry;

/// How the values of several processes become one. Entries with an error are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reducer {
    /// The entries as they are.
    List,
    /// The sum of numbers; 0 of none.
    Sum,
    /// The least number; null of none.
    Min,
    /// The greatest number; null of none.
    Max,
    /// Objects put together, key by key; of equal keys the numbers are added and otherwise the last one stands.
    Merge,
}

impl fmt::Display for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reducer::List => "list",
            Reducer::Sum => "sum",
            Reducer::Min => "min",
            Reducer::Max => "max",
            Reducer::Merge => "merge",
        })
    }
}

impl std::str::FromStr for Reducer {
    type Err = UnknownReducer;

    fn from_str(name: &str) -> Result<Self, UnknownReducer> {
        Ok(match name {
            "list" => Reducer::List,
            "sum" => Reducer::Sum,
            "min" => Reducer::Min,
            "max" => Reducer::Max,
            "merge" => Reducer::Merge,
            _ => return Err(UnknownReducer(name.to_owned())),
        })
    }
}

/// No reducer has this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no reducer is named {0:?} (allowed: list, sum, min, max, merge)")]
pub struct UnknownReducer(String);

/// What was found, and what would be needed.
pub(super) type Unfit = (String, &'static str);

impl Reducer {
    /// Reduces the entries.
    pub(super) fn reduce(self, entries: &[StatusEntry]) -> Result<Value, Unfit> {
        let values = || {
            entries
                .iter()
                .filter(|e| e.error.is_none())
                .map(|e| &e.status)
        };
        match self {
            Reducer::List => Ok(serde_json::to_value(entries).unwrap_or(Value::Null)),
            Reducer::Sum => values().try_fold(Value::from(0), |sum, v| add(&sum, v)),
            Reducer::Min => extreme(values(), |a, b| a < b),
            Reducer::Max => extreme(values(), |a, b| a > b),
            Reducer::Merge => {
                let mut all = Map::new();
                for value in values() {
                    let Value::Object(map) = value else {
                        return Err((value.to_string(), "object"));
                    };
                    for (key, value) in map {
                        let merged = match all.get(key) {
                            Some(old) => add(old, value).unwrap_or_else(|_| value.clone()),
                            None => value.clone(),
                        };
                        all.insert(key.clone(), merged);
                    }
                }
                Ok(Value::Object(all))
            }
        }
    }
}

/// Whole numbers stay whole as long as they fit.
fn add(a: &Value, b: &Value) -> Result<Value, Unfit> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64())
        && let Some(sum) = a.checked_add(b)
    {
        return Ok(Value::from(sum));
    }
    Ok(Value::from(number(a)? + number(b)?))
}

fn number(value: &Value) -> Result<f64, Unfit> {
    value.as_f64().ok_or_else(|| (value.to_string(), "number"))
}

fn extreme<'a>(
    values: impl Iterator<Item = &'a Value>,
    better: impl Fn(f64, f64) -> bool,
) -> Result<Value, Unfit> {
    let mut best: Option<&Value> = None;
    for value in values {
        let n = number(value)?;
        if best.is_none_or(|b| b.as_f64().is_none_or(|b| better(n, b))) {
            best = Some(value);
        }
    }
    Ok(best.cloned().unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn entries(values: &[Value]) -> Vec<StatusEntry> {
        let mut list: Vec<_> = values
            .iter()
            .map(|v| StatusEntry {
                pid: 1,
                name: "n".into(),
                status: v.clone(),
                writable: false,
                error: None,
            })
            .collect();
        let error = Some("slow".to_owned());
        list.push(StatusEntry {
            pid: 2,
            name: "n".into(),
            status: Value::Null,
            writable: false,
            error,
        });
        list
    }

    #[test]
    fn each_reducer() {
        let numbers = entries(&[json!(2), json!(-1), json!(7)]);
        assert_eq!(Reducer::Sum.reduce(&numbers), Ok(json!(8)));
        assert_eq!(Reducer::Min.reduce(&numbers), Ok(json!(-1)));
        assert_eq!(Reducer::Max.reduce(&numbers), Ok(json!(7)));
        let mixed = entries(&[json!(2), json!(0.5)]);
        assert_eq!(Reducer::Sum.reduce(&mixed), Ok(json!(2.5)));
        let maps = entries(&[json!({"a": 1, "b": "x"}), json!({"a": 2, "b": "y", "c": 3})]);
        assert_eq!(
            Reducer::Merge.reduce(&maps),
            Ok(json!({"a": 3, "b": "y", "c": 3}))
        );
        assert_eq!(
            Reducer::List
                .reduce(&numbers)
                .unwrap()
                .as_array()
                .unwrap()
                .len(),
            4
        );
    }

    #[test]
    fn none_and_unfit() {
        let none = entries(&[]);
        assert_eq!(Reducer::Sum.reduce(&none), Ok(json!(0)));
        assert_eq!(Reducer::Min.reduce(&none), Ok(Value::Null));
        let unfit = entries(&[json!("x")]);
        assert_eq!(Reducer::Max.reduce(&unfit), Err(("\"x\"".into(), "number")));
        assert_eq!(
            Reducer::Merge.reduce(&unfit),
            Err(("\"x\"".into(), "object"))
        );
        assert!("mean".parse::<Reducer>().is_err());
    }

    proptest! {
        #[test]
        fn sums_are_sums(numbers in prop::collection::vec(-1_000_000i64..1_000_000, 0..50)) {
            let values: Vec<Value> = numbers.iter().map(|n| json!(n)).collect();
            let sum: i64 = numbers.iter().sum();
            prop_assert_eq!(Reducer::Sum.reduce(&entries(&values)), Ok(json!(sum)));
        }
    }
}
