//! Starts that cannot succeed: one clear line each, exit code 1, nothing left behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};

use tempfile::TempDir;

use crate::support::{Setup, Signal};

fn busy() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_busy_port() {
    let (_listener, port) = busy();
    Setup::hello()
        .flag("--port", port)
        .fail()
        .names(&[&format!("127.0.0.1:{port}"), "busy"]);
}

#[test]
fn a_busy_port_that_is_not_looked_for_first() {
    let (_listener, port) = busy();
    let failed = Setup::hello()
        .flag("--port", port)
        .switch("--skip-check-busy-ports")
        .fail();
    failed.names(&[&format!("127.0.0.1:{port}"), "busy"]);
    assert!(
        failed.log.contains("the monitor serves"),
        "it came that far:\n{}",
        failed.log
    );
}

#[test]
fn a_busy_monitor_port() {
    let (_listener, port) = busy();
    Setup::hello()
        .flag("--mon-port", port)
        .fail()
        .names(&[&format!("127.0.0.1:{port}"), "busy"]);
}

#[test]
fn a_busy_monitor_port_that_is_not_looked_for_first() {
    let (_listener, port) = busy();
    let failed = Setup::hello()
        .flag("--mon-port", port)
        .switch("--skip-check-busy-ports")
        .fail();
    failed.names(&[&format!("127.0.0.1:{port}"), "--mon-port"]);
}

#[test]
fn a_second_cluster_in_the_same_directory() {
    let first = Setup::hello().flag("--workers", 1).start();
    let directory = first.path("run");
    let second = Setup::hello()
        .flag("--runtime-dir", directory.display())
        .fail();
    second.names(&[
        &directory.display().to_string(),
        &first.master().to_string(),
        "running",
    ]);
    assert_eq!(first.get("/").body, "hello", "the first one does not mind");
    first.stop();
}

#[test]
fn a_second_cluster_on_the_same_port() {
    let first = Setup::hello().flag("--workers", 1).start();
    Setup::hello()
        .flag("--port", first.app().port())
        .fail()
        .names(&["busy"]);
    assert_eq!(first.get("/").body, "hello");
    first.stop();
}

#[test]
fn a_runtime_directory_that_cannot_be_written_to() {
    let place = TempDir::new().unwrap();
    let directory = place.path().join("run");
    fs::create_dir(&directory).unwrap();
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap()
    };
    let mut setup = Setup::hello().flag("--runtime-dir", directory.display());
    // Root may write everywhere: then it is tried as somebody else.
    if rustix::process::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        mode(place.path(), 0o755);
        mode(setup.home.path(), 0o755);
        chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();
        setup = setup.user(NOBODY);
    }
    mode(&directory, 0o555);
    setup
        .fail()
        .names(&[&directory.display().to_string(), "not writable"]);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn a_runtime_directory_whose_path_is_too_long() {
    let setup = Setup::hello();
    let directory = setup.path(&"d".repeat(100));
    let failed = setup.flag("--runtime-dir", directory.display()).fail();
    failed.names(&[&directory.display().to_string(), "too long"]);
    assert_eq!(failed.leaves(), Vec::<String>::new());
}

#[test]
fn a_runtime_directory_in_a_place_that_is_not_there() {
    let failed = Setup::hello()
        .flag("--runtime-dir", "/no-such-place/at-all/run")
        .fail();
    failed.names(&["/no-such-place"]);
}

#[test]
fn a_number_of_workers_out_of_range() {
    for count in ["0", "10000", "many"] {
        let failed = Setup::hello().flag("--workers", count).fail();
        failed.names(&["--workers", count, "1 to 512"]);
        assert_eq!(failed.leaves(), Vec::<String>::new());
    }
    let negative = Setup::hello().switch("--workers=-1").fail();
    negative.names(&["--workers", "-1", "1 to 512"]);
    Setup::hello()
        .bare()
        .env("CLUSTER_WORKERS", "0")
        .fail()
        .names(&["CLUSTER_WORKERS", "1 to 512"]);
}

