//! A store in the memory of one process that shares it with no other: the cache's table, without a manager.

use super::backend::{BackendError, Operations, Record, RecordPage, SessionBackend};
use crate::protocol::When;
use crate::table::{Entry, OVERHEAD, Put, Table};

pub(super) struct Memory {
    table: Table,
    max_bytes: Option<usize>,
    version: u64,
}

impl Memory {
    pub(super) fn new(max_bytes: Option<usize>) -> Self {
        Memory {
            table: Table::new(),
            max_bytes,
            version: 0,
        }
    }

    fn put(&mut self, key: &str, value: &str, expires: Option<u64>) {
        self.version += 1;
        let put = Put {
            value: value.as_bytes(),
            expires,
            persist: false,
            version: self.version,
        };
        self.table.put(key, &put);
    }
}

fn record(entry: &Entry) -> Record {
    Record {
        // It was a text when it was put.
        value: String::from_utf8_lossy(entry.value()).into_owned(),
        expires_ms: entry.expires(),
    }
}

impl SessionBackend for Memory {
    fn operations(&self) -> Operations {
        Operations::ALL
    }

    fn get(&mut self, key: &str, now_ms: u64) -> Result<Option<Record>, BackendError> {
        Ok(self.table.peek(key, now_ms).map(record))
    }

    fn set(
        &mut self,
        key: &str,
        new: Record,
        when: When,
        now_ms: u64,
    ) -> Result<bool, BackendError> {
        // Each time a little of what is over, so that nothing has to run in the background.
        self.sweep(4, now_ms)?;
        let there = self.table.peek(key, now_ms).is_some();
        if !when.allows(there) {
            return Ok(false);
        }
        let before = self.table.entry(key);
        let before = before.map_or(0, |entry| key.len() + entry.value().len() + OVERHEAD);
        let after = self.table.bytes() - before + key.len() + new.value.len() + OVERHEAD;
        if let Some(most) = self.max_bytes
            && after > most
        {
            return Err(BackendError::Full {
                allowed: most as u64,
            });
        }
        self.put(key, &new.value, new.expires_ms);
        Ok(true)
    }

    fn destroy(&mut self, key: &str, now_ms: u64) -> Result<bool, BackendError> {
        let gone = self.table.remove(key);
        Ok(gone.is_some_and(|entry| !entry.is_over(now_ms)))
    }

    fn touch(
        &mut self,
        key: &str,
        expires_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<bool, BackendError> {
        let Some(found) = self.table.peek(key, now_ms).map(record) else {
            return Ok(false);
        };
        self.put(key, &found.value, expires_ms);
        Ok(true)
    }

    fn all(
        &mut self,
        from: u64,
        most_bytes: usize,
        now_ms: u64,
    ) -> Result<RecordPage, BackendError> {
        let (entries, next) = self.table.page(from, most_bytes, now_ms);
        let records = entries
            .into_iter()
            .map(|entry| (entry.key().to_owned(), record(entry)));
        Ok(RecordPage {
            records: records.collect(),
            next,
        })
    }

    fn clear(&mut self) -> Result<(), BackendError> {
        self.table.clear();
        Ok(())
    }

    fn length(&mut self, now_ms: u64) -> Result<u64, BackendError> {
        while self.table.next_over(now_ms).is_some() {}
        Ok(self.table.len() as u64)
    }

    fn sweep(&mut self, most: usize, now_ms: u64) -> Result<usize, BackendError> {
        let over = (0..most).map_while(|_| self.table.next_over(now_ms));
        Ok(over.count())
    }
}
