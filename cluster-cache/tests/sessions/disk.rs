//! What stores leave on disk: readable, versioned, private, and swept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cluster_cache::{SessionError, SessionStore};
use serde_json::{Value, json};

use crate::{SOON, millis, on_disk};

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

fn refused(store: SessionStore) -> String {
    let error = store.open("web").unwrap_err();
    assert!(matches!(error, SessionError::Open { .. }), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    source.to_string()
}

#[actix_rt::test]
async fn what_was_kept_is_there_again() {
    let home = tempfile::tempdir().unwrap();
    for (kind, store) in on_disk(home.path()) {
        let sessions = store.clone().open("web").unwrap();
        sessions.set("stays", &json!({"n": 1}), None).await.unwrap();
        sessions.set("ends", &2, Some(millis(30))).await.unwrap();
        drop(sessions);
        tokio::time::sleep(millis(50)).await; // wait: the time of an entry passes with nobody there
        let sessions = store.open("web").unwrap();
        let value: Option<Value> = sessions.get("stays").await.unwrap();
        assert_eq!(value, Some(json!({"n": 1})), "{kind}");
        assert_eq!(sessions.get::<u8>("ends").await.unwrap(), None, "{kind}");
    }
}

#[actix_rt::test]
async fn what_is_over_is_removed_in_the_background() {
    let home = tempfile::tempdir().unwrap();
    for (kind, store) in on_disk(home.path()) {
        let sessions = store.open("web").unwrap();
        // More than one pass.
        for n in 0..1200 {
            sessions
                .set(&format!("{n}"), &n, Some(millis(1)))
                .await
                .unwrap();
        }
        sessions.set("stays", &1, None).await.unwrap();
        let begun = Instant::now();
        let left = || match kind {
            "files" => {
                let all = files(&home.path().join("files"));
                all.iter()
                    .filter(|path| path.extension().is_some_and(|e| e == "json"))
                    .count()
            }
            _ => count_rows(&home.path().join("sessions.db")),
        };
        while left() > 1 {
            assert!(begun.elapsed() < SOON, "{kind}: {} are left", left());
            tokio::time::sleep(millis(50)).await; // wait: between two looks
        }
        assert_eq!(sessions.get::<u8>("stays").await.unwrap(), Some(1));
    }
}

#[cfg(feature = "sqlite")]
fn count_rows(path: &Path) -> usize {
    let connection = rusqlite::Connection::open(path).unwrap();
    let count = connection.query_row("SELECT count(*) FROM sessions", [], |row| {
        row.get::<_, i64>(0)
    });
    usize::try_from(count.unwrap()).unwrap()
}

#[cfg(not(feature = "sqlite"))]
fn count_rows(_: &Path) -> usize {
    0
}

#[actix_rt::test]
async fn files_are_json_under_names_that_give_no_key_away() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("files");
    let sessions = SessionStore::files(&directory).open("web").unwrap();
    let value = json!({"user": "ada", "n": [1, 2]});
    sessions
        .set("the key", &value, Some(millis(600_000)))
        .await
        .unwrap();
    let all = files(&directory);
    let path = all.iter().find(|path| path.extension().is_some()).unwrap();
    // printf %s 'the key' | sha256sum
    let name = "3a0aac44832e55528a834fec737786c999e7b8dea8bd601bb59f195237d58b2e";
    assert_eq!(path.file_stem().unwrap(), name);
    let kept: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (&kept["version"], &kept["key"]),
        (&json!(1), &json!("the key"))
    );
    assert_eq!(kept["value"], value);
    let left = kept["expires_ms"].as_u64().unwrap() - kept["changed_ms"].as_u64().unwrap();
    assert_eq!(left, 600_000);
    assert!(!path.to_str().unwrap().contains("key"));
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // A person may change it.
    let text = fs::read_to_string(path).unwrap().replace("ada", "bob");
    fs::write(path, text).unwrap();
    let changed: Option<Value> = sessions.get("the key").await.unwrap();
    assert_eq!(changed.unwrap()["user"], "bob");
    // What is damaged counts as none, and is set aside.
    for damage in [&b"{\"version\":1"[..], b"", b"\xff\xfe", b"[1]"] {
        fs::write(path, damage).unwrap();
        assert_eq!(sessions.get::<Value>("the key").await.unwrap(), None);
        assert!(path.with_extension("damaged").exists() && !path.exists());
        sessions.set("the key", &1, None).await.unwrap();
        assert_eq!(sessions.get::<u8>("the key").await.unwrap(), Some(1));
    }
    // That of a newer build is left alone.
    fs::write(
        path,
        r#"{"version":2,"key":"the key","changed_ms":1,"expires_ms":null,"value":1}"#,
    )
    .unwrap();
    let error = sessions.get::<u8>("the key").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has version 2 (this build knows: 1)"),
        "{error}"
    );
    assert!(path.exists());
}

#[test]
fn directories_of_something_else_are_refused() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("letter.txt"), "dear").unwrap();
    let said = refused(SessionStore::files(home.path()));
    assert!(
        said.contains("it is not empty, and has no file `version`"),
        "{said}"
    );
    fs::write(home.path().join("version"), "2\n").unwrap();
    let said = refused(SessionStore::files(home.path()));
    assert!(
        said.contains("has version 2 (this build knows: 1)"),
        "{said}"
    );
    fs::write(home.path().join("version"), "what\n").unwrap();
    let said = refused(SessionStore::files(home.path()));
    assert!(said.contains("holds no number"), "{said}");
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use rusqlite::Connection;

    #[actix_rt::test]
    async fn the_database_is_as_documented() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("sessions.db");
        let sessions = SessionStore::sqlite(&path).open("web").unwrap();
        let value = json!({"user": "ada"});
        sessions
            .set("k", &value, Some(millis(600_000)))
            .await
            .unwrap();
        // Beside the store, as an operator would.
        let other = Connection::open(&path).unwrap();
        let version = other.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        assert_eq!(version.unwrap(), 1);
        let mode = other.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        assert_eq!(mode.unwrap(), "wal");
        let row = other.query_row(
            "SELECT key, json_extract(value, '$.user'), expires_ms - changed_ms FROM sessions",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        );
        let row: (String, String, i64) = row.unwrap();
        assert_eq!(row, ("k".to_owned(), "ada".to_owned(), 600_000));
        other
            .execute("UPDATE sessions SET value = '{\"user\":\"bob\"}'", [])
            .unwrap();
        let changed: Option<Value> = sessions.get("k").await.unwrap();
        assert_eq!(changed.unwrap()["user"], "bob");
        assert!(
            other
                .execute("UPDATE sessions SET value = '{'", [])
                .is_err()
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn databases_of_something_else_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("other.db");
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch("CREATE TABLE letters (text TEXT)")
            .unwrap();
        let said = refused(SessionStore::sqlite(&path));
        assert!(
            said.contains("it is a database of something else"),
            "{said}"
        );
        other.execute_batch("PRAGMA user_version = 9").unwrap();
        let said = refused(SessionStore::sqlite(&path));
        assert!(
            said.contains("has version 9 (this build knows: 1)"),
            "{said}"
        );
        let path = home.path().join("no.db");
        fs::write(
            &path,
            "this is no database at all, and longer than the head of one would be: it goes on"
                .repeat(3),
        )
        .unwrap();
        let said = refused(SessionStore::sqlite(&path));
        assert!(said.contains("it is no SQLite database"), "{said}");
    }
}
