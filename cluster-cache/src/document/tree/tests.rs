use proptest::prelude::*;
use serde_json::json;

use super::*;

fn path(text: &str) -> Path {
    Path::read(text).unwrap()
}

fn after(before: Value, at: &str, value: Value) -> Value {
    let mut tree = Tree::of(before.clone());
    let undo = tree.set(&path(at), value).unwrap();
    assert_eq!(tree.bytes(), bytes(tree.root()));
    let after = tree.root().clone();
    tree.undo(&path(at), undo);
    assert_eq!(tree, Tree::of(before));
    after
}

#[test]
fn what_is_missing_on_the_way_is_made() {
    assert_eq!(
        after(json!({}), "a[1].b", json!(7)),
        json!({"a": [null, {"b": 7}]})
    );
    assert_eq!(
        after(json!({"a": [1]}), "a[3]", json!(2)),
        json!({"a": [1, null, null, 2]})
    );
    assert_eq!(
        after(json!({"a": {"0": 1}}), "a[0].b", json!(2)),
        json!({"a": {"0": {"b": 2}}})
    );
    assert_eq!(
        after(json!({"a": 5}), "a.b", json!(2)),
        json!({"a": {"b": 2}})
    );
    assert_eq!(after(json!({"a": 5}), "", json!([1])), json!([1]));
    assert_eq!(
        after(json!([1]), r#"[2]["x.y"]"#, json!(1)),
        json!([1, null, {"x.y": 1}])
    );
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let before = json!({"a": [1], "b": {}});
    let misfit = |at: &str, value: Value| {
        let mut tree = Tree::of(before.clone());
        let misfit = tree.set(&path(at), value).unwrap_err();
        assert_eq!(tree, Tree::of(before.clone()));
        misfit
    };
    let name = Misfit::Name { key: "b".into() };
    assert_eq!(misfit("a.b", json!(1)), name);
    assert_eq!(misfit("a[999999999]", json!(1)), Misfit::Grown);
    assert_eq!(misfit("b.c[999999999]", json!(1)), Misfit::Grown);
    let large = json!("x".repeat(MOST_DOCUMENT_BYTES));
    assert!(matches!(misfit("b.c", large), Misfit::Large(_)));
    let mut tree = Tree::of(before);
    tree.set(&path("a[9999]"), json!(1)).unwrap();
    assert_eq!(tree.set(&path("a[10000]"), json!(1)), Err(Misfit::Grown));
}

#[test]
fn siblings_of_what_is_deleted_stay() {
    let before = json!({"a": [1, 2, 3], "b": {"c": 1, "d": 2}, "e": null});
    let mut tree = Tree::of(before.clone());
    let mut undone = Vec::new();
    for at in ["a[0]", "b.c", "a[2]", "e", "a[0]", "x.y", "b.c.d", "a.z"] {
        let undo = tree.delete(&path(at));
        assert_eq!(tree.bytes(), bytes(tree.root()), "{at}");
        undone.extend(undo.map(|undo| (path(at), undo)));
    }
    assert_eq!(tree.root(), &json!({"a": [null, 2], "b": {"d": 2}}));
    assert_eq!(undone.len(), 4);
    for (at, undo) in undone.into_iter().rev() {
        tree.undo(&at, undo);
    }
    assert_eq!(tree, Tree::of(before));
    assert!(tree.delete(&path("")).is_some());
    assert_eq!(tree.root(), &json!({}));
    assert_eq!(tree.delete(&path("")), None);
}

/// The same by rebuilding all of it, key by key.
fn naive_set(before: Option<Value>, keys: &[Box<str>], value: &Value) -> Option<Value> {
    let Some((key, rest)) = keys.split_first() else {
        return Some(value.clone());
    };
    let place = key.parse::<usize>().ok();
    let before = match (before, place) {
        (Some(before @ (Value::Object(_) | Value::Array(_))), _) => before,
        (_, Some(_)) => json!([]),
        (_, None) => json!({}),
    };
    match before {
        Value::Object(mut map) => {
            let inner = naive_set(map.remove(&**key), rest, value)?;
            map.insert(key.to_string(), inner);
            Some(Value::Object(map))
        }
        Value::Array(mut list) => {
            let place = place?;
            while list.len() <= place {
                list.push(Value::Null);
            }
            let old = list[place].clone();
            // What was not there is not there, though a null was filled in.
            list[place] = naive_set(Some(old), rest, value)?;
            Some(Value::Array(list))
        }
        _ => None,
    }
}

fn naive_delete(before: Value, keys: &[Box<str>]) -> Value {
    let Some((key, rest)) = keys.split_first() else {
        return json!({});
    };
    match before {
        Value::Object(mut map) => {
            if let Some(inner) = map.remove(&**key)
                && !rest.is_empty()
            {
                map.insert(key.to_string(), naive_delete(inner, rest));
            }
            Value::Object(map)
        }
        Value::Array(mut list) => {
            let place = key
                .parse::<usize>()
                .ok()
                .filter(|place| *place < list.len());
            if let Some(place) = place {
                let inner = list[place].take();
                if !rest.is_empty() {
                    list[place] = naive_delete(inner, rest);
                } else if place + 1 == list.len() {
                    list.pop();
                }
            }
            Value::Array(list)
        }
        other => other,
    }
}

pub(in crate::document) fn paths() -> impl Strategy<Value = Path> {
    let key = prop_oneof![
        Just("a"),
        Just("b"),
        Just("x.y"),
        Just("0"),
        Just("1"),
        Just("3")
    ];
    let keys = prop::collection::vec(key, 0..5);
    keys.prop_map(|keys| {
        let quoted = keys.iter().map(|key| format!("[\"{key}\"]"));
        path(&quoted.collect::<String>())
    })
}

pub(in crate::document) fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        (0..4).prop_map(|n| json!(n)),
        Just(json!(0.1)),
        Just(json!("text")),
        Just(json!({})),
        Just(json!({"a": {"b": 1}, "0": 2})),
        Just(json!([[1, 2], {"a": 1}])),
    ]
}

proptest! {
    #[test]
    fn a_tree_is_what_the_naive_model_says(
        changes in prop::collection::vec((paths(), prop::option::weighted(0.7, values())), 0..40)
    ) {
        let mut tree = Tree::default();
        let mut model = json!({});
        let mut undone = Vec::new();
        for (at, value) in changes {
            let (before, model_before) = (tree.clone(), model.clone());
            let undo = match value {
                Some(value) => {
                    let set = naive_set(Some(model), at.keys(), &value);
                    model = set.clone().unwrap_or(model_before);
                    let done = tree.set(&at, value);
                    prop_assert_eq!(done.is_ok(), set.is_some(), "{}", at);
                    done.ok()
                }
                None => {
                    model = naive_delete(model, at.keys());
                    let done = tree.delete(&at);
                    prop_assert_eq!(done.is_some(), model != model_before, "{}", at);
                    done
                }
            };
            prop_assert_eq!(tree.root(), &model, "{}", at);
            prop_assert_eq!(tree.bytes(), bytes(&model), "{}", at);
            undone.extend(undo.map(|undo| (at, undo, before)));
        }
        for (at, undo, before) in undone.into_iter().rev() {
            tree.undo(&at, undo);
            prop_assert_eq!(&tree, &before);
        }
    }
}
