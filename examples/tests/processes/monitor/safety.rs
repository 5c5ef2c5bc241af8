//! Who may do what.

use crate::support::{Answer, Cluster, Connection, Setup};

const TOKEN: &str = "a-token-of-16-or-more";

fn ask(
    cluster: &Cluster,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut all = vec![
        ("content-type", "application/json"),
        ("connection", "close"),
    ];
    all.extend(headers);
    let mut connection = Connection::open(&cluster.monitor_here()).unwrap();
    connection.exchange(method, path, &all, body).unwrap()
}

fn pause(cluster: &Cluster, headers: &[(&str, &str)]) -> u16 {
    ask(
        cluster,
        "POST",
        "/debug/actions/pause",
        headers,
        r#"{"worker": 1}"#,
    )
    .status
}

#[test]
fn by_default_the_monitor_is_for_this_machine_alone() {
    let cluster = Setup::hello().start();
    let line = cluster.line("the monitor serves");
    assert!(line.text.contains("http://127.0.0.1:"), "{}", line.text);
    assert_eq!(pause(&cluster, &[]), 200);
    let audit = cluster.line("audit");
    assert!(
        audit.field("who").unwrap().starts_with("127.0.0.1:"),
        "{}",
        audit.text
    );
    assert!(
        audit.text.contains("Pause { worker: Some(1)"),
        "{}",
        audit.text
    );
    assert_eq!(audit.field("outcome"), Some("done"));
    cluster.stop();
}

#[test]
fn on_another_address_nobody_acts_without_a_token() {
    let cluster = Setup::hello().flag("--mon-host", "0.0.0.0").start();
    cluster.line("nobody can act by way of the monitor");
    assert_eq!(
        ask(&cluster, "GET", "/status", &[], "").status,
        200,
        "who looks is welcome"
    );
    let refused = ask(
        &cluster,
        "POST",
        "/debug/actions/pause",
        &[],
        r#"{"worker": 1}"#,
    );
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("--mon-token"), "{refused:?}");
    let acts = [
        ("GET", "/ecv/disable"),
        ("POST", "/ecv/disable"),
        ("GET", "/ecv/dis%61ble"),
        ("PUT", "/status/os"),
        ("DELETE", "/debug/caches/entry?namespace=a&key=b"),
        ("GET", "/debug/caches/keys?namespace=a"),
        ("GET", "/debug/caches/entry?namespace=a&key=b"),
        ("GET", "/debug/c%61ches/watch?namespace=a"),
        ("GET", "/debug/stacks/1"),
        ("GET", "/debug/profile/1?seconds=1"),
        ("GET", "/debug/log/1"),
        ("GET", "/debug/l%6fg/1?from=0"),
        ("POST", "/debug/actions/isolate"),
        ("POST", "/debug/actions/release"),
        ("POST", "/debug/actions/retire"),
        ("POST", "/debug/attach/1"),
        ("POST", "/debug/attach/fresh"),
    ];
    for (method, path) in acts {
        assert_eq!(
            ask(&cluster, method, path, &[], "1").status,
            403,
            "{method} {path}"
        );
    }
    let level = r#"{"filter": "trace"}"#;
    let refused = ask(&cluster, "PUT", "/debug/log-level/1", &[], level);
    assert_eq!(refused.status, 403);
    let status = cluster.status();
    assert_eq!(status["mark"], "up");
    let workers = status["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2, "nobody was started");
    for worker in workers {
        assert_eq!(
            (&worker["state"], &worker["log_filter"]),
            (&"active".into(), &serde_json::Value::Null)
        );
    }
    let audit = cluster.line("outcome=\"refused\"");
    assert!(
        audit.text.contains("POST /debug/actions/pause"),
        "{}",
        audit.text
    );
    cluster.stop();
}

