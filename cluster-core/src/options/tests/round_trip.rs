//! Any value inside its bounds comes back the same through every layer, and through serialisation.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::super::table::KEYS;
use super::super::{
    CacheMode, CacheServiceOptions, DebugOptions, DebugServer, EcvMode, EcvOptions, GcOptions,
    Host, LogTarget, NannyOptions, Options, Secret, TlsOptions,
};
use super::{load, toml_value};

const DAY: u64 = 86_400_000;

fn time(min: u64, max: u64) -> impl Strategy<Value = Duration> {
    // The bounds by themselves, or chance would hardly ever meet them.
    prop_oneof![Just(min), Just(max), min..=max].prop_map(Duration::from_millis)
}

fn path() -> impl Strategy<Value = PathBuf> {
    "[^\\x00-\\x1f\\x7f]{1,40}".prop_map(PathBuf::from)
}

fn hosts() -> impl Strategy<Value = Vec<Host>> {
    let unix = "[^\\x00-\\x1f\\x7f, ]{1,25}".prop_map(|path| Host::Unix(path.into()));
    let host = prop_oneof![any::<IpAddr>().prop_map(Host::Ip), unix];
    prop::collection::hash_set(host, 1..=16).prop_map(|hosts| hosts.into_iter().collect())
}

fn route() -> impl Strategy<Value = String> {
    "/[!-\"$->@-z|~]{0,20}"
}

fn options() -> impl Strategy<Value = Options> {
    let parts = (addresses(), processes(), times(), ecv(), cache());
    parts
        .prop_map(|(addresses, processes, times, ecv, cache)| {
            let mut options = Options::default();
            (
                options.hosts,
                options.mon_host,
                options.tls,
                options.skip_check_busy_ports,
            ) = addresses.0;
            (
                options.port,
                options.mon_port,
                options.warm_up_port,
                options.debug,
            ) = addresses.1;
            (options.name, options.workers, options.threads, options.spin) = processes.0;
            (options.runtime_dir, options.pids, options.gc) = processes.1;
            (options.log, options.log_dir) = processes.2;
            (
                options.mon_token,
                options.mon_name,
                options.mon_behind_proxy,
            ) = addresses.2;
            (
                options.max_age,
                options.heartbeat_interval,
                options.start_timeout,
            ) = times.0;
            (
                options.warm_up_timeout,
                options.stop_timeout,
                options.orphan_timeout,
            ) = times.1;
            options.nanny = times.2;
            (options.max_requests, options.max_memory, options.max_lag) = times.3;
            (options.ecv, options.cache) = (ecv, cache);
            options
        })
        .prop_filter("two keys fall out with each other", |options| {
            options.validate().is_ok()
        })
}

type Places = (Vec<Host>, IpAddr, TlsOptions, bool);
type Ports = (u16, u16, u16, DebugOptions);

type Access = (Option<Secret>, Option<String>, bool);

fn addresses() -> impl Strategy<Value = (Places, Ports, Access)> {
    let tls = option::of((path(), path())).prop_map(|files| {
        let (cert, key) = files.unzip();
        TlsOptions { cert, key }
    });
    let servers = &[DebugServer::Gdbserver, DebugServer::LldbServer];
    let debug = (
        option::of(prop::sample::select(servers)),
        any::<(Option<u16>, Option<u16>)>(),
    );
    let debug = debug.prop_map(|(server, (port, web_port))| DebugOptions {
        server,
        port,
        web_port,
    });
    let ports = (any::<u16>(), any::<u16>(), any::<u16>(), debug);
    let token = option::of("[!-~]{16,40}".prop_map(Secret::new));
    let access = (token, option::of("[a-z0-9.-]{1,30}"), any::<bool>());
    (
        (hosts(), any::<IpAddr>(), tls, any::<bool>()),
        ports,
        access,
    )
}

type Counts = (String, u32, u32, u32);
type Files = (Option<PathBuf>, Option<PathBuf>, GcOptions);
type Log = (Option<LogTarget>, PathBuf);

fn processes() -> impl Strategy<Value = (Counts, Files, Log)> {
    let counts = (
        "[A-Za-z0-9_][A-Za-z0-9._-]{0,63}",
        1_u32..=512,
        1_u32..=64,
        0_u32..=10_000,
    );
    let log = option::of(prop::sample::select(vec![
        LogTarget::Stderr,
        LogTarget::Files,
    ]));
    let gc = any::<(bool, bool)>().prop_map(|(monitor, explicit)| GcOptions { monitor, explicit });
    let files = (option::of(path()), option::of(path()), gc);
    (counts, files, (log, path()))
}

