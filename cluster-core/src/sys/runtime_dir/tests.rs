use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tempfile::TempDir;

use super::*;
use crate::sys::process::user_id;
use crate::sys::rerun;
use crate::sys::socket::{PATH_LIMIT, bind_unix};

const NOBODY: u32 = 65534;

/// A machine's directories in small, which everybody may pass through.
struct Machine {
    root: TempDir,
    around: Surroundings,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = |name: &str, mode: u32| {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            set_mode(&path, mode);
            path
        };
        set_mode(root.path(), 0o755);
        let around = Surroundings {
            xdg: Some(directory("x", 0o700)),
            run: directory("r", 0o755),
            tmp: directory("t", 0o1777),
            user: user_id(),
        };
        Self { root, around }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn open(&self) -> Result<RuntimeDir, RuntimeDirError> {
        RuntimeDir::open_among(None, "shop", &self.around)
    }

    fn open_at(&self, name: &str) -> Result<RuntimeDir, RuntimeDirError> {
        RuntimeDir::open_among(Some(&self.path(name)), "shop", &self.around)
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

#[test]
fn the_first_place_that_can_be_had_is_taken() {
    let mut machine = Machine::new();
    assert_eq!(
        machine.open().unwrap().path(),
        machine.path("x/cluster/shop")
    );
    for directory in ["x/cluster", "x/cluster/shop"] {
        assert_eq!(mode(&machine.path(directory)), 0o700);
    }
    machine.around.xdg = Some(machine.path("gone"));
    assert_eq!(
        machine.open().unwrap().path(),
        machine.path("r/cluster/shop")
    );
    machine.around.xdg = None;
    machine.around.run = machine.path("gone");
    let tmp = machine.path(&format!("t/cluster-{}/shop", user_id()));
    assert_eq!(machine.open().unwrap().path(), tmp);
    assert_eq!(
        machine.open_at("here").unwrap().path(),
        machine.path("here")
    );
    assert_eq!(
        machine.open_at("new/here").unwrap().path(),
        machine.path("new/here")
    );
}

#[test]
fn a_user_without_rights_falls_back_to_tmp() {
    let mut machine = Machine::new();
    if user_id() != 0 {
        // Nothing here belongs to somebody else then.
        machine.around.xdg = None;
        set_mode(&machine.around.run, 0o555);
    } else {
        machine.around.user = NOBODY;
    }
    let path = rerun::as_nobody(|| machine.open().unwrap().path().to_path_buf());
    assert_eq!(
        path,
        machine.path(&format!("t/cluster-{}/shop", machine.around.user))
    );
    assert_eq!(path.metadata().unwrap().uid(), machine.around.user);
}

#[test]
fn links_and_files_are_refused() {
    let machine = Machine::new();
    fs::create_dir(machine.path("real")).unwrap();
    symlink(machine.path("real"), machine.path("link")).unwrap();
    fs::write(machine.path("file"), "").unwrap();
    for (path, culprit) in [("link", "link"), ("link/inside", "link")] {
        let error = machine.open_at(path).unwrap_err();
        assert!(
            matches!(&error, RuntimeDirError::Symlink { path } if *path == machine.path(culprit)),
            "{error}"
        );
    }
    for path in ["file", "file/inside"] {
        let error = machine.open_at(path).unwrap_err();
        assert!(
            matches!(&error, RuntimeDirError::NotADirectory { path } if *path == machine.path("file")),
            "{error}"
        );
    }
    assert!(!machine.path("real/inside").exists());

    // By default as well: somebody was faster with the name in /tmp.
    symlink(machine.path("real"), machine.path("x/cluster")).unwrap();
    assert!(matches!(
        machine.open(),
        Err(RuntimeDirError::Symlink { .. })
    ));
    let error = machine.open_at("no/such/place").unwrap_err();
    assert!(
        matches!(&error, RuntimeDirError::Missing { path } if *path == machine.path("no")),
        "{error}"
    );
}

#[test]
fn what_others_own_or_may_change_is_refused() {
    let machine = Machine::new();
    for (path, mode) in [("wide", 0o777), ("group", 0o720)] {
        fs::create_dir(machine.path(path)).unwrap();
        set_mode(&machine.path(path), mode);
        let error = machine.open_at(path).unwrap_err();
        assert!(
            matches!(error, RuntimeDirError::Mode { mode: found, .. } if found == mode),
            "{error}"
        );
    }
    let error = machine.open_at("wide/inside").unwrap_err();
    assert!(
        matches!(error, RuntimeDirError::Mode { mode: 0o777, .. }),
        "{error}"
    );
    assert!(!machine.path("wide/inside").exists());

    let stranger = Surroundings {
        user: user_id() + 1,
        ..machine.around
    };
    fs::create_dir(machine.root.path().join("mine")).unwrap();
    let error = RuntimeDir::open_among(Some(&machine.root.path().join("mine")), "shop", &stranger)
        .unwrap_err();
    let (owner, user) = (user_id(), user_id() + 1);
    assert!(
        matches!(error, RuntimeDirError::Owner { owner: o, user: u, .. } if (o, u) == (owner, user)),
        "{error}"
    );
}

#[test]
fn a_read_only_directory_is_one_clear_error() {
    let machine = Machine::new();
    let path = machine.path("still");
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o555);
    let user = if user_id() == 0 { NOBODY } else { user_id() };
    std::os::unix::fs::chown(&path, Some(user), None).unwrap();
    let around = Surroundings {
        xdg: None,
        run: "/r".into(),
        tmp: "/t".into(),
        user,
    };
    for place in [
        path.clone(),
        path.join("inside"),
        path.join("inside/deeper"),
    ] {
        let error =
            rerun::as_nobody(|| RuntimeDir::open_among(Some(&place), "shop", &around).unwrap_err());
        let RuntimeDirError::NotWritable {
            path: named,
            source,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(
            (named, source.kind()),
            (&path, std::io::ErrorKind::PermissionDenied)
        );
        let expected = format!(
            "the runtime directory cannot be used: {} is not writable",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_name_is_one_component() {
    let machine = Machine::new();
    let long = "n".repeat(65);
    for name in ["", ".", "..", ".hidden", "a/b", "a b", "ä", "a\0", &long] {
        let error = RuntimeDir::open_among(None, name, &machine.around).unwrap_err();
        assert!(
            matches!(&error, RuntimeDirError::Name { name: named } if named == name),
            "{error}"
        );
    }
    RuntimeDir::open_among(None, "My.shop-2_b", &machine.around).unwrap();
}

#[test]
fn the_sockets_fit_to_the_last_byte() {
    let machine = Machine::new();
    let longest = PATH_LIMIT - machine.root.path().as_os_str().len() - "//master.sock".len();
    let fits = machine.open_at(&"d".repeat(longest)).unwrap();
    assert_eq!(fits.master_socket().as_os_str().len(), PATH_LIMIT);
    bind_unix(&fits.master_socket(), 0o600).unwrap();
    bind_unix(&fits.path().join("cache.sock"), 0o600).unwrap();
    let name = "d".repeat(longest + 1);
    let error = machine.open_at(&name).unwrap_err();
    assert!(
        matches!(error, RuntimeDirError::TooLong { length, limit: PATH_LIMIT, .. } if length == PATH_LIMIT + 1)
    );
    assert!(!machine.path(&name).exists());
}

#[test]
fn a_lock_is_held_once_and_its_file_goes_with_it() {
    let machine = Machine::new();
    let dir = machine.open().unwrap();
    assert_eq!(RuntimeDir::is_locked(dir.path()).unwrap(), None);
    let lock = dir.lock().unwrap();
    let us = std::process::id();
    assert_eq!(fs::read_to_string(lock.path()).unwrap(), format!("{us}\n"));
    assert_eq!(mode(lock.path()), 0o600);
    assert!(
        rustix::io::fcntl_getfd(&lock)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    assert_eq!(RuntimeDir::is_locked(dir.path()).unwrap(), Some(us));
    let error = machine.open().unwrap().lock().unwrap_err();
    assert!(
        matches!(error, RuntimeDirError::Held { holder: Holder { pid: Some(pid) }, .. } if pid == us)
    );
    let place = dir.path().display();
    assert_eq!(
        error.to_string(),
        format!("{place} is locked by process {us}: a cluster of this name is running")
    );

    dir.remove_if_empty().unwrap();
    assert!(dir.path().exists(), "not empty");
    let path = lock.path().to_path_buf();
    drop(lock);
    assert!(!path.exists());
    dir.remove_if_empty().unwrap();
    assert!(!machine.path("x/cluster").exists(), "nor what it lay in");
    dir.remove_if_empty().unwrap();
    drop(dir.lock().unwrap());
    assert!(dir.path().exists(), "made again when it is needed again");
}

#[test]
fn a_replaced_lock_is_not_removed() {
    let machine = Machine::new();
    let dir = machine.open().unwrap();
    let first = dir.lock().unwrap();
    fs::remove_file(first.path()).unwrap();
    let second = dir.lock().unwrap();
    drop(first);
    assert_eq!(
        RuntimeDir::is_locked(dir.path()).unwrap(),
        Some(std::process::id())
    );
    drop(second);
    assert_eq!(RuntimeDir::is_locked(dir.path()).unwrap(), None);
}

#[test]
fn an_explicit_directory_is_removed_only_by_who_made_it() {
    let machine = Machine::new();
    fs::create_dir(machine.path("theirs")).unwrap();
    machine
        .open_at("theirs")
        .unwrap()
        .remove_if_empty()
        .unwrap();
    assert!(machine.path("theirs").exists());
    machine.open_at("ours").unwrap().remove_if_empty().unwrap();
    assert!(!machine.path("ours").exists());
}

/// The second process: takes the lock, says so, and holds it until it is killed.
#[test]
fn a_lock_holds_between_processes_and_ends_with_its_holder() {
    if let Some(path) = rerun::part() {
        let _lock = RuntimeDir::open(Some(Path::new(&path)), "shop")
            .unwrap()
            .lock()
            .unwrap();
        println!("\nlocked");
        let _ = std::io::stdin().read_line(&mut String::new());
        panic!("to be killed, not let go");
    }
    let machine = Machine::new();
    let dir = machine.open().unwrap();
    let name = "a_lock_holds_between_processes_and_ends_with_its_holder";
    let mut command = rerun::command(module_path!(), name, dir.path().to_str().unwrap());
    let mut holder: Child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "locked"));

    let error = dir.lock().unwrap_err();
    assert!(
        matches!(error, RuntimeDirError::Held { holder: Holder { pid }, .. } if pid == Some(holder.id())),
        "{error}"
    );
    assert_eq!(
        RuntimeDir::is_locked(dir.path()).unwrap(),
        Some(holder.id())
    );
    let found = discover(machine.around.bases());
    let running = Running {
        name: "shop".into(),
        path: dir.path().into(),
        pid: holder.id(),
    };
    assert_eq!(
        found,
        Discovery {
            running: vec![running],
            denied: vec![]
        }
    );

    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(dir.path().join("lock").exists(), "killed, it left its file");
    assert_eq!(RuntimeDir::is_locked(dir.path()).unwrap(), None);
    assert_eq!(discover(machine.around.bases()), Discovery::default());
    drop(dir.lock().unwrap());
}

/// Everything at once: taking, looking, giving up, and removing the directory under the others' feet.
#[test]
fn nobody_ever_shares_a_lock_and_nobody_is_put_off_by_a_look() {
    let machine = Machine::new();
    let (holders, taken, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    let contend = || {
        while taken.load(Ordering::SeqCst) < 400 {
            let dir = machine.open().unwrap();
            match dir.lock() {
                Ok(lock) => {
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                    taken.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1);
                    drop(lock);
                    dir.remove_if_empty().unwrap();
                }
                Err(RuntimeDirError::Held { .. }) => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    std::thread::scope(|scope| {
        let contenders: Vec<_> = (0..4).map(|_| scope.spawn(contend)).collect();
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                RuntimeDir::is_locked(&machine.path("x/cluster/shop")).unwrap();
            }
        });
        let ended: Vec<_> = contenders
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        done.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
    });
    assert!(taken.into_inner() >= 400);
}

#[test]
fn looking_never_makes_a_taker_fail() {
    let machine = Machine::new();
    let (dir, done) = (machine.open().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    RuntimeDir::is_locked(dir.path()).unwrap();
                }
            });
        }
        let failed = (0..500).find_map(|_| dir.lock().err());
        done.store(true, Ordering::SeqCst);
        assert!(failed.is_none(), "{failed:?}");
    });
}

