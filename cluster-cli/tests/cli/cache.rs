//! The cache from the command line.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use cluster_cache::{CacheOptions, Caches};
use serde_json::json;
use tokio::task::LocalSet;

use crate::trial::Trial;
use crate::{Run, cluster};

/// What an application of the cluster would have put there.
#[allow(clippy::unwrap_used)]
fn fill(trial: &Trial) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let socket = trial.runtime_dir().join("cache.sock");
        let caches = Caches::connect(socket, Duration::from_secs(60));
        let fruits = caches.cache("fruits", CacheOptions::default()).unwrap();
        fruits.set("apple", &json!({ "cents": 30 })).await.unwrap();
        fruits.set("pear", &json!([1, null])).await.unwrap();
        let empty = caches.cache("empty", CacheOptions::default()).unwrap();
        empty.stat().await.unwrap();
    });
}

#[test]
fn the_cache_is_looked_into_and_changed() {
    let trial = Trial::with_cache();
    assert_eq!(trial.cli(&["cache", "ls"]).output(), "\n");
    let none = trial.cli(&["cache", "get", "fruits", "apple"]);
    assert_eq!(
        none.complaint(8),
        "the cache manager refused: there is no such namespace"
    );
    fill(&trial);
    assert_eq!(trial.cli(&["cache", "ls"]).output(), "empty\nfruits\n");
    let mut keys: Vec<_> = trial
        .cli(&["cache", "keys", "fruits"])
        .out
        .lines()
        .map(str::to_owned)
        .collect();
    keys.sort();
    assert_eq!(keys, ["apple", "pear"]);
    let get = |key: &str| trial.cli(&["cache", "get", "fruits", key]);
    assert_eq!(get("apple").output(), "{\"cents\":30}\n");
    assert_eq!(get("plum").complaint(8), "fruits has no \"plum\"");

    let set = |words: &[&str]| trial.cli(&[&["cache", "set", "fruits"], words].concat());
    assert_eq!(set(&["plum", "7", "--expire", "600000"]).output(), "set\n");
    assert_eq!(
        set(&["plum", "8", "--leave-if-not-null"]).output(),
        "left: there is a value\n"
    );
    assert_eq!(set(&["fig", "-1", "--persist"]).output(), "set\n");
    set(&["fig", "no json"]).complaint_of_usage();
    assert_eq!(
        trial.cli(&["cache", "del", "fruits", "plum"]).output(),
        "7\n"
    );

    let stat = trial.cli(&["--json", "cache", "stat"]);
    let stat: serde_json::Value = serde_json::from_str(stat.output()).unwrap();
    assert_eq!(
        (&stat["fruits"]["entries"], &stat["empty"]["entries"]),
        (&json!(3), &json!(0))
    );
    let table = trial.cli(&["cache", "stat", "fruits"]);
    assert!(table.output().contains("fruits") && !table.output().contains("empty"));
    assert_eq!(
        trial.cli(&["cache", "clear", "fruits"]).output(),
        "cleared fruits\n"
    );
    assert_eq!(trial.cli(&["cache", "keys", "fruits"]).output(), "\n");
}

#[test]
fn changes_are_shown_as_they_happen() {
    let trial = Trial::with_cache();
    fill(&trial);
    let mut watching = cluster()
        .arg("--runtime-dir")
        .arg(trial.runtime_dir())
        .args(["--json", "cache", "watch", "fruits", "apple"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It watches once the manager counts it.
    loop {
        let stat = trial.cli(&["--json", "cache", "stat", "fruits"]);
        let stat: serde_json::Value = serde_json::from_str(stat.output()).unwrap();
        if stat["fruits"]["watches"] == 1 {
            break;
        }
    }
    trial.cli(&["cache", "set", "fruits", "pear", "1"]).output();
    trial
        .cli(&["cache", "set", "fruits", "apple", "2"])
        .output();
    trial.cli(&["cache", "del", "fruits", "apple"]).output();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(
        next(),
        json!({ "change": "set", "key": "apple", "value": 2 })
    );
    assert_eq!(
        next(),
        json!({ "change": "deleted", "key": "apple", "value": null })
    );
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn a_cluster_without_a_cache_says_so() {
    let trial = Trial::start();
    let none = trial.cli(&["cache", "ls"]);
    assert_eq!(
        none.complaint(8),
        "this cluster has no cache (--cache.enable is false)"
    );
}

impl Run {
    fn complaint_of_usage(&self) {
        assert_eq!(self.code, Some(2), "{}{}", self.out, self.err);
    }
}
