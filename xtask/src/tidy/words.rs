//! Words that have one place, or none.

use super::Fault;
use super::scan::Scan;
use super::source::File;

/// The only folder with `unsafe` in it.
const UNSAFE: &str = "cluster-core/src/sys/";

/// The one file besides: what takes `ptrace` from the processes of a test, which is no business of the product.
const UNSAFE_IN_TESTS: &str = "examples/tests/processes/support/seccomp.rs";

/// The only file that names bincode.
const CODEC: &str = "cluster-core/src/wire/codec.rs";

/// Macros that mark what is not finished.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// What allows a sleep in a test, before its reason.
const WAIT: &str = "// wait: ";

pub(super) fn check(file: &File, scan: &Scan) -> Vec<Fault> {
    let fault = |line: usize, message: String| Fault::new(&file.path, line, message);
    let mut faults = Vec::new();
    if !file.path.starts_with(UNSAFE) && file.path != UNSAFE_IN_TESTS {
        faults.extend(
            scan.unsafes
                .iter()
                .map(|&line| fault(line, format!("`unsafe` is allowed only under {UNSAFE}"))),
        );
    }
    for (name, line) in scan
        .macros
        .iter()
        .filter(|(name, _)| UNFINISHED.contains(&name.as_str()))
    {
        faults.push(fault(*line, format!("`{name}!` does not go into the tree")));
    }
    for (_, line) in scan.attributes.iter().filter(|(name, _)| name == "ignore") {
        faults.push(fault(
            *line,
            "an ignored test tests nothing; repair it or take it out".into(),
        ));
    }
    for path in &scan.paths {
        if path.segments[0] == "bincode" && file.path != CODEC {
            faults.push(fault(path.line, format!("only {CODEC} names bincode")));
        }
        let sleeps = path.segments.windows(2).any(
            |two| matches!(two, [of, what] if (of == "thread" || of == "time") && what == "sleep"),
        );
        if sleeps && file.is_test() && !has_reason(&file.text, path.line) {
            faults.push(fault(path.line, format!("a test waits on events and does not sleep; where it must, end the line with `{WAIT}REASON`")));
        }
    }
    faults
}

fn has_reason(text: &str, line: usize) -> bool {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.split_once(WAIT)
        .is_some_and(|(_, reason)| !reason.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tests::faults;

    fn in_file(path: &str, text: &str) -> Vec<String> {
        let root = format!(
            "mod sys;\n#[path = \"{}\"]\nmod it;",
            path.trim_start_matches("cluster-core/src/")
        );
        let manifest = ("cluster-core/Cargo.toml", "");
        faults(&[manifest, ("cluster-core/src/lib.rs", &root), (path, text)])
    }

    #[test]
    fn unsafe_has_one_place() {
        let text = "#![allow(unsafe_code)]\nfn f() { unsafe { g() } } // unsafe\n";
        assert_eq!(
            in_file("cluster-core/src/sys/fd_passing.rs", text),
            Vec::<String>::new()
        );
        let found = in_file("cluster-core/src/bridge/link.rs", text);
        assert_eq!(
            found,
            [
                "cluster-core/src/bridge/link.rs:2: `unsafe` is allowed only under cluster-core/src/sys/"
            ]
        );
    }

    #[test]
    fn bincode_has_one_place() {
        let text = "fn f() { bincode::serde::encode(); }\n";
        assert_eq!(
            in_file("cluster-core/src/wire/codec.rs", text),
            Vec::<String>::new()
        );
        assert_eq!(in_file("cluster-core/src/wire/frame.rs", text).len(), 1);
        assert_eq!(
            in_file("cluster-core/src/wire/frame.rs", "use bincode as codec;").len(),
            1
        );
        assert_eq!(
            in_file(
                "cluster-core/src/wire/frame.rs",
                "//! Not bincode::anything."
            )
            .len(),
            0
        );
    }

    #[test]
    fn unfinished_work_has_no_place() {
        let text = "#[test]\n#[ignore = \"slow\"]\nfn f() { todo!() }\n#[cfg_attr(unix, ignore)]\nfn g() { dbg!(std::unimplemented!()) }\n";
        let found = in_file("cluster-core/src/id.rs", text);
        let lines: Vec<_> = found
            .iter()
            .map(|fault| fault.split(':').nth(1).unwrap())
            .collect();
        assert_eq!(lines, ["2", "3", "4", "5", "5"], "{found:?}");
    }

    #[test]
    fn tests_sleep_only_with_a_reason() {
        let sleeping = "use tokio::time::{Duration, sleep};\nfn f() { std::thread::sleep(D); }\n";
        let found = in_file("cluster-core/tests/all.rs", sleeping);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(in_file("cluster-core/src/id.rs", sleeping).len(), 0);
        assert_eq!(
            in_file(
                "cluster-core/tests/all.rs",
                "fn f() { thread::sleep(D); } // wait: the kernel's own timer\n"
            )
            .len(),
            0
        );
        assert_eq!(
            in_file(
                "cluster-core/tests/all.rs",
                "fn f() { thread::sleep(D); } // wait: \n"
            )
            .len(),
            1
        );
    }
}