#[test]
fn what_one_may_not_see_is_told_apart_from_what_is_not_there() {
    let machine = Machine::new();
    let dir = machine.open_at("base/shop").unwrap();
    let _lock = dir.lock().unwrap();
    set_mode(&machine.path("base"), 0o755);
    if user_id() != 0 {
        set_mode(dir.path(), 0o000);
    }
    let (found, error) = rerun::as_nobody(|| {
        (
            discover([machine.path("base"), machine.path("nothing")]),
            RuntimeDir::is_locked(dir.path()).unwrap_err(),
        )
    });
    assert_eq!(
        found,
        Discovery {
            running: vec![],
            denied: vec![dir.path().into()]
        }
    );
    assert!(
        matches!(error, RuntimeDirError::Permission { .. }),
        "{error:?}"
    );
    set_mode(dir.path(), 0o700);
}

#[test]
fn tales_of_strangers_are_not_believed() {
    if user_id() != 0 {
        return;
    }
    let machine = Machine::new();
    let dir = machine.open_at("t/base/shop").unwrap();
    let _lock = dir.lock().unwrap();
    for path in [dir.path(), machine.path("t/base").as_path()] {
        set_mode(path, 0o755);
    }
    set_mode(&dir.path().join("lock"), 0o644);
    let base = machine.path("t/base");
    assert_eq!(
        rerun::as_nobody(|| discover([&base])).running.len(),
        1,
        "root's are"
    );
    std::os::unix::fs::chown(&base, Some(1234), None).unwrap();
    assert_eq!(rerun::as_nobody(|| discover([&base])), Discovery::default());
    assert_eq!(discover([&base]).running.len(), 1, "root looks everywhere");
}

#[test]
fn the_candidates_are_those_of_the_user() {
    let bases = candidates(4711);
    assert!(bases.contains(&"/run/user/4711/cluster".into()));
    assert!(bases.contains(&"/run/cluster".into()));
    assert!(bases.contains(&"/tmp/cluster-4711".into()));
    let mut unique = bases.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), bases.len());
}