#[test]
fn with_the_token_one_acts_from_anywhere() {
    let cluster = Setup::hello()
        .flag("--mon-host", "0.0.0.0")
        .env("CLUSTER_MON_TOKEN", TOKEN)
        .start();
    let bearer = |token: &str| format!("Bearer {token}");
    for wrong in ["", "x", &TOKEN[1..], &format!("{TOKEN}x")] {
        assert_eq!(
            pause(&cluster, &[("authorization", &bearer(wrong))]),
            401,
            "{wrong:?}"
        );
    }
    assert_eq!(pause(&cluster, &[]), 401);
    assert_eq!(cluster.serving().len(), 2);
    let right = bearer(TOKEN);
    let elsewhere = [
        ("authorization", right.as_str()),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(pause(&cluster, &elsewhere), 403);
    assert_eq!(pause(&cluster, &[("authorization", &right)]), 200);
    let named = [
        ("authorization", right.as_str()),
        ("host", "whatever.example"),
    ];
    assert_eq!(ask(&cluster, "GET", "/status", &named, "").status, 200);
    let log = cluster.log.text();
    assert!(!log.contains(TOKEN), "the token is in the log");
    cluster.stop();
}

#[test]
fn who_looks_into_a_process_is_in_the_audit() {
    let cluster = Setup::hello()
        .flag("--mon-host", "0.0.0.0")
        .env("CLUSTER_MON_TOKEN", TOKEN)
        .start();
    let bearer = format!("Bearer {TOKEN}");
    let with = [("authorization", bearer.as_str())];
    let looks = [
        ("GET /debug/stacks/1", "", "GET /debug/stacks/1"),
        ("GET /debug/profile/1?seconds=1", "", "GET /debug/profile/1"),
        (
            "PUT /debug/log-level/1",
            r#"{"filter": "warn"}"#,
            "PUT /debug/log-level/1",
        ),
        (
            "POST /debug/actions/isolate",
            r#"{"worker": 1}"#,
            "Debug(Isolate { worker: 1 })",
        ),
        (
            "POST /debug/actions/release",
            r#"{"worker": 1}"#,
            "Debug(Release { worker: 1, retire: false })",
        ),
    ];
    for (asked, body, what) in looks {
        let (method, path) = asked.split_once(' ').unwrap();
        assert_eq!(ask(&cluster, method, path, &[], body).status, 401, "{path}");
        let before = cluster.log.len();
        assert_eq!(
            ask(&cluster, method, path, &with, body).status,
            200,
            "{path}"
        );
        let audit = cluster.line_since(before, "outcome=\"done\"");
        assert_eq!(audit.field("what"), Some(what), "{}", audit.text);
    }
    // Other sites are told nothing, token or not.
    for path in ["/debug/stacks/1", "/debug/profile/1", "/debug/log/1"] {
        let elsewhere = [with[0], ("sec-fetch-site", "cross-site")];
        assert_eq!(ask(&cluster, "GET", path, &elsewhere, "").status, 403);
        assert_eq!(ask(&cluster, "GET", path, &[], "").status, 401, "{path}");
    }
    cluster.stop();
}

#[test]
fn behind_a_proxy_the_proxy_says_who_acts() {
    let cluster = Setup::hello()
        .flag("--mon-host", "0.0.0.0")
        .switch("--mon-behind-proxy")
        .start();
    assert_eq!(pause(&cluster, &[("x-forwarded-user", "ada")]), 200);
    let audit = cluster.line("audit");
    assert!(
        audit.field("who").unwrap().starts_with("ada by way of"),
        "{}",
        audit.text
    );
    cluster.stop();
}

#[test]
fn a_page_whose_name_leads_here_is_not_heard() {
    let cluster = Setup::hello().flag("--mon-name", "monitor.example").start();
    for path in [
        "/",
        "/status",
        "/debug",
        "/metrics",
        "/debug/live",
        "/ecv/disable",
    ] {
        let answer = ask(&cluster, "GET", path, &[("host", "evil.example")], "");
        assert_eq!(answer.status, 421, "{path}");
    }
    for host in ["monitor.example", "localhost:1", "[::1]:1", "127.0.0.1"] {
        assert_eq!(
            ask(&cluster, "GET", "/status", &[("host", host)], "").status,
            200,
            "{host}"
        );
    }
    for path in ["/ecv", "/healthz", "/readyz"] {
        let probe = ask(&cluster, "GET", path, &[("host", "balancer.example")], "");
        assert_eq!(
            probe.status, 200,
            "a load balancer may call it what it likes: {path}"
        );
    }
    assert_eq!(cluster.status()["mark"], "up");
    cluster.stop();
}

#[test]
fn a_page_of_another_site_does_not_act() {
    let cluster = Setup::hello().start();
    for stranger in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        assert_eq!(pause(&cluster, &[stranger]), 403, "{stranger:?}");
    }
    assert_eq!(cluster.serving().len(), 2);
    assert_eq!(pause(&cluster, &[("sec-fetch-site", "same-origin")]), 200);
    cluster.stop();
}

#[test]
fn every_answer_forbids_what_a_page_does_not_need() {
    let cluster = Setup::hello().start();
    for path in ["/", "/status", "/ecv", "/nowhere", "/metrics", "/debug"] {
        let answer = cluster.ask(path);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{path}: {policy}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
    }
    cluster.stop();
}

#[test]
fn an_action_that_cannot_be_done_says_why() {
    let cluster = Setup::hello().start();
    let act = |name: &str, body: &str| {
        ask(
            &cluster,
            "POST",
            &format!("/debug/actions/{name}"),
            &[],
            body,
        )
    };
    for (name, body, status, why) in [
        ("recycle", r#"{"worker": 99}"#, 404, "99"),
        ("recycle", "{}", 400, "worker"),
        ("scale", r#"{"workers": 0}"#, 422, "1 to 512"),
        ("stop", "{}", 404, "no action"),
        ("pause", r#"{"wrong": 1}"#, 400, ""),
        ("pause", "nonsense", 400, ""),
    ] {
        let answer = act(name, body);
        assert_eq!(answer.status, status, "{name} {body}: {answer:?}");
        assert!(answer.body.contains(why), "{answer:?}");
    }
    assert_eq!(act("pause", r#"{"worker": 1}"#).status, 200);
    let last = act("pause", r#"{"worker": 2}"#);
    assert_eq!((last.status, &last.json()["force"]), (409, &true.into()));
    let long = format!(r#"{{"worker": {}1}}"#, " ".repeat(70_000));
    assert_eq!(act("pause", &long).status, 413);
    cluster.stop();
}
