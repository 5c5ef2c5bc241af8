//! What has changed between two values, as a merge patch (RFC 7386): pure. What is null counts as not there.

use serde_json::{Map, Value};

/// The patch that makes `new` of `old`; none where they are the same.
pub(super) fn between(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let gone = old
        .keys()
        .filter(|key| new.get(*key).is_none_or(Value::is_null));
    let gone = gone.filter(|key| !old[*key].is_null());
    let mut patch: Map<String, Value> = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in new.iter().filter(|(_, value)| !value.is_null()) {
        let change = match old.get(key) {
            Some(before) => between(before, value),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// As the page does it.
    fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (key, change) in patch {
            match change {
                Value::Null => {
                    target.as_object_mut().unwrap().remove(key);
                }
                change => apply(&mut target[key], change),
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (0..3).prop_map(|n| json!(n)),
            "[ab]{0,2}".prop_map(|s| json!(s)),
            Just(json!([1]))
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| json!(map))
        })
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_new_of_the_old(old in value(), new in value()) {
            let (old, new) = (json!({ "x": old }), json!({ "x": new }));
            let mut patched = old.clone();
            if let Some(patch) = between(&old, &new) {
                apply(&mut patched, &patch);
            }
            prop_assert_eq!(patched, new);
        }
    }

    #[test]
    fn nothing_is_said_of_what_is_the_same() {
        let old = json!({"a": {"b": 1, "c": 2}, "d": 3, "n": null});
        assert_eq!(between(&old, &old), None);
        let new = json!({"a": {"b": 1, "c": 5}, "n": null, "e": null});
        assert_eq!(between(&old, &new), Some(json!({"a": {"c": 5}, "d": null})));
    }
}
