//! A store in an SQLite database, which `sqlite3 FILE` shows as well.
//!
//! Version 1 of its schema, as `PRAGMA user_version` says:
//!
//! | column of `sessions` | what it is |
//! |---|---|
//! | `id` | where the entry stands in a listing |
//! | `key` | the key; of sessions of actix-web the SHA-256 of the session's id, in hexadecimal |
//! | `value` | JSON |
//! | `changed_ms` | when it was last set, in milliseconds since the Unix epoch |
//! | `expires_ms` | when it ends, likewise; NULL where it does not |
//!
//! The journal is a write-ahead log: a change that was answered survives a kill, and a loss of power too where the store syncs.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::backend::{BackendError, Operations, Record, RecordPage, SessionBackend};
use crate::protocol::When;

/// The version of the schema.
const VERSION: i64 = 1;
/// How long another process may have the database locked: the one that hands over, a backup, an operator.
const PATIENCE: Duration = Duration::from_secs(2);
/// Entries that are read for one page at most.
const PAGE: i64 = 1000;

const SCHEMA: &str = "
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL CHECK (json_valid(value)),
    changed_ms INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT;
CREATE INDEX sessions_by_end ON sessions (expires_ms) WHERE expires_ms IS NOT NULL;
PRAGMA user_version = 1;
";

pub(super) struct Sqlite {
    connection: Connection,
}

fn other(error: rusqlite::Error) -> BackendError {
    BackendError::other(error)
}

/// SQLite counts in `i64`: what lies beyond is never over.
fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let expires: Option<i64> = row.get("expires_ms")?;
    Ok(Record {
        value: row.get("value")?,
        expires_ms: expires.map(|ms| ms.try_into().unwrap_or(0)),
    })
}

impl Sqlite {
    /// Opens the database at a path, or makes it. Where it `sync`s, what was answered survives a loss of power.
    pub(super) fn open(path: &Path, sync: bool) -> Result<Self, BackendError> {
        make(path)?;
        // Its name is a path and nothing else; and one thread alone has it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(other)?;
        connection.busy_timeout(PATIENCE).map_err(other)?;
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        });
        mode.map_err(|e| foreign_or(path, e))?;
        let synchronous = if sync { "FULL" } else { "NORMAL" };
        connection
            .pragma_update(None, "synchronous", synchronous)
            .map_err(other)?;
        let mut store = Sqlite { connection };
        store.settle(path)?;
        Ok(store)
    }

    /// Makes the table where the database is new; refuses one of another kind.
    fn settle(&mut self, path: &Path) -> Result<(), BackendError> {
        // One of two processes that open it at once makes the table.
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let making = self
            .connection
            .transaction_with_behavior(immediate)
            .map_err(|e| foreign_or(path, e))?;
        let version: i64 = making
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(other)?;
        let tables: i64 = making
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(other)?;
        match (version, tables) {
            (0, 0) => making.execute_batch(SCHEMA).map_err(other)?,
            (VERSION, _) => {}
            (0, _) => {
                return Err(BackendError::Foreign {
                    path: path.to_owned(),
                    why: "it is a database of something else",
                });
            }
            (found, _) => {
                return Err(BackendError::Version {
                    path: path.to_owned(),
                    found,
                    known: VERSION,
                });
            }
        }
        making.commit().map_err(other)
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, BackendError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(other)?;
        statement.execute(params).map_err(other)
    }

    fn count(&self, sql: &str, params: impl rusqlite::Params) -> Result<i64, BackendError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(other)?;
        statement.query_row(params, |row| row.get(0)).map_err(other)
    }
}

/// A file that is no database at all is named as such.
fn foreign_or(path: &Path, error: rusqlite::Error) -> BackendError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => BackendError::Foreign {
            path: path.to_owned(),
            why: "it is no SQLite database",
        },
        _ => other(error),
    }
}

/// Makes the file where there is none: this user's alone, whatever the umask says, as sessions are nobody else's to read.
fn make(path: &Path) -> Result<(), BackendError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    options.append(true).create(true).mode(0o600);
    let made = options.open(path).map(drop);
    made.map_err(|source| BackendError::File {
        path: path.to_owned(),
        done: "opened",
        source,
    })
}