type Three = (Duration, Duration, Duration);
type Retirement = (Option<u64>, Option<u64>, Option<Duration>);

fn times() -> impl Strategy<Value = (Three, Three, NannyOptions, Retirement)> {
    let day = || time(1, DAY);
    let nanny =
        (any::<bool>(), day()).prop_map(|(enable, tolerance)| NannyOptions { enable, tolerance });
    let ages = (time(1_000, 36_500 * DAY), time(10, 3_600_000), day());
    let retirement = (
        option::of(1_u64..=1_000_000_000_000_000),
        option::of((1_u64 << 20)..=(16 << 40)),
        option::of(day()),
    );
    (ages, (day(), day(), day()), nanny, retirement)
}

fn ecv() -> impl Strategy<Value = EcvOptions> {
    let monitor = option::of("https?://[a-z0-9][!-~]{0,30}");
    (
        monitor,
        route(),
        route(),
        route(),
        any::<bool>(),
        0_u32..=512,
    )
        .prop_map(|(monitor, root, mark_up, mark_down, disabled, min)| {
            let mode = if monitor.is_some() {
                EcvMode::Monitor
            } else {
                EcvMode::Control
            };
            EcvOptions {
                mode,
                root,
                mark_up,
                mark_down,
                disabled,
                monitor,
                min,
            }
        })
}

fn cache() -> impl Strategy<Value = CacheServiceOptions> {
    let mode = prop::sample::select(vec![CacheMode::Standalone, CacheMode::Master]);
    let max_bytes = option::of((1_u64 << 20)..=(16 << 40));
    let paths = (option::of(path()), option::of(path()));
    (
        any::<(bool, bool)>(),
        mode,
        paths,
        time(1, 3_600_000),
        max_bytes,
    )
        .prop_map(
            |((enable, sync), mode, (domain_path, persist_path), timeout, max_bytes)| {
                CacheServiceOptions {
                    keeps_more: false,
                    enable,
                    mode,
                    domain_path,
                    persist_path,
                    sync,
                    timeout,
                    max_bytes,
                }
            },
        )
}

/// The options without the memory of where their values come from.
fn forgetful(mut options: Options) -> Options {
    options.settled.clear();
    options
}

proptest! {
    // A case reads some forty keys three times over.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn through_every_layer(wanted in options()) {
        let (mut file, mut env, mut args) = (String::new(), Vec::new(), Vec::new());
        for key in KEYS {
            let values = key.field.show(&wanted);
            if values.is_empty() {
                continue;
            }
            file += &format!("{} = {}\n", key.path, toml_value(key.field.shape(), &values));
            env.push((key.variable(), values.join(",")));
            args.extend(values.iter().map(|value| format!("--{}={value}", key.path)));
        }
        let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let by_file = load(&file, &[], &[]);
        let by_env = load("", &env, &[]);
        let by_args = load("", &[], &args);
        for options in [by_file, by_env, by_args] {
            prop_assert_eq!(&forgetful(options.unwrap()), &wanted);
        }
    }

    #[test]
    fn through_serialisation(wanted in options()) {
        let text = serde_json::to_string(&wanted).unwrap();
        prop_assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), wanted);
    }
}

#[test]
fn where_a_value_came_from_is_handed_on() {
    let loader = Options::loader().flag("motto", "What to say", "on");
    let options =
        super::load_with(&loader, "port = 9000", &[], &["--debug.hidden", "--", "x"]).unwrap();
    let text = serde_json::to_string(&options).unwrap();
    let mut handed_on: Options = serde_json::from_str(&text).unwrap();
    assert_eq!(handed_on, options);
    assert_eq!(
        (handed_on.app("motto"), handed_on.rest()),
        (Some("on"), &["x".to_owned()][..])
    );
    assert_eq!(handed_on.warnings().len(), 1);
    handed_on.mon_port = 9000;
    let message = handed_on.validate().unwrap_err().to_string();
    assert!(message.starts_with("cluster.toml:1 (port) and code (mon-port) are both 9000"));
}

#[test]
fn what_an_older_master_does_not_know_is_its_default() {
    let options: Options =
        serde_json::from_str(r#"{"port": 9000, "ecv": {"min": 2}, "unknown": 1}"#).unwrap();
    assert_eq!((options.port, options.ecv.min), (9000, 2));
    assert_eq!(
        (options.mon_port, options.ecv.root.as_str()),
        (8081, "/ecv")
    );
}
