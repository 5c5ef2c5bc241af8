//! What the program says that it is made of: by what was read of `Cargo.lock`, or by the section that cargo-auditable writes.

use std::fs;

use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};

use crate::support::{Cluster, Setup};

#[test]
fn the_program_says_what_it_is_made_of() {
    let cluster = Setup::hello().start();
    let deps = cluster.ask("/deps").json();
    assert_eq!(
        (&deps["name"], &deps["from"]),
        (&"examples".into(), &"Cargo.lock".into())
    );
    let own = &deps["dependencies"]["cluster-web"];
    assert_eq!(
        (&own["version"], &own["source"]),
        (&env!("CARGO_PKG_VERSION").into(), &"local".into())
    );
    let serde = &deps["dependencies"]["serde"];
    assert_eq!(serde["source"], "crates.io");
    assert!(serde["version"].is_string());
    assert!(
        deps["dependencies"]["fantoccini"].is_null(),
        "only tests need it"
    );
    cluster.stop();

    let silent = Setup::chatter().start();
    let answer = silent.ask("/deps");
    assert_eq!(answer.status, 404);
    assert!(
        answer.body.contains("cluster_web::dependencies!()"),
        "{answer:?}"
    );
    silent.stop();
}

/// The example that says nothing of itself, with this in the place where cargo-auditable says it.
fn audited(section: &[u8]) -> Cluster {
    Setup::chatter().section(".dep-v0", section).start()
}

fn packed(json: &Value) -> Vec<u8> {
    compress_to_vec_zlib(json.to_string().as_bytes(), 7)
}

#[test]
fn what_cargo_auditable_embeds_is_told() {
    let list = json!({ "packages": [
        { "name": "adler", "version": "0.2.3", "source": "crates.io" },
        { "name": "chatter", "version": "7.0.0", "source": "local", "dependencies": [2, 3], "root": true },
        { "name": "cc", "version": "1.0.66", "source": "git", "kind": "build", "features": ["parallel"] },
        { "name": "inflate", "version": "0.4.3", "source": "registry", "dependencies": [0, 2] },
    ]});
    let cluster = audited(&packed(&list));
    let deps = cluster.ask("/deps");
    assert_eq!(
        (deps.status, deps.header("content-type")),
        (200, Some("application/json"))
    );
    let wanted = json!({
        "name": "chatter", "version": "7.0.0", "source": "local", "from": "cargo-auditable",
        "dependencies": {
            "cc": { "name": "cc", "version": "1.0.66", "source": "git", "kind": "build" },
            "inflate": { "name": "inflate", "version": "0.4.3", "source": "registry", "dependencies": {
                "adler": { "name": "adler", "version": "0.2.3", "source": "crates.io" },
                "cc": { "name": "cc", "version": "1.0.66", "source": "git", "kind": "build" },
            } },
        },
    });
    assert_eq!(deps.json(), wanted);
    // The cluster is that program: its workers run it.
    assert_eq!(cluster.serving().len(), 2);
    cluster.stop();
}

#[test]
fn what_is_embedded_stands_before_what_was_read_of_the_lock_file() {
    let list = json!({ "packages": [{ "name": "other", "version": "1.0.0", "source": "local", "root": true }]});
    let cluster = Setup::hello().section(".dep-v0", &packed(&list)).start();
    let deps = cluster.ask("/deps").json();
    assert_eq!(
        (&deps["name"], &deps["from"]),
        (&"other".into(), &"cargo-auditable".into())
    );
    cluster.stop();
}

#[test]
fn a_damaged_section_is_one_clear_error() {
    let whole = packed(&json!({ "packages": [] }));
    let mut torn = packed(&json!({ "packages": [{ "name": "a", "version": "1" }] }));
    torn.truncate(torn.len() - 6);
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for (section, why) in [
        (
            b"no zlib at all".to_vec(),
            "cannot be unpacked: it is no zlib stream",
        ),
        (torn, "cannot be unpacked: it ends too early"),
        (changed, "cannot be unpacked: its checksum does not fit"),
        (
            compress_to_vec_zlib(b"[1, 2", 7),
            "(cargo-auditable) cannot be read",
        ),
        (
            packed(&json!({ "packages": [{ "name": 7 }] })),
            "(cargo-auditable) cannot be read",
        ),
        (whole, "(cargo-auditable) is not shown: it names no package"),
    ] {
        let cluster = audited(&section);
        for _ in 0..2 {
            let answer = cluster.ask("/deps");
            assert_eq!(answer.status, 500);
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(cluster.ask("/healthz").status, 200);
        cluster.stop();
    }
}

/// The most memory that a process ever held, in bytes.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() * 1024
}

#[test]
fn a_section_that_bursts_costs_no_more_than_one_that_does_not() {
    const ROOM: u64 = 48 * 1024 * 1024;
    let huge = vec![b'a'; 1024 * 1024];
    let many = json!({ "packages": [{ "name": "a", "version": "1", "dependencies": vec![0; 1_900_000] }] });
    let long = json!({ "packages": [
        { "name": "a", "version": "1", "dependencies": vec![1; 30_000], "root": true },
        { "name": String::from_utf8(huge.clone()).unwrap(), "version": "1" },
    ]});
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(2 * huge.len())
        .collect();
    for (section, why) in [
        (
            compress_to_vec_zlib(&huge.repeat(64), 7),
            "takes more than 4194304 bytes unpacked",
        ),
        (noise, "has 2097152 bytes (allowed: up to 1048576)"),
        (
            packed(&many),
            "1900000 dependencies of packages (allowed: up to 32768)",
        ),
        (packed(&long), "1048576 bytes (allowed: up to 256)"),
    ] {
        let cluster = audited(&section);
        let before = peak(cluster.master());
        let answer = cluster.ask("/deps");
        assert_eq!(answer.status, 500);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(why), "{error}");
        let more = peak(cluster.master()) - before;
        println!("{why}: {} KiB more at the peak", more / 1024);
        assert!(more < ROOM, "{error}: {more} bytes");
        assert_eq!(cluster.ask("/healthz").status, 200);
        cluster.stop();
    }
}
