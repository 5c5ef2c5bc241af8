//! Owners that are killed when they have done something and before they say so: it is asked of the next one, and done again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cluster_cache::{
    BackendError, Caches, Operation, Operations, Record, SessionBackend, SessionStore, Sessions,
    When, enable,
};
use rustix::process::{Signal, getpid, kill_process};

use crate::{SOON, sharing};

const HOME: &str = "SESSIONS_HOME";
/// What an owner says when it serves, or waits for its turn.
const STARTED: &str = "the owner has started";

/// A store in one file, whose process is killed as soon as something is done, where somebody has said so.
struct Brittle(PathBuf);

impl Brittle {
    fn read(&self) -> BTreeMap<String, String> {
        let text = fs::read(self.0.join("store.json"));
        text.map_or_else(
            |_| BTreeMap::new(),
            |text| serde_json::from_slice(&text).unwrap(),
        )
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        let mut all = self.read();
        let changed = change(&mut all);
        fs::write(self.0.join("store.json"), serde_json::to_vec(&all).unwrap()).unwrap();
        changed
    }
}

impl SessionBackend for Brittle {
    fn operations(&self) -> Operations {
        Operations::ALL.without(Operation::All)
    }

    fn get(&mut self, key: &str, _: u64) -> Result<Option<Record>, BackendError> {
        let value = self.read().remove(key);
        Ok(value.map(|value| Record {
            value,
            expires_ms: None,
        }))
    }

    fn set(&mut self, key: &str, new: Record, when: When, _: u64) -> Result<bool, BackendError> {
        Ok(self.change(|all| {
            let taken = when.allows(all.contains_key(key));
            if taken {
                all.insert(key.to_owned(), new.value);
            }
            taken
        }))
    }

    fn destroy(&mut self, key: &str, _: u64) -> Result<bool, BackendError> {
        Ok(self.change(|all| all.remove(key).is_some()))
    }

    fn touch(&mut self, key: &str, _: Option<u64>, _: u64) -> Result<bool, BackendError> {
        Ok(self.read().contains_key(key))
    }

    fn clear(&mut self) -> Result<(), BackendError> {
        self.change(BTreeMap::clear);
        Ok(())
    }

    fn length(&mut self, _: u64) -> Result<u64, BackendError> {
        Ok(self.read().len() as u64)
    }

    fn commit(&mut self) -> Result<(), BackendError> {
        if fs::remove_file(self.0.join("kill")).is_ok() {
            kill_process(getpid(), Signal::KILL).unwrap();
            std::thread::park();
        }
        Ok(())
    }
}

/// Not a test of its own, but what the other starts.
#[test]
fn an_owner() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    actix_rt::System::new().block_on(async {
        let at = home.clone();
        let store = SessionStore::custom(move || Ok(Brittle(at.clone())));
        let _caches = enable(sharing(&home, store)).unwrap();
        println!("\n{STARTED}");
        std::future::pending::<()>().await;
    });
}

struct Owner(Child);

impl Owner {
    fn start(home: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "again::an_owner", "--nocapture"])
            .env(HOME, home)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == STARTED));
        Owner(child)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The owner that serves, and the one that follows it.
struct Owners {
    home: PathBuf,
    serves: Owner,
    next: Owner,
}

impl Owners {
    /// The owner is killed when it has done the next change, which the next one does again.
    async fn twice<T>(&mut self, change: impl Future<Output = T>) -> T {
        fs::write(self.home.join("kill"), "").unwrap();
        let changed = change.await;
        assert!(!self.home.join("kill").exists());
        let served = std::mem::replace(&mut self.next, Owner::start(&self.home));
        let mut killed = std::mem::replace(&mut self.serves, served);
        let status = killed.0.wait().unwrap();
        assert!(!status.success() && status.code().is_none(), "{status}");
        changed
    }
}

/// As the documentation of [`Sessions`] says of each operation.
#[actix_rt::test]
async fn what_is_done_twice_leaves_behind_what_it_leaves_done_once() {
    let home = tempfile::tempdir().unwrap();
    let mut owners = Owners {
        home: home.path().to_owned(),
        serves: Owner::start(home.path()),
        next: Owner::start(home.path()),
    };
    let caches = Caches::connect(home.path().join("cache/cache.sock"), SOON);
    let sessions: Sessions = caches.sessions("web");
    let found = async |key: &str| sessions.get::<u8>(key).await.unwrap();

    owners.twice(sessions.set("a", &1, None)).await.unwrap();
    assert_eq!(found("a").await, Some(1));
    // It finds the value that it has set itself.
    assert!(!owners.twice(sessions.create("b", &2, None)).await.unwrap());
    assert_eq!(found("b").await, Some(2));
    assert!(owners.twice(sessions.replace("a", &3, None)).await.unwrap());
    assert_eq!(found("a").await, Some(3));
    assert!(!owners.twice(sessions.replace("c", &3, None)).await.unwrap());
    assert_eq!(found("c").await, None);
    assert!(owners.twice(sessions.touch("a", None)).await.unwrap());
    assert!(!owners.twice(sessions.touch("c", None)).await.unwrap());
    // There is none any more, as it has removed it itself.
    assert!(!owners.twice(sessions.destroy("b")).await.unwrap());
    assert_eq!(found("b").await, None);
    owners.twice(sessions.clear()).await.unwrap();
    assert_eq!(sessions.length().await.unwrap(), 0);
}
