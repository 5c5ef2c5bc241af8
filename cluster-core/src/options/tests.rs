//! The options as a whole: every key through every layer, and every message.

mod layers;
mod messages;
mod round_trip;

use std::ffi::OsString;

use super::rule::Shape;
use super::table::KEYS;
use super::{Loader, Options, OptionsError, Outcome, Sources};

/// The sources in the words of a test.
fn sources(file: &str, env: &[(&str, &str)], args: &[&str]) -> Sources {
    Sources {
        file: Some(("cluster.toml".into(), file.to_owned())),
        env: env
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        args: std::iter::once("hello")
            .chain(args.iter().copied())
            .map(OsString::from)
            .collect(),
    }
}

fn load_with(
    loader: &Loader,
    file: &str,
    env: &[(&str, &str)],
    args: &[&str],
) -> Result<Options, OptionsError> {
    match loader.read(sources(file, env, args))? {
        Outcome::Run(options) => Ok(*options),
        Outcome::Print(text) => panic!("nobody asked to print {text}"),
    }
}

fn load(file: &str, env: &[(&str, &str)], args: &[&str]) -> Result<Options, OptionsError> {
    load_with(&Options::loader(), file, env, args)
}

/// The values as `cluster.toml` writes them.
fn toml_value(shape: Shape, values: &[String]) -> String {
    let quoted = |value: &String| serde_json::to_string(value).expect("a string is JSON");
    match (shape, values) {
        (Shape::Switch | Shape::Integer, [value]) => value.clone(),
        (_, [value]) => quoted(value),
        (_, values) => {
            let items: Vec<String> = values.iter().map(quoted).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// A value for every key: none is its default, and together they are valid.
const SAMPLES: &[(&str, &[&str])] = &[
    ("host", &["127.0.0.1", "::1", "unix:/run/hello.sock"]),
    ("port", &["9000"]),
    ("mon-host", &["::1"]),
    ("mon-port", &["9001"]),
    ("mon-token", &["0123456789abcdef"]),
    ("mon-name", &["monitor.example"]),
    ("mon-behind-proxy", &["true"]),
    ("tls.cert", &["cert.pem"]),
    ("tls.key", &["key.pem"]),
    ("skip-check-busy-ports", &["true"]),
    ("name", &["shop-1"]),
    ("workers", &["511"]),
    ("threads", &["7"]),
    ("spin", &["50"]),
    ("max-requests", &["1000000"]),
    ("max-memory", &["512MiB"]),
    ("warm-up-port", &["9002"]),
    ("max-age", &["2h"]),
    ("max-lag", &["3s"]),
    ("start-timeout", &["1s"]),
    ("warm-up-timeout", &["2s"]),
    ("stop-timeout", &["4s"]),
    ("orphan-timeout", &["5s"]),
    ("heartbeat-interval", &["6s"]),
    ("runtime-dir", &["/run/here"]),
    ("pids", &["/run/pids"]),
    ("log", &["files"]),
    ("log-dir", &["/var/log/hello"]),
    ("ecv.mode", &["monitor"]),
    ("ecv.root", &["/health"]),
    ("ecv.mark-up", &["/health/up"]),
    ("ecv.mark-down", &["/health/down"]),
    ("ecv.monitor", &["http://127.0.0.1:9000/"]),
    ("ecv.min", &["2"]),
    ("ecv.disabled", &["true"]),
    ("cache.enable", &["false"]),
    ("cache.mode", &["master"]),
    ("cache.domain-path", &["/run/cache.sock"]),
    ("cache.persist-path", &["/var/cache.db"]),
    ("cache.sync", &["true"]),
    ("cache.timeout", &["8s"]),
    ("cache.max-bytes", &["64MiB"]),
    ("nanny.enable", &["false"]),
    ("nanny.tolerance", &["7s"]),
    ("debug.server", &["lldb-server"]),
    ("debug.port", &["9003"]),
    ("debug.web-port", &["9004"]),
    ("gc.monitor", &["true"]),
    ("gc.explicit", &["true"]),
];

/// The sample, and what else must be set for it to be valid by itself.
fn sample(path: &str) -> Vec<(&'static str, Vec<String>)> {
    let with = match path {
        "tls.cert" => Some("tls.key"),
        "tls.key" => Some("tls.cert"),
        "ecv.mode" => Some("ecv.monitor"),
        _ => None,
    };
    SAMPLES
        .iter()
        .filter(|(key, _)| *key == path || Some(*key) == with)
        .map(|(key, values)| (*key, values.iter().map(ToString::to_string).collect()))
        .collect()
}

#[test]
fn every_key_has_a_sample() {
    let keys = KEYS.iter().filter(|key| key.field.ignored().is_none());
    let keys: Vec<&str> = keys.map(|key| key.path).collect();
    let samples: Vec<&str> = SAMPLES.iter().map(|(path, _)| *path).collect();
    assert_eq!(keys, samples);
}
