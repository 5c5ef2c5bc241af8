use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn near() -> Near {
    Near::new(CopyOptions::default())
}

fn offer(near: &Near, key: &str, value: u64, as_of: u64) -> Option<u64> {
    let read = |held: &Held| u64::from_le_bytes(held.bytes().try_into().unwrap());
    match near.offer(key, value.to_le_bytes().into(), as_of, None) {
        Offered::Held(held) => Some(read(&held)),
        Offered::Passed(bytes) => Some(u64::from_le_bytes(bytes.try_into().unwrap())),
        Offered::Outdated => None,
    }
}

fn read(near: &Near, key: &str) -> Option<u64> {
    let held = near.read(key)?;
    Some(u64::from_le_bytes(held.bytes().try_into().unwrap()))
}

#[test]
fn nothing_is_kept_before_changes_are_heard_of() {
    let near = near();
    assert_eq!(offer(&near, "a", 1, 5), Some(1));
    assert_eq!(read(&near, "a"), None);
    near.begin(7);
    assert_eq!(offer(&near, "a", 1, 6), None, "it may have changed since");
    assert_eq!(offer(&near, "a", 2, 7), Some(2));
    assert_eq!(read(&near, "a"), Some(2));
}

#[test]
fn an_answer_that_a_change_has_overtaken_is_not_taken() {
    let near = near();
    near.begin(1);
    near.changed("a", 10);
    assert_eq!(offer(&near, "a", 1, 9), None);
    assert!(near.is_outdated("a", 9));
    assert_eq!(offer(&near, "a", 2, 10), Some(2));
    // An older answer that comes later brings the newer value.
    assert_eq!(offer(&near, "a", 1, 10), Some(2));
    // A change that the copy has taken part in already.
    near.changed("a", 10);
    assert_eq!(read(&near, "a"), Some(2));
    near.changed("a", 11);
    assert_eq!(read(&near, "a"), None);
}

#[test]
fn while_the_manager_is_away_copies_are_served_and_none_is_added() {
    let near = near();
    near.begin(1);
    offer(&near, "a", 1, 5);
    near.away();
    assert_eq!(read(&near, "a"), Some(1));
    assert_eq!(offer(&near, "b", 2, 5), Some(2));
    assert_eq!(read(&near, "b"), None);
    assert!(near.stat().stale);
    assert_eq!(near.stat().stale_hits, 1);
    near.begin(9);
    assert_eq!(read(&near, "a"), None);
    let near = Near::new(CopyOptions::default().max_stale(Duration::ZERO));
    near.begin(1);
    offer(&near, "a", 1, 5);
    near.since.store(1, Release);
    while uptime() == 1 {
        std::hint::spin_loop();
    }
    assert_eq!(read(&near, "a"), None);
}

#[test]
fn a_manager_whose_numbers_are_lower_is_believed_once_it_is_followed() {
    let near = near();
    near.begin(1000);
    near.changed("a", 2000);
    near.away();
    near.begin(10);
    assert_eq!(offer(&near, "a", 1, 11), Some(1));
    assert_eq!(read(&near, "a"), Some(1));
}

/// What may happen to one of a few keys.
#[derive(Clone, Debug)]
enum Step {
    /// The manager sets it; this process is told so many steps later.
    Set(u8, usize),
    /// The manager is asked; its answer comes so many steps later.
    Ask(u8, usize),
    Read(u8),
}

/// What the manager has sent.
enum Come {
    /// Of a version.
    Change(u64),
    /// A value, and as of when.
    Answer(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..3_u8;
    let step = prop_oneof![
        (key.clone(), 0..6_usize).prop_map(|(key, late)| Step::Set(key, late)),
        (key.clone(), 0..6_usize).prop_map(|(key, late)| Step::Ask(key, late)),
        key.prop_map(Step::Read),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Changes and answers come late, and in any order: what is read is never older than what was told or read before.
    #[test]
    fn what_is_read_never_goes_back(steps in steps()) {
        let near = near();
        near.begin(0);
        let mut now = 0;
        let mut values: HashMap<u8, u64> = HashMap::new();
        // A value is the version at which it was set.
        let mut told: HashMap<u8, u64> = HashMap::new();
        let mut coming: Vec<(usize, u8, Come)> = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Set(key, late) => {
                    now += 1;
                    values.insert(key, now);
                    coming.push((at + late, key, Come::Change(now)));
                }
                Step::Ask(key, late) => {
                    if let Some(value) = values.get(&key) {
                        coming.push((at + late, key, Come::Answer(*value, now)));
                    }
                }
                Step::Read(key) => {
                    if let Some(value) = read(&near, &key.to_string()) {
                        let known = told.get(&key).copied().unwrap_or(0);
                        prop_assert!(value >= known, "{value} after {known}");
                        told.insert(key, value);
                    }
                }
            }
            let due: Vec<_> = coming.extract_if(.., |come| come.0 <= at).collect();
            for (_, key, come) in due {
                let name = key.to_string();
                let known = told.entry(key).or_default();
                match come {
                    Come::Change(version) => {
                        near.changed(&name, version);
                        *known = (*known).max(version);
                    }
                    Come::Answer(value, as_of) => {
                        if let Some(value) = offer(&near, &name, value, as_of) {
                            prop_assert!(value >= *known, "{value} after {known}");
                            *known = value;
                        }
                    }
                }
            }
        }
    }
}
