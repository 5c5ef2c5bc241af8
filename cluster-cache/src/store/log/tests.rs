use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tempfile::TempDir;

type Model = BTreeMap<String, Vec<u8>>;

/// What a log says when it is read: the entries, and how often it began anew.
fn read(path: &Path) -> (Model, u32, Log) {
    let mut log = Log::open(path, false).unwrap();
    let (model, restarts) = (
        std::cell::RefCell::new(Model::new()),
        std::cell::Cell::new(0),
    );
    log.load(
        &mut |change| take(&mut model.borrow_mut(), &change),
        &mut || {
            model.borrow_mut().clear();
            restarts.set(restarts.get() + 1);
        },
    )
    .unwrap();
    (model.into_inner(), restarts.get(), log)
}

fn take(model: &mut Model, change: &Change<'_>) {
    match change {
        Change::Put { key, value, .. } => drop(model.insert((*key).to_owned(), value.to_vec())),
        Change::Remove { key, .. } => drop(model.remove(*key)),
        Change::Clear { .. } | Change::Destroy { .. } => model.clear(),
        Change::Space { .. } => {}
    }
}

fn put<'a>(key: &'a str, value: &'a [u8]) -> Change<'a> {
    Change::Put {
        space: "s",
        key,
        value,
        expires: Some(7),
        version: 3,
    }
}

fn remove(key: &str) -> Change<'_> {
    Change::Remove { space: "s", key }
}

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("cache.log");
    (home, path)
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<u8>),
    Remove(u8),
    Clear,
    Reopen,
    Renew,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read(steps in prop::collection::vec(prop_oneof![
        6 => (0u8..20, prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(k, v)| Step::Put(k, v)),
        2 => (0u8..20).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        2 => Just(Step::Reopen),
        2 => Just(Step::Renew),
    ], 0..60)) {
        let (_home, path) = home();
        let (_, _, mut log) = read(&path);
        let (mut model, mut renewing) = (Model::new(), false);
        for step in steps {
            let key = |k: u8| format!("{}/\u{0}{k}", "k".repeat(k.into()));
            match step {
                Step::Put(k, value) => {
                    let key = key(k);
                    let change = put(&key, &value);
                    log.write(&change).unwrap();
                    take(&mut model, &change);
                }
                Step::Remove(k) => {
                    let key = key(k);
                    log.write(&remove(&key)).unwrap();
                    model.remove(&key);
                }
                Step::Clear => {
                    log.write(&Change::Clear { space: "s" }).unwrap();
                    model.clear();
                }
                // Begun in one step and ended in a later one, with changes in between.
                Step::Renew if renewing => {
                    for (key, value) in &model {
                        log.renew(&put(key, value)).unwrap();
                    }
                    log.end_renewal().unwrap();
                    renewing = false;
                }
                Step::Renew => {
                    log.begin_renewal().unwrap();
                    renewing = true;
                }
                Step::Reopen => {
                    drop(log);
                    let (again, restarts, opened) = read(&path);
                    log = opened;
                    renewing = false;
                    prop_assert_eq!((&again, restarts), (&model, 0));
                }
            }
        }
        drop(log);
        let (again, restarts, _) = read(&path);
        prop_assert_eq!((again, restarts), (model, 0));
    }
}

fn three(path: &Path) -> Vec<u8> {
    let (_, _, mut log) = read(path);
    for key in ["a", "b", "c"] {
        log.write(&put(key, &[1; 40])).unwrap();
    }
    drop(log);
    std::fs::read(path).unwrap()
}

#[test]
fn a_record_that_is_cut_short_is_cut_off_and_the_others_stay() {
    let (_home, path) = home();
    let whole = three(&path);
    let record = (whole.len() - MAGIC.len()) / 3;
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let (model, restarts, mut log) = read(&path);
        assert_eq!(restarts, 0, "{length} bytes");
        assert_eq!(model.len(), length.saturating_sub(MAGIC.len()) / record);
        log.write(&put("z", b"later")).unwrap();
        drop(log);
        let (again, restarts, _) = read(&path);
        assert_eq!((again.len(), restarts), (model.len() + 1, 0));
    }
}

#[test]
fn a_damaged_file_is_set_aside_whole_and_the_log_begins_empty() {
    let (home, path) = home();
    let whole = three(&path);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x41;
        std::fs::write(&path, &damaged).unwrap();
        let (model, restarts, mut log) = read(&path);
        assert_eq!((model.len(), restarts), (0, 1), "byte {at}");
        log.write(&put("z", b"later")).unwrap();
        drop(log);
        assert_eq!(read(&path).0.len(), 1);
        let others = std::fs::read_dir(home.path()).unwrap().map(Result::unwrap);
        let aside: Vec<_> = others
            .filter(|file| file.file_name().to_string_lossy().contains("damaged"))
            .collect();
        assert_eq!(aside.len(), 1);
        assert_eq!(std::fs::read(aside[0].path()).unwrap(), damaged);
        std::fs::remove_file(aside[0].path()).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_names_it() {
    let (home, path) = home();
    let (_, _, _held) = read(&path);
    let busy = Log::open(&path, false).err().unwrap();
    assert!(
        matches!(&busy, StoreError::Busy { path: p } if *p == path),
        "{busy}"
    );
    for wrong in [home.path().to_owned(), home.path().join("none/cache.log")] {
        let error = Log::open(&wrong, false).err().unwrap();
        assert!(
            error.to_string().contains(wrong.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn it_is_due_once_most_of_it_is_no_longer_true() {
    let (_home, path) = home();
    let (_, _, mut log) = read(&path);
    let value = vec![7; 1 << 20];
    let live = value.len();
    let mut writes = 0;
    while !log.is_due(live) {
        log.write(&put("k", &value)).unwrap();
        writes += 1;
        assert!(writes < 100);
    }
    let before = std::fs::metadata(&path).unwrap().len();
    log.begin_renewal().unwrap();
    assert!(!log.is_due(live));
    log.renew(&put("k", &value)).unwrap();
    log.end_renewal().unwrap();
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after < before / 10, "{before} to {after}");
    log.write(&put("l", b"later")).unwrap();
    drop(log);
    assert_eq!(read(&path).0.len(), 2);
}