impl SessionBackend for Sqlite {
    fn operations(&self) -> Operations {
        Operations::ALL
    }

    fn get(&mut self, key: &str, now_ms: u64) -> Result<Option<Record>, BackendError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT value, expires_ms FROM sessions
                 WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?2)",
            )
            .map_err(other)?;
        let found = statement.query_row(params![key, signed(now_ms)], record);
        found.optional().map_err(other)
    }

    fn set(
        &mut self,
        key: &str,
        new: Record,
        when: When,
        now_ms: u64,
    ) -> Result<bool, BackendError> {
        let (now, expires) = (signed(now_ms), new.expires_ms.map(signed));
        let sql = match when {
            When::Always => {
                "INSERT INTO sessions (key, value, changed_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE
                 SET value = ?2, changed_ms = ?3, expires_ms = ?4"
            }
            When::Absent => {
                "INSERT INTO sessions (key, value, changed_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE
                 SET value = ?2, changed_ms = ?3, expires_ms = ?4
                 WHERE sessions.expires_ms <= ?3"
            }
            When::Present => {
                "UPDATE sessions SET value = ?2, changed_ms = ?3, expires_ms = ?4
                 WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?3)"
            }
        };
        Ok(self.execute(sql, params![key, new.value, now, expires])? > 0)
    }

    fn destroy(&mut self, key: &str, now_ms: u64) -> Result<bool, BackendError> {
        let sql = "DELETE FROM sessions
                   WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?2)";
        // One whose time is over the sweep removes.
        Ok(self.execute(sql, params![key, signed(now_ms)])? > 0)
    }

    fn touch(
        &mut self,
        key: &str,
        expires_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<bool, BackendError> {
        let sql = "UPDATE sessions SET expires_ms = ?2
                   WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?3)";
        let params = params![key, expires_ms.map(signed), signed(now_ms)];
        Ok(self.execute(sql, params)? > 0)
    }

    fn all(
        &mut self,
        from: u64,
        most_bytes: usize,
        now_ms: u64,
    ) -> Result<RecordPage, BackendError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT id, key, value, expires_ms FROM sessions
                 WHERE id >= ?1 AND (expires_ms IS NULL OR expires_ms > ?2) ORDER BY id LIMIT ?3",
            )
            .map_err(other)?;
        let rows = statement.query_map(params![signed(from), signed(now_ms), PAGE], |row| {
            Ok((row.get::<_, i64>("id")?, row.get("key")?, record(row)?))
        });
        let (mut page, mut bytes, mut last) = (RecordPage::default(), 0, None);
        for row in rows.map_err(other)? {
            let (id, key, record): (i64, String, Record) = row.map_err(other)?;
            bytes += key.len() + record.value.len();
            page.records.push((key, record));
            last = id.checked_add(1);
            if bytes >= most_bytes {
                break;
            }
        }
        // The page after the last one is empty, and says that it was the last.
        page.next = last.and_then(|id| id.try_into().ok());
        Ok(page)
    }

    fn clear(&mut self) -> Result<(), BackendError> {
        self.execute("DELETE FROM sessions", []).map(drop)
    }

    fn length(&mut self, now_ms: u64) -> Result<u64, BackendError> {
        let all = self.count("SELECT count(*) FROM sessions", [])?;
        let over = self.count(
            "SELECT count(*) FROM sessions WHERE expires_ms <= ?1",
            [signed(now_ms)],
        )?;
        Ok(u64::try_from(all - over).unwrap_or(0))
    }

    fn sweep(&mut self, most: usize, now_ms: u64) -> Result<usize, BackendError> {
        let sql = "DELETE FROM sessions WHERE id IN
                   (SELECT id FROM sessions WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2)";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.execute(sql, params![signed(now_ms), most])
    }

    fn begin(&mut self) -> Result<(), BackendError> {
        // Whoever else writes is waited for here, and not half-way.
        self.execute("BEGIN IMMEDIATE", []).map(drop)
    }

    fn commit(&mut self) -> Result<(), BackendError> {
        let committed = self.execute("COMMIT", []).map(drop);
        if committed.is_err() && !self.connection.is_autocommit() {
            self.execute("ROLLBACK", [])?;
        }
        committed
    }
}
