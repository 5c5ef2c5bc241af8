use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

#[test]
fn this_process_uses_something() {
    let files: Vec<File> = (0..100).map(|_| tempfile::tempfile().unwrap()).collect();
    let before = Usage::sample().unwrap();
    assert!(before.rss_bytes > 100_000);
    assert!(before.threads >= 1);
    assert!(before.open_fds >= 100);
    let mut work = 0_u64;
    while Usage::sample().unwrap().cpu_time < before.cpu_time + Duration::from_millis(10) {
        work = std::hint::black_box(work.wrapping_add(1));
    }
    drop(files);
}

#[test]
fn both_ways_of_counting_agree_about_another_process() {
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // An answer shows that it is past its start, with all its files open.
    cat.stdin.as_mut().unwrap().write_all(b"?").unwrap();
    cat.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let usage = Usage::of(cat.id()).unwrap();
    assert_eq!(usage.threads, 1);
    assert!(usage.rss_bytes > 0);
    assert_eq!(
        usage.open_fds,
        count_entries(Path::new(&format!("/proc/{}/fd", cat.id()))).unwrap()
    );
    assert!(usage.open_fds >= 3);
    drop(cat.stdin.take());
    cat.wait().unwrap();
    assert_eq!(
        Usage::of(cat.id()).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn a_name_cannot_deceive() {
    let tail = "S 1 1 1 0 -1 0 0 0 0 0 250 50 0 0 20 0 7 0 100 1000000 256 18446744073709551615";
    let usage = parse_stat(format!("42 (a) R 1 (b) {tail}\n").as_bytes()).unwrap();
    assert_eq!(usage.threads, 7);
    assert_eq!(usage.cpu_time, Duration::from_secs(3));
    assert_eq!(usage.rss_bytes, 256 * system_number(libc::_SC_PAGESIZE, 0));
    assert_eq!(parse_stat(b"42 (short) S 1 1"), None);
    assert_eq!(parse_stat(b""), None);
}

#[test]
fn the_tightest_of_the_nested_limits_counts() {
    let root = tempfile::tempdir().unwrap();
    let write = |group: &str, limit: &str| {
        std::fs::create_dir_all(root.path().join(group)).unwrap();
        std::fs::write(root.path().join(group).join("memory.max"), limit).unwrap();
    };
    write("outer/inner", "max\n");
    let groups = "4:memory:/old\n0::/outer/inner\n";
    assert_eq!(limit_of(root.path(), groups), None);
    write("outer", "1000\n");
    assert_eq!(limit_of(root.path(), groups), Some(1000));
    write("outer/inner", "2000\n");
    assert_eq!(limit_of(root.path(), groups), Some(1000));
    write("outer/inner", "500\n");
    assert_eq!(limit_of(root.path(), groups), Some(500));
    assert_eq!(limit_of(root.path(), "0::/outer\n"), Some(1000));
    assert_eq!(limit_of(root.path(), "1:cpu:/outer\n"), None);
}

#[test]
fn a_share_is_no_more_than_the_whole() {
    let share = proportional_bytes().unwrap();
    let (rss, peak) = (
        Usage::sample().unwrap().rss_bytes,
        peak_rss_bytes().unwrap(),
    );
    assert!(share > 0);
    // Both grow meanwhile, in a program whose tests run side by side; and the kernel counts resident pages in batches.
    let slack = 64 << 20;
    assert!(
        share <= rss + slack && rss <= peak + slack,
        "{share} {rss} {peak}"
    );
    assert_eq!(kib_of("a: 1 kB\nPss:    12 kB\n", "Pss:"), Some(12 * 1024));
    for wrong in ["", "Pss: 12", "Pss: -1 kB", "Pss: 99999999999999999999 kB"] {
        assert_eq!(kib_of(wrong, "Pss:"), None, "{wrong}");
    }
}
