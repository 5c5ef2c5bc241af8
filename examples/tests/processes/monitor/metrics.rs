//! `/metrics`, read by a strict parser: what it takes, Prometheus takes.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Cluster, Connection, Setup, Signal, signal, soon};

/// A family's type, and its samples by their labels.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: BTreeMap<String, f64>,
}

/// All families; panics at whatever the format does not allow.
fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a name and its help");
            assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and its type");
            assert!(
                helped.contains(name) && ["counter", "gauge", "histogram"].contains(&kind),
                "{line}"
            );
            let family = Family {
                kind: kind.to_owned(),
                ..Family::default()
            };
            assert!(
                families.insert(name.to_owned(), family).is_none(),
                "{name} comes twice"
            );
            current = name.to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').expect("labels end");
        assert!(
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{line}"
        );
        check_labels(labels);
        let value: f64 = value.parse().expect("a number");
        let family = families.get_mut(&current).expect("its type comes first");
        let suffix = name
            .strip_prefix(current.as_str())
            .expect("it is of the family before it");
        let suffixes: &[&str] = if family.kind == "histogram" {
            &["_bucket", "_sum", "_count"]
        } else {
            &[""]
        };
        assert!(suffixes.contains(&suffix), "{line}");
        assert!(family.kind == "gauge" || value >= 0.0, "{line}");
        let key = format!("{suffix}{{{labels}}}");
        assert!(
            family.samples.insert(key, value).is_none(),
            "{line} comes twice"
        );
    }
    for (name, family) in &families {
        assert_eq!(name.ends_with("_total"), family.kind == "counter", "{name}");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    families
}

