//! Users who stay logged in: through every worker, and whatever becomes of those that have answered them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_web::cookie::{Cookie, CookieJar};
use cluster_core::Operation;
use serde_json::Value;

use crate::support::{Address, Answer, Cluster, Connection, Kill, Setup, within};
use crate::upgrade::{deploy, upgrade, variant};

const LONG: Duration = Duration::from_secs(60);
/// How many requests may pass before each worker has answered one.
const TRIES: usize = 2000;

/// A browser: it keeps the cookies that it is given, and sends them along.
struct Browser {
    app: Address,
    jar: CookieJar,
}

impl Browser {
    fn of(cluster: &Cluster) -> Self {
        Browser {
            app: cluster.app(),
            jar: CookieJar::new(),
        }
    }

    /// Asks on a connection of its own; one that its worker took along when it died is asked again, as browsers do.
    #[track_caller]
    fn ask(&mut self, method: &str, path: &str) -> Answer {
        let cookies: Vec<_> = self.jar.iter().map(|c| c.stripped().to_string()).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("connection", "close")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let answer = within(LONG, "an answer", || {
            let mut connection = Connection::open(&self.app).ok()?;
            connection.send(method, path, &headers).ok()
        });
        if let Some(set) = answer.header("set-cookie") {
            let cookie = Cookie::parse(set.to_owned()).unwrap();
            let gone = cookie.max_age().is_some_and(|age| age.is_zero());
            match gone || cookie.value().is_empty() {
                true => self.jar.force_remove(&cookie),
                false => self.jar.add(cookie),
            }
        }
        answer
    }

