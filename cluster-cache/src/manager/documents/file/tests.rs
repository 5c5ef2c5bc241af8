use serde_json::json;

use super::*;
use crate::document::path;

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn keeper(root: Value, sequence: u64) -> Keeper {
    let mut keeper = Keeper {
        tree: Tree::of(root),
        ledger: Ledger::default(),
    };
    keeper.begin(1);
    keeper.ledger.version.sequence = sequence;
    let at = path::Path::read("a[0]").unwrap();
    keeper.ledger.deadlines.renew(&at, Some(5));
    keeper.ledger.origins.note(7, 8, 9);
    keeper
}

#[test]
fn what_is_written_is_read_and_people_can_read_it() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("documents");
    let (mut file, empty) = DocumentFile::open(&directory, "flags").unwrap();
    assert_eq!(empty, Keeper::default());
    let written = keeper(json!({"b": [1, 0.1], "a": ["x"]}), 3);
    file.write(&written).unwrap();
    let text = fs::read_to_string(directory.join("flags.json")).unwrap();
    let lines = "{\n  \"a\": [\n    \"x\"\n  ],\n  \"b\": [\n    1,\n    0.1\n  ]\n}\n";
    assert_eq!(text, lines);
    drop(file);
    assert_eq!(names(&directory), [".flags.json.state", "flags.json"]);
    let (mut file, read) = DocumentFile::open(&directory, "flags").unwrap();
    assert_eq!(read, written);
    file.remove().unwrap();
    // Nothing comes back of what is removed.
    file.write(&keeper(json!(1), 9)).unwrap();
    drop(file);
    assert!(names(&directory).is_empty());
}

#[test]
fn a_crash_leaves_a_state_that_fits() {
    let home = tempfile::tempdir().unwrap();
    let (old, new) = (keeper(json!({"a": [1]}), 3), keeper(json!({"a": [2]}), 4));
    let open = || DocumentFile::open(home.path(), "d").unwrap();
    open().0.write(&old).unwrap();
    let (path, state) = (
        home.path().join("d.json"),
        home.path().join(".d.json.state"),
    );
    let before = (fs::read(&path).unwrap(), fs::read(&state).unwrap());
    open().0.write(&new).unwrap();
    let after = (fs::read(&path).unwrap(), fs::read(&state).unwrap());
    let next_state = home.path().join(".d.json.state.new");
    // Before the file is replaced, and after it.
    fs::write(&state, &before.1).unwrap();
    fs::write(&next_state, &after.1).unwrap();
    fs::write(&path, &before.0).unwrap();
    assert_eq!(open().1, old);
    fs::write(&path, &after.0).unwrap();
    assert_eq!(open().1, new);
}

#[test]
fn an_edited_file_is_taken_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let open = || DocumentFile::open(home.path(), "d").unwrap();
    open().0.write(&keeper(json!({"a": [1]}), 3)).unwrap();
    fs::write(home.path().join("d.json"), "{\"a\": [2]}").unwrap();
    let read = open().1;
    assert_eq!(
        (read.root(), &read.ledger),
        (&json!({"a": [2]}), &Ledger::default())
    );
}

#[test]
fn a_damaged_file_is_set_aside() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("d.json");
    let deep = "[".repeat(102) + &"]".repeat(102);
    let large = serde_json::to_string(&"x".repeat(MOST_DOCUMENT_BYTES)).unwrap();
    for damaged in ["{\"a\":", "", "{} {}", &deep, &large] {
        fs::write(&path, damaged).unwrap();
        let (_file, read) = DocumentFile::open(home.path(), "d").unwrap();
        assert_eq!(read, Keeper::default());
        assert!(!path.exists());
    }
    let aside = names(home.path());
    let aside = aside
        .iter()
        .filter(|name| name.starts_with("d.json.damaged-"));
    assert_eq!(aside.count(), 5);
}

#[test]
fn one_manager_holds_a_file() {
    let home = tempfile::tempdir().unwrap();
    let (held, _) = DocumentFile::open(home.path(), "d").unwrap();
    let busy = DocumentFile::open(home.path(), "d").unwrap_err();
    assert!(matches!(busy, StoreError::Busy { .. }), "{busy}");
    let waiting = {
        let home = home.path().to_owned();
        thread::spawn(move || DocumentFile::open(&home, "d").map(drop))
    };
    drop(held);
    waiting.join().unwrap().unwrap();
}
