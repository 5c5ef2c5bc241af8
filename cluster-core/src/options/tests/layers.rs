//! Every key through every layer, and the layers over one another.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use super::super::table::{KEYS, key};
use super::super::{CacheMode, DebugServer, EcvMode, Host, LogTarget, Options, Outcome};
use super::{SAMPLES, load, load_with, sample, sources, toml_value};

/// A file, an environment and arguments that each set the same keys.
#[derive(Default)]
struct Written {
    file: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

impl Written {
    fn of(values: &[(&str, Vec<String>)]) -> Self {
        let mut written = Written::default();
        for (path, values) in values {
            let key = key(path).unwrap();
            let value = toml_value(key.field.shape(), values);
            written.file.push_str(&format!("{path} = {value}\n"));
            written.env.push((key.variable(), values.join(",")));
            written
                .args
                .extend(values.iter().map(|value| format!("--{path}={value}")));
        }
        written
    }

    fn load(&self, file: bool, env: bool, args: bool) -> Options {
        let variables: Vec<(&str, &str)> = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let flags: Vec<&str> = self.args.iter().map(String::as_str).collect();
        load(
            if file { &self.file } else { "" },
            if env { &variables } else { &[] },
            if args { &flags } else { &[] },
        )
        .unwrap()
    }
}

#[test]
fn every_key_is_set_by_every_layer() {
    for key in KEYS.iter().filter(|key| key.field.ignored().is_none()) {
        let values = sample(key.path);
        let wanted = &values.iter().find(|(path, _)| *path == key.path).unwrap().1;
        let written = Written::of(&values);
        let unset = key.field.show(&load("", &[], &[]).unwrap());
        assert_ne!(&unset, wanted, "{}: the sample is the default", key.path);
        for (layer, options) in [
            ("file", written.load(true, false, false)),
            ("env", written.load(false, true, false)),
            ("args", written.load(false, false, true)),
        ] {
            assert_eq!(&key.field.show(&options), wanted, "{} by {layer}", key.path);
        }
    }
}

#[test]
fn every_spelling_of_a_flag_is_taken() {
    for key in KEYS.iter().filter(|key| key.field.ignored().is_none()) {
        for flag in key.flags() {
            let mut args = Vec::new();
            for (path, values) in sample(key.path) {
                let flag = if path == key.path { &flag } else { path };
                args.extend(values.iter().map(|value| format!("--{flag}={value}")));
            }
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let options = load("", &[], &args).unwrap();
            let sampled = SAMPLES.iter().find(|(path, _)| *path == key.path).unwrap();
            assert_eq!(key.field.show(&options), sampled.1, "--{flag}");
        }
    }
}

#[test]
fn the_spellings_of_the_original_are_known() {
    let flags: BTreeSet<String> = KEYS.iter().flat_map(|key| key.flags()).collect();
    for flag in [
        "noWorkers",
        "monPort",
        "monHost",
        "warmUpPort",
        "cache.enable",
        "cache.mode",
        "cache.domainPath",
        "cache.persistPath",
        "cache.maxBytes",
        "ecv.markUp",
        "ecv.markDown",
        "maxAge",
        "heartbeatInterval",
        "stopTimeout",
        "warmUpTimeout",
        "skipCheckBusyPorts",
        "debug.webPort",
        "debug.saveLiveEdit",
        "debug.hidden",
        "gc.idleNotification",
        "runtimeDir",
        "nanny.tolerance",
    ] {
        assert!(flags.contains(flag), "--{flag}");
    }
}

#[test]
fn no_two_keys_share_a_spelling() {
    let mut flags = BTreeSet::new();
    let mut variables = BTreeSet::new();
    for key in KEYS {
        assert!(variables.insert(key.variable()), "{}", key.path);
        for flag in key.flags() {
            assert!(flags.insert(flag), "{}", key.path);
        }
    }
}

#[test]
fn every_value_reaches_its_own_field() {
    let all: Vec<(&str, Vec<String>)> = SAMPLES
        .iter()
        .map(|(path, values)| (*path, values.iter().map(ToString::to_string).collect()))
        .collect();
    let options = Written::of(&all).load(true, false, false);
    let path = |path: &str| Some(PathBuf::from(path));
    assert_eq!(
        options.hosts,
        [
            Host::Ip(Ipv4Addr::LOCALHOST.into()),
            Host::Ip(Ipv6Addr::LOCALHOST.into()),
            Host::Unix("/run/hello.sock".into()),
        ]
    );
    assert_eq!(
        (options.port, options.mon_port, options.warm_up_port),
        (9000, 9001, 9002)
    );
    assert_eq!(options.mon_host, Ipv6Addr::LOCALHOST);
    assert_eq!(
        (options.tls.cert, options.tls.key),
        (path("cert.pem"), path("key.pem"))
    );
    assert!(options.skip_check_busy_ports);
    assert_eq!(
        (options.name.as_str(), options.workers, options.threads),
        ("shop-1", 511, 7)
    );
    assert_eq!(options.max_age, Duration::from_secs(7_200));
    assert_eq!(options.max_lag, Some(Duration::from_secs(3)));
    assert_eq!(options.max_requests, Some(1_000_000));
    assert_eq!(options.max_memory, Some(512 << 20));
    assert_eq!(options.start_timeout, Duration::from_secs(1));
    assert_eq!(options.warm_up_timeout, Duration::from_secs(2));
    assert_eq!(options.stop_timeout, Duration::from_secs(4));
    assert_eq!(options.orphan_timeout, Duration::from_secs(5));
    assert_eq!(options.heartbeat_interval, Duration::from_secs(6));
    assert!(!options.nanny.enable);
    assert_eq!(options.nanny.tolerance, Duration::from_secs(7));
    assert_eq!(
        (options.runtime_dir, options.pids),
        (path("/run/here"), path("/run/pids"))
    );
    assert_eq!(options.log, Some(LogTarget::Files));
    assert_eq!(options.log_dir, PathBuf::from("/var/log/hello"));
    assert_eq!(options.ecv.mode, EcvMode::Monitor);
    assert_eq!(options.ecv.root, "/health");
    assert_eq!(options.ecv.mark_up, "/health/up");
    assert_eq!(options.ecv.mark_down, "/health/down");
    assert_eq!(
        options.ecv.monitor.as_deref(),
        Some("http://127.0.0.1:9000/")
    );
    assert_eq!((options.ecv.min, options.ecv.disabled), (2, true));
    assert!(!options.cache.enable);
    assert_eq!(options.cache.mode, CacheMode::Master);
    assert_eq!(options.cache.domain_path, path("/run/cache.sock"));
    assert_eq!(options.cache.persist_path, path("/var/cache.db"));
    assert_eq!(options.cache.timeout, Duration::from_secs(8));
    assert_eq!(options.cache.max_bytes, Some(64 << 20));
    assert_eq!(options.debug.server, Some(DebugServer::LldbServer));
    assert_eq!(
        (options.debug.port, options.debug.web_port),
        (Some(9003), Some(9004))
    );
    assert!(options.gc.monitor && options.gc.explicit);
}

#[test]
fn the_defaults_are_those_promised() {
    let options = load("", &[], &[]).unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(options.name, "hello");
    assert_eq!(options.hosts, [Host::Ip(Ipv4Addr::UNSPECIFIED.into())]);
    assert_eq!(
        (options.port, options.mon_port, options.warm_up_port),
        (8080, 8081, 0)
    );
    assert_eq!(options.mon_host, Ipv4Addr::LOCALHOST);
    let cores = available_parallelism().unwrap().get().min(512);
    assert_eq!((options.workers as usize, options.threads), (cores, 1));
    assert_eq!(options.max_age, seconds(3 * 24 * 3_600));
    assert_eq!(options.heartbeat_interval, seconds(5));
    for timeout in [
        options.start_timeout,
        options.warm_up_timeout,
        options.stop_timeout,
        options.orphan_timeout,
    ] {
        assert_eq!(timeout, seconds(60));
    }
    assert!(options.nanny.enable && options.cache.enable);
    assert_eq!(options.nanny.tolerance, seconds(180));
    assert_eq!(options.cache.timeout, seconds(3));
    assert_eq!(options.cache.mode, CacheMode::Standalone);
    assert_eq!((options.log, options.log_dir.to_str()), (None, Some("log")));
    assert_eq!((options.ecv.mode, options.ecv.min), (EcvMode::Control, 1));
    let paths = [
        &options.ecv.root,
        &options.ecv.mark_up,
        &options.ecv.mark_down,
    ];
    assert_eq!(paths, ["/ecv", "/ecv/enable", "/ecv/disable"]);
    assert_eq!((options.debug.port, options.debug.web_port), (None, None));
    assert_eq!(options.debug.server, None);
    assert!(options.warnings().is_empty() && options.rest().is_empty());
    Options::default().validate().unwrap();
}

#[test]
fn a_later_layer_goes_before_an_earlier_one() {
    let (file, env) = ("workers = 2", [("CLUSTER_WORKERS", "3")]);
    for (options, wanted) in [
        (load(file, &[], &[]), 2),
        (load(file, &env, &[]), 3),
        (load(file, &env, &["--workers", "4"]), 4),
        (load(file, &env, &["--workers", "4", "--noWorkers=5"]), 5),
        (load(file, &env, &["--noWorkers", "5", "--workers=4"]), 4),
        (load(file, &[], &["--workers=4", "--workers=6"]), 6),
    ] {
        assert_eq!(options.unwrap().workers, wanted);
    }
    let options = load("host = '::1'", &[("CLUSTER_HOST", "10.0.0.1, [::2]")], &[]).unwrap();
    let shown: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.1", "::2"], "a list replaces a list");
}

#[test]
fn a_plain_number_counts_the_unit_of_its_key() {
    let options = load(
        "max-age = 90\ncache.max-bytes = 0x200000",
        &[("CLUSTER_STOP_TIMEOUT", "1500")],
        &["--heartbeat-interval", "250"],
    )
    .unwrap();
    assert_eq!(options.max_age, Duration::from_secs(90));
    assert_eq!(options.cache.max_bytes, Some(2 << 20));
    assert_eq!(options.stop_timeout, Duration::from_millis(1_500));
    assert_eq!(options.heartbeat_interval, Duration::from_millis(250));
}

#[test]
fn a_switch_needs_no_value() {
    let options = load("", &[], &["--ecv.disabled", "--cache.enable=false"]).unwrap();
    assert!(options.ecv.disabled && !options.cache.enable);
}

#[test]
fn what_means_nothing_here_is_warned_of() {
    let options = load(
        "[debug]\nhidden = true",
        &[("CLUSTER_GC_IDLE_NOTIFICATION", "")],
        &["--debug.saveLiveEdit"],
    )
    .unwrap();
    assert_eq!(
        options.warnings(),
        [
            "cluster.toml:2 (debug.hidden): ignored, there is no script debugger whose files could be hidden",
            "CLUSTER_GC_IDLE_NOTIFICATION: ignored, Rust has no garbage collector that could be told of idle time",
            "--debug.saveLiveEdit: ignored, compiled code cannot be edited while it runs",
        ]
    );
}

#[test]
fn the_application_has_flags_of_its_own() {
    let loader = Options::loader()
        .flag("backend-ms", "How long the backend takes", "20")
        .flag("motto", "What to say", None);
    let file = "[app]\nbackend-ms = 30";
    let env = [("CLUSTER_APP_BACKEND_MS", "40")];
    let read =
        |file, env: &[(&str, &str)], args: &[&str]| load_with(&loader, file, env, args).unwrap();
    assert_eq!(read("", &[], &[]).app("backend-ms"), Some("20"));
    assert_eq!(read(file, &[], &[]).app("backend-ms"), Some("30"));
    assert_eq!(read(file, &env, &[]).app("backend-ms"), Some("40"));
    let options = read(file, &env, &["--backend-ms", "50", "--", "--motto", "x"]);
    assert_eq!(options.app("backend-ms"), Some("50"));
    assert_eq!((options.app("motto"), options.app("port")), (None, None));
    assert_eq!(options.rest(), ["--motto", "x"]);
}

#[test]
fn variables_of_others_and_our_reserved_ones_are_passed_over() {
    let env = [
        ("PATH", "/bin"),
        ("CLUSTER_BOOT", "3"),
        ("CLUSTER_CONFIG", "x"),
        ("CLUSTERS", ""),
    ];
    let with = load("", &env, &[]).unwrap();
    assert_eq!(with, load("", &[], &[]).unwrap());
}

#[test]
fn the_name_is_made_of_the_programs() {
    for (program, name) in [
        ("/usr/bin/hello", "hello"),
        ("./my app.exe", "my_app"),
        ("...", "cluster"),
        ("-x", "x"),
        ("", "cluster"),
    ] {
        let mut sources = sources("", &[], &[]);
        sources.args[0] = program.into();
        let Outcome::Run(options) = Options::from_sources(sources).unwrap() else {
            panic!("nobody asked to print");
        };
        assert_eq!(options.name, name, "{program:?}");
    }
}

#[test]
fn help_tells_every_key_with_its_default_and_hides_the_rest() {
    let loader = Options::loader()
        .program("shop")
        .version("1.2.3")
        .about("Sells things.")
        .flag("backend-ms", "How long the backend takes", "20");
    let print = |arg| match loader.read(sources("", &[], &[arg])).unwrap() {
        Outcome::Print(text) => text,
        Outcome::Run(_) => panic!("{arg} is to print"),
    };
    let help = print("--help");
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for key in KEYS {
        let shown = words.contains(&format!("--{} ", key.path))
            || words.contains(&format!("--{}[=", key.path));
        assert_eq!(shown, key.field.ignored().is_none(), "--{}", key.path);
        if shown {
            assert!(words.contains(key.help), "{}", key.help);
            assert!(words.contains(&format!("default: {}]", key.default.words())));
        }
        for alias in &key.flags()[1..] {
            assert!(
                !words.contains(&format!("--{alias}")),
                "--{alias} is hidden"
            );
        }
    }
    assert!(words.contains("Sells things.") && words.contains("Usage: shop"));
    assert!(words.contains("--backend-ms <VALUE> How long the backend takes [default: 20]"));
    assert_eq!(print("--version"), "shop 1.2.3\n");
}