#[test]
fn a_file_of_options_that_is_broken() {
    let broken = Setup::hello()
        .file("cluster.toml", "name = \"hello\"\nworkers = = 2\n")
        .fail();
    broken.names(&["cluster.toml:2"]);
    let unknown = Setup::hello().file("cluster.toml", "worker = 2\n").fail();
    unknown.names(&["cluster.toml:1", "worker", "workers"]);
    let binary = Setup::hello().file("cluster.toml", [0xff, 0xfe]).fail();
    binary.names(&["cluster.toml"]);
}

#[test]
fn a_flag_that_nobody_knows() {
    Setup::hello()
        .flag("--wokers", 2)
        .fail()
        .names(&["--wokers", "--workers"]);
}

#[test]
fn two_equal_ports() {
    let port = {
        let (_listener, port) = busy();
        port
    };
    let failed = Setup::hello()
        .flag("--port", port)
        .flag("--mon-port", port)
        .fail();
    failed.names(&["--port", "--mon-port", &port.to_string()]);
}

#[test]
fn a_certificate_that_is_not_there() {
    let setup = Setup::hello();
    let (cert, key) = (setup.path("cert.pem"), setup.path("key.pem"));
    let setup = setup
        .flag("--tls.cert", cert.display())
        .flag("--tls.key", key.display());
    setup
        .fail()
        .names(&["--tls.cert", &cert.display().to_string()]);
    Setup::hello()
        .flag("--tls.cert", "cert.pem")
        .fail()
        .names(&["tls.cert", "tls.key"]);
}

#[test]
fn a_certificate_that_is_none() {
    let setup = Setup::hello()
        .file("cert.pem", "no certificate")
        .file("key.pem", "no key");
    let setup = setup
        .flag("--tls.cert", "cert.pem")
        .flag("--tls.key", "key.pem");
    setup.fail().names(&["--tls", "cert.pem"]);
}

#[test]
fn a_warm_up_that_fails() {
    let (_listener, port) = busy();
    let failed = Setup::hello()
        .flag("--workers", 2)
        .flag("--warm-up-port", port)
        .flag("--warm-up-timeout", 1000)
        .fail();
    failed.names(&["no worker can start", "warm-up", "--warm-up-port"]);
}

#[test]
fn a_monitor_url_that_is_none() {
    let failed = Setup::hello().flag("--ecv.mode", "monitor").fail();
    failed.names(&["--ecv.mode", "ecv.monitor"]);
}

#[test]
fn a_socket_path_that_is_taken_by_a_file() {
    let setup = Setup::hello().file("taken", "mine");
    let path = setup.path("taken");
    let failed = setup
        .flag("--host", format!("unix:{}", path.display()))
        .fail();
    failed.names(&[&path.display().to_string(), "not a socket"]);
    assert_eq!(failed.leaves(), ["taken"], "what was there stays");
}

#[test]
fn a_socket_path_that_another_cluster_serves() {
    let first = Setup::hello().flag("--workers", 1);
    let path = first.path("app.sock");
    let host = format!("unix:{}", path.display());
    let first = first.flag("--host", &host).start();
    Setup::hello()
        .flag("--host", &host)
        .fail()
        .names(&[&path.display().to_string()]);
    assert_eq!(first.get("/").body, "hello", "the first one does not mind");
    first.stop();
}

#[test]
fn a_start_that_is_interrupted_ends_like_any_stop() {
    let mut cluster = Setup::hello().spawn();
    cluster.line("starting workers");
    cluster.signal(Signal::INT);
    let status = cluster.exit(std::time::Duration::from_secs(30));
    assert_eq!(status.code(), Some(0));
    cluster.assert_nothing_left();
    let log = cluster.log.text();
    assert!(!log.contains("error: "), "{log}");
}
