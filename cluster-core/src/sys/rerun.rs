//! For tests that need a process of their own: the test program runs one of its tests once more, in another part.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

const PART: &str = "CLUSTER_TEST_PART";

/// The part that this process plays; `None` in the test program itself.
pub(super) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// The test program.
pub(super) fn program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// The variable that gives a process its part.
pub(super) fn variable(part: &str) -> (OsString, OsString) {
    (PART.into(), part.into())
}

/// The arguments that make the test program run one test; `module` is the `module_path!()` that it stands in.
pub(super) fn args(module: &str, test: &str) -> Vec<OsString> {
    let path = module.split_once("::").unwrap().1;
    vec![
        format!("{path}::{test}").into(),
        "--exact".into(),
        "--nocapture".into(),
        "--quiet".into(),
    ]
}

/// The test program, set up to run one test in this part.
pub(super) fn command(module: &str, test: &str, part: &str) -> Command {
    let mut command = Command::new(program());
    command.args(args(module, test)).env(PART, part);
    command
}

/// Runs the closure as user 65534, or as whoever runs the tests if that is not root.
///
/// On Linux the user is the thread's, and so nobody else of this process is affected.
#[cfg(target_os = "linux")]
pub(super) fn as_nobody<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let drop_rights = move || {
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::process::Uid::from_raw(65534);
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_gid(rustix::process::Gid::from_raw(65534)).unwrap();
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        run()
    };
    std::thread::scope(|scope| scope.spawn(drop_rights).join().unwrap())
}