fn check_labels(labels: &str) {
    let mut rest = labels;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a label and its value");
        assert!(
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{labels}"
        );
        let mut escaped = false;
        let end = after.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = &after[end.expect("a value ends") + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// Each bucket holds those before it, and the last one all.
fn check_histogram(name: &str, family: &Family) {
    let mut series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (key, value) in family
        .samples
        .iter()
        .filter(|(key, _)| key.starts_with("_bucket"))
    {
        let (labels, bound) = key.split_once("le=\"").expect("a bucket has its bound");
        let bound = bound.trim_end_matches(['"', '}']);
        let bound = if bound == "+Inf" {
            f64::INFINITY
        } else {
            bound.parse().expect("a bound")
        };
        series
            .entry(labels.trim_end_matches(',').to_owned())
            .or_default()
            .push((bound, *value));
    }
    for (labels, mut buckets) in series {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(
            buckets.windows(2).all(|two| two[0].1 <= two[1].1),
            "{name}{labels}: {buckets:?}"
        );
        let count = labels.replace("_bucket", "_count") + "}";
        let last = buckets.last().expect("it has buckets");
        assert!(
            last.0.is_infinite() && last.1 == family.samples[&count],
            "{name}{labels}"
        );
    }
}

fn metrics(cluster: &Cluster) -> BTreeMap<String, Family> {
    let answer = cluster.ask("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    parse(&answer.body)
}

#[test]
fn what_workers_did_is_counted_though_they_die() {
    let cluster = Setup::hello().start();
    for _ in 0..20 {
        assert_eq!(cluster.get("/").status, 200);
    }
    assert_eq!(cluster.get("/slow?ms=30").status, 200);
    let total = |families: &BTreeMap<String, Family>, name: &str| {
        families[name].samples.values().sum::<f64>()
    };
    let counted = || {
        let families = metrics(&cluster);
        (total(&families, "cluster_requests_total") >= 21.0).then_some(families)
    };
    let before = soon("heartbeats that tell of the requests", counted);
    let histogram = &before["cluster_request_duration_seconds"].samples;
    let answered = histogram["_count{}"];
    assert!(
        histogram["_bucket{le=\"0.025\"}"] < answered && histogram["_sum{}"] >= 0.03,
        "{histogram:?}"
    );
    assert!(histogram["_bucket{le=\"10\"}"] == answered);
    let of_workers = &before["cluster_worker_requests_total"].samples;
    assert_eq!(of_workers.len(), 2, "{of_workers:?}");

    let victim = cluster.serving()[0].clone();
    assert!(signal(victim.pid, Signal::KILL));
    let died = "{exit=\"signal 9\",accident=\"true\"}";
    let after = soon("the death", || {
        let families = metrics(&cluster);
        let deaths = &families["cluster_worker_deaths_total"].samples;
        deaths.contains_key(died).then_some(families)
    });
    assert_eq!(after["cluster_worker_deaths_total"].samples[died], 1.0);
    assert!(
        total(&after, "cluster_requests_total") >= answered,
        "what it had done is counted on"
    );
    assert!(
        cluster
            .operate(cluster_core::Operation::Recycle {
                worker: victim.id as u32 + 1
            })
            .is_ok()
    );
    soon("the retirement", || {
        let families = metrics(&cluster);
        let retired = families["cluster_worker_retirements_total"]
            .samples
            .get("{reason=\"operator\"}")
            .copied();
        (retired == Some(1.0)).then_some(())
    });
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(total(&after, name) > 0.0, "{name}");
    }
    cluster.stop();
}

#[test]
fn namespaces_of_the_cache_have_their_figures() {
    let cluster = Setup::shop().flag("--backend-ms", 0).start();
    for _ in 0..5 {
        assert_eq!(cluster.get("/product/fig").status, 200);
    }
    let figures = metrics(&cluster);
    let of = |name: &str| figures[name].samples["{namespace=\"products\"}"];
    assert_eq!(
        (
            of("cluster_cache_hits_total"),
            of("cluster_cache_loads_total")
        ),
        (4.0, 1.0)
    );
    assert!(of("cluster_cache_size_bytes") > 0.0);
    cluster.stop();
}

/// One in 16 of so many, which two threads have done.
fn is_sampled(timed: f64, all: f64) -> bool {
    (timed - all / 16.0).abs() <= 4.0
}

#[test]
fn operations_of_the_cache_and_questions_are_timed_by_who_asks() {
    const LOADS: u32 = 20;
    const READS: u32 = 620;
    const WRITES: u32 = 320;
    let cluster = Setup::shop().flag("--backend-ms", 30).start();
    for n in 0..LOADS {
        assert_eq!(cluster.get(&format!("/product/{n}")).status, 200);
    }
    for n in 0..READS {
        let path = format!("/product/{}", n % LOADS);
        assert_eq!(cluster.get(&path).status, 200);
    }
    for n in 0..WRITES {
        let path = format!("/product/{n}?cents=7");
        let mut connection = Connection::open(&cluster.app()).unwrap();
        let answer = connection.exchange("POST", &path, &[("connection", "close")], "");
        assert_eq!(answer.unwrap().status, 200);
    }
    let operations = "cluster_cache_operation_duration_seconds";
    let of = |families: &BTreeMap<String, Family>, operation: &str, sample: &str| {
        let (name, le) = sample.split_once(' ').unwrap_or((sample, ""));
        let key = format!("_{name}{{operation=\"{operation}\"{le}}}");
        families[operations].samples.get(&key).copied()
    };
    let requests = f64::from(LOADS + READS + WRITES);
    let families = soon("heartbeats that tell of all", || {
        let families = metrics(&cluster);
        let answered = families["cluster_requests_total"].samples["{}"];
        (answered >= requests).then_some(families)
    });
    // Each load is timed, and takes as long as the backend.
    assert_eq!(of(&families, "load", "count"), Some(f64::from(LOADS)));
    assert_eq!(of(&families, "load", "bucket ,le=\"0.025\""), Some(0.0));
    let loading = of(&families, "load", "sum").unwrap();
    assert!(loading >= 0.03 * f64::from(LOADS), "{loading}");
    // A load begins with a read that finds nothing.
    let reads = of(&families, "get", "count").unwrap();
    assert!(is_sampled(reads, f64::from(LOADS + READS)), "{reads}");
    let writes = of(&families, "set", "count").unwrap();
    assert!(is_sampled(writes, f64::from(WRITES)), "{writes}");
    assert!(of(&families, "get", "sum").unwrap() < of(&families, "load", "sum").unwrap());
    assert_eq!(of(&families, "delete", "count"), None, "there was none");

    // The master is asked once for each load: what workers do adds up.
    let asks = &families["cluster_worker_bridge_ask_duration_seconds"].samples;
    let counts = asks.iter().filter(|(key, _)| key.starts_with("_count"));
    let counts: Vec<f64> = counts.map(|(_, count)| *count).collect();
    assert!(counts.len() == 2 && is_sampled(counts.iter().sum(), f64::from(LOADS)));
    for (all, of_workers) in [
        (
            operations,
            "cluster_worker_cache_operation_duration_seconds",
        ),
        (
            "cluster_request_duration_seconds",
            "cluster_worker_request_duration_seconds",
        ),
    ] {
        let counts = |name: &str| {
            let samples = families[name].samples.iter();
            let counts = samples.filter(|(key, _)| key.starts_with("_count"));
            counts.map(|(_, count)| count).sum::<f64>()
        };
        assert_eq!(counts(all), counts(of_workers), "{all}");
    }

    // What a worker did stays counted, and the master's own questions are in the sum.
    let asked = |families: &BTreeMap<String, Family>| {
        families["cluster_bridge_ask_duration_seconds"].samples["_count{}"]
    };
    let before = asked(&families);
    assert!(signal(cluster.serving()[0].pid, Signal::KILL));
    for _ in 0..32 {
        assert_eq!(cluster.ask("/status/os").status, 200);
    }
    let after = metrics(&cluster);
    assert!(asked(&after) > before, "{before}");
    assert!(of(&after, "load", "count") >= of(&families, "load", "count"));
    cluster.stop();
}
