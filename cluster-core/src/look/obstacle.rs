//! Why a process may not be traced, and the way out.

use std::fs;

/// What stands in the way, as far as can be seen.
pub(crate) fn of(pid: u32) -> String {
    let theirs = status(&pid.to_string());
    let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    why(&theirs, &status("self"), yama.trim())
}

/// Who traces a process.
pub(crate) fn tracer(pid: u32) -> Option<u32> {
    tracer_in(&status(&pid.to_string()))
}

/// Who traces this one.
pub(crate) fn tracer_of_this() -> Option<u32> {
    tracer_in(&status("self"))
}

fn status(of: &str) -> String {
    fs::read_to_string(format!("/proc/{of}/status")).unwrap_or_default()
}

fn tracer_in(status: &str) -> Option<u32> {
    let tracer = field(status, "TracerPid:").parse().ok()?;
    (tracer != 0).then_some(tracer)
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    value.unwrap_or_default().to_owned()
}

fn why(theirs: &str, ours: &str, yama: &str) -> String {
    let (their_uid, our_uid) = (field(theirs, "Uid:"), field(ours, "Uid:"));
    if let Some(tracer) = tracer_in(theirs) {
        format!("process {tracer} is tracing it already; end that debugger first")
    } else if their_uid != our_uid && our_uid != "0" {
        format!(
            "it runs as user {their_uid}, and the master as user {our_uid}; run both as the same user"
        )
    } else if matches!(yama, "2" | "3") {
        format!(
            "kernel.yama.ptrace_scope is {yama}; allow it with: sysctl kernel.yama.ptrace_scope=1 (after a 3, with a reboot)"
        )
    } else if field(ours, "Seccomp:") == "2" {
        "a seccomp filter forbids ptrace; start the container with --cap-add=SYS_PTRACE, or with a profile that allows ptrace".to_owned()
    } else {
        "the system does not allow ptrace; give the master the capability CAP_SYS_PTRACE".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracer_has_a_number() {
        assert_eq!(tracer_in("Pid:\t4\nTracerPid:\t77\n"), Some(77));
        assert_eq!(tracer_in("Pid:\t4\nTracerPid:\t0\n"), None);
        assert_eq!(tracer_in(""), None);
    }

    #[test]
    fn each_obstacle_has_its_way_out() {
        let ours = "Uid:\t1000\t1000\nSeccomp:\t2\n";
        let with = |uid: &str, tracer: &str| format!("TracerPid:\t{tracer}\nUid:\t{uid}\t{uid}\n");
        let cases = [
            (with("1000", "77"), "0", "process 77 is tracing it"),
            (with("1001", "0"), "0", "as the same user"),
            (with("1000", "0"), "2", "sysctl"),
            (with("1000", "0"), "1", "seccomp"),
        ];
        for (theirs, yama, says) in cases {
            let why = why(&theirs, ours, yama);
            assert!(why.contains(says), "{why}");
        }
        assert!(why("", "", "").contains("CAP_SYS_PTRACE"));
    }
}