    #[track_caller]
    fn login(&mut self, user: &str) {
        let answer = self.ask("POST", &format!("/login?user={user}"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    #[track_caller]
    fn me(&mut self) -> Value {
        let answer = self.ask("GET", "/me");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Is answered by each of these workers, as this user; each visit counts.
    #[track_caller]
    fn is_known_to(&mut self, user: &str, workers: &[u32]) {
        let mut missing: BTreeSet<_> = workers.iter().copied().collect();
        let mut visits = self.me()["visits"].as_u64().unwrap();
        for _ in 0..TRIES {
            if missing.is_empty() {
                return;
            }
            let me = self.me();
            assert_eq!(me["user"], user);
            visits += 1;
            assert_eq!(
                me["visits"], visits,
                "each worker finds what the last one has left"
            );
            missing.remove(&u32::try_from(me["pid"].as_u64().unwrap()).unwrap());
        }
        panic!("{missing:?} have answered none of {TRIES} requests");
    }

    /// Is let in by none of these workers.
    #[track_caller]
    fn is_unknown_to(&mut self, workers: &[u32]) {
        let mut missing: BTreeSet<_> = workers.iter().copied().collect();
        for _ in 0..TRIES {
            if missing.is_empty() {
                return;
            }
            assert_eq!(self.ask("GET", "/me").status, 401);
            missing.remove(&self.ask("GET", "/pid").pid());
        }
        panic!("{missing:?} have answered none of {TRIES} requests");
    }
}

fn pids(cluster: &Cluster) -> Vec<u32> {
    let pids: Vec<_> = cluster.serving().iter().map(|worker| worker.pid).collect();
    assert_eq!(pids.len(), 3);
    pids
}

fn manager(cluster: &Cluster) -> Option<u32> {
    let pid = cluster.status()["cache_manager"]["pid"].as_u64()?;
    u32::try_from(pid).ok()
}

fn start(store: &str) -> Cluster {
    let setup = Setup::sessions()
        .copied()
        .flag("--workers", 3)
        .flag("--store", store);
    // Where all are killed at once, nobody is left who knows that the directory was made by them.
    let made = fs::DirBuilder::new()
        .mode(0o700)
        .create(setup.runtime_dir());
    made.unwrap();
    setup.start()
}

/// Rolls the workers, moves everything to another build, and kills each process but the cache manager.
fn torment(cluster: &mut Cluster, ada: &mut Browser, bob: &mut Browser) {
    let first = pids(cluster);
    ada.is_known_to("ada", &first);
    cluster.operate(Operation::Restart { wait: true }).unwrap();
    let second = pids(cluster);
    assert!(second.iter().all(|pid| !first.contains(pid)));
    ada.is_known_to("ada", &second);
    bob.is_known_to("bob", &second);

    let program = cluster.path("program");
    deploy(cluster, &variant(&program, 7));
    assert_eq!(upgrade(cluster)["upgrade"]["step"], "done");
    cluster.until(LONG, "three workers", |status| status["serving"] == 3);
    let third = pids(cluster);
    assert!(third.iter().all(|pid| !second.contains(pid)));
    ada.is_known_to("ada", &third);
    bob.is_known_to("bob", &third);

    for worker in third {
        Kill::of(worker);
        assert_eq!(ada.me()["user"], "ada");
        cluster.until(LONG, "another worker", |status| {
            let workers = status["workers"].as_array().unwrap();
            status["serving"] == 3 && workers.iter().all(|w| w["pid"] != worker)
        });
    }
    Kill::of(cluster.master());
    assert_eq!(ada.me()["user"], "ada", "without a master");
    cluster.start_master_again();
    cluster.line("whoever was left behind is adopted");
    cluster.wait_until_ready();
    let fourth = pids(cluster);
    ada.is_known_to("ada", &fourth);
    bob.is_known_to("bob", &fourth);
}

fn kill_the_manager(cluster: &Cluster) {
    let before = manager(cluster).unwrap();
    Kill::of(before);
    within(LONG, "another cache manager", || {
        manager(cluster).filter(|now| *now != before)
    });
}

fn stays_logged_in(store: &str) -> Cluster {
    let mut cluster = start(store);
    let (mut ada, mut bob) = (Browser::of(&cluster), Browser::of(&cluster));
    assert_eq!(ada.ask("GET", "/me").status, 401);
    ada.login("ada");
    bob.login("bob");
    torment(&mut cluster, &mut ada, &mut bob);
    for _ in 0..2 {
        kill_the_manager(&cluster);
        ada.is_known_to("ada", &pids(&cluster));
    }
    // All at once, and from nothing.
    let everybody = cluster.processes();
    for pid in everybody {
        Kill::of(pid);
    }
    cluster.start_master_again();
    cluster.wait_until_ready();
    (ada.app, bob.app) = (cluster.app(), cluster.app());
    let workers = pids(&cluster);
    ada.is_known_to("ada", &workers);
    // Out means out, in every worker, also with the cookie that was good before.
    let before = ada.jar.clone();
    assert_eq!(ada.ask("POST", "/logout").status, 200);
    ada.is_unknown_to(&workers);
    ada.jar = before;
    ada.is_unknown_to(&workers);
    bob.is_known_to("bob", &workers);
    cluster
}

#[test]
fn embedded_sessions_outlive_every_process() {
    stays_logged_in("embedded").stop();
}

#[test]
fn sessions_in_sqlite_outlive_every_process_and_an_operator_can_read_them() {
    let cluster = stays_logged_in("sqlite");
    let database = cluster.path("sessions-data/sessions.db");
    let query = "SELECT key, json_extract(value, '$.user') FROM sessions";
    let shown = Command::new("sqlite3").arg(&database).arg(query).output();
    // Where there is the tool.
    if let Ok(shown) = shown {
        let shown = String::from_utf8(shown.stdout).unwrap();
        let (key, user) = shown.trim().split_once('|').unwrap();
        assert_eq!((key.len(), user), (64, "\"bob\""));
    }
    cluster.stop();
}

#[test]
fn sessions_in_files_outlive_every_process_and_are_json() {
    let cluster = stays_logged_in("file");
    let files = json_files(&cluster.path("sessions-data/sessions"));
    assert_eq!(files.len(), 1, "{files:?}");
    let bob: Value = serde_json::from_str(&files[0]).unwrap();
    assert_eq!(bob["version"], 1);
    assert_eq!(bob["value"]["user"], "\"bob\"");
    cluster.stop();
}

fn json_files(directory: &Path) -> Vec<String> {
    let shards = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = shards.filter(|path| path.is_dir()).flat_map(|shard| {
        fs::read_dir(shard)
            .unwrap()
            .map(|entry| entry.unwrap().path())
    });
    let json = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
    json.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn sessions_in_memory_outlive_all_but_a_crash_of_their_owner() {
    let mut cluster = start("memory");
    let (mut ada, mut bob) = (Browser::of(&cluster), Browser::of(&cluster));
    ada.login("ada");
    bob.login("bob");
    torment(&mut cluster, &mut ada, &mut bob);
    kill_the_manager(&cluster);
    // A page that asks to log in, and no error.
    assert_eq!(ada.ask("GET", "/me").status, 401);
    ada.login("ada");
    ada.is_known_to("ada", &pids(&cluster));
    cluster.stop();
}

#[test]
fn stores_are_there_where_the_cache_is_not() {
    for mode in ["standalone", "master"] {
        let cluster = Setup::sessions()
            .flag("--workers", 3)
            .flag("--store", "sqlite")
            .flag("--cache.mode", mode)
            .switch("--cache.enable=false")
            .start();
        let mut ada = Browser::of(&cluster);
        ada.login("ada");
        ada.is_known_to("ada", &pids(&cluster));
        cluster.stop();
    }
}

#[test]
fn forged_and_foreign_cookies_let_nobody_in_and_harm_nobody() {
    let cluster = start("sqlite");
    let (mut ada, mut eve) = (Browser::of(&cluster), Browser::of(&cluster));
    ada.login("ada");
    let good = ada.jar.get("id").unwrap().value().to_owned();
    let mut other_end = good.clone();
    other_end.replace_range(good.len() - 4.., "aaaa");
    let mut other_sign = good.clone();
    other_sign.replace_range(..1, if good.starts_with('A') { "B" } else { "A" });
    let forged = [
        String::new(),
        "x".to_owned(),
        "x".repeat(4000),
        other_end,
        other_sign,
    ];
    for value in forged {
        eve.jar = CookieJar::new();
        eve.jar.add(Cookie::new("id", value));
        assert_eq!(eve.ask("GET", "/me").status, 401);
    }
    // Signed with the secret of somebody else's cluster.
    let secret = "x".repeat(64);
    let elsewhere = Setup::sessions().flag("--secret", secret).start();
    let mut mallory = Browser::of(&elsewhere);
    mallory.login("ada");
    mallory.app = cluster.app();
    assert_eq!(mallory.ask("GET", "/me").status, 401);
    ada.is_known_to("ada", &pids(&cluster));
    elsewhere.stop();
    let status = cluster.ask("/status/sessions").body;
    assert!(status.contains(r#""kind":"sqlite""#), "{status}");
    // Nobody's id is in the log, nor in what is kept.
    let id = good.split('=').next_back().unwrap_or_default();
    let id = &id[id.len().saturating_sub(40)..];
    assert!(id.len() == 40 && !cluster.log.text().contains(id));
    let kept = fs::read(cluster.path("sessions-data/sessions.db")).unwrap();
    let finds = |bytes: &[u8]| {
        bytes
            .windows(id.len())
            .any(|window| window == id.as_bytes())
    };
    assert!(!finds(&kept));
    let log = cluster.path("sessions-data/sessions.db-wal");
    assert!(!finds(&fs::read(log).unwrap_or_default()));
    cluster.stop();
}

/// A user who visits without a pause until told to stop; says how often.
fn visitor(mut user: Browser, over: Arc<AtomicBool>) -> JoinHandle<u64> {
    thread::spawn(move || {
        let mut visits = user.me()["visits"].as_u64().unwrap();
        while !over.load(Ordering::Relaxed) {
            let me = user.me();
            visits += 1;
            assert_eq!(
                me["visits"], visits,
                "no visit is lost, and none counts twice"
            );
        }
        visits
    })
}

#[test]
fn users_who_visit_all_the_while_lose_no_visit() {
    for store in ["memory", "embedded", "sqlite", "file"] {
        let cluster = start(store);
        let over = Arc::new(AtomicBool::new(false));
        let users = (0..3).map(|n| {
            let mut user = Browser::of(&cluster);
            user.login(&format!("user-{n}"));
            visitor(user, Arc::clone(&over))
        });
        let users: Vec<_> = users.collect();
        cluster.operate(Operation::Restart { wait: true }).unwrap();
        let program = cluster.path("program");
        deploy(&cluster, &variant(&program, 9));
        assert_eq!(upgrade(&cluster)["upgrade"]["step"], "done");
        if store != "memory" {
            // What was asked of the owner that died is asked of the next one.
            kill_the_manager(&cluster);
        }
        over.store(true, Ordering::Relaxed);
        for user in users {
            assert!(user.join().unwrap() > 20, "{store}");
        }
        cluster.stop();
    }
}
