//! Looking into a process from the page, in a real browser.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::page::look;
use crate::support::{Address, Browser, Cluster, Connection, Load, Setup, within};

const LONG: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-of-16-or-more";

/// Opens the page, or a view of it, as whoever comes to it for the first time.
fn open(browser: &Browser, cluster: &Cluster, view: &str) {
    browser.open("about:blank");
    let port = cluster.monitor().port();
    browser.open(&format!("http://127.0.0.1:{port}/debug{view}"));
    browser.until("document.getElementById('name').textContent !== 'cluster'");
}

fn choose(browser: &Browser, worker: u64, name: &str) {
    browser.click(&format!("[data-worker=\"{worker}\"] button"));
    browser.click(&format!("#menu [data-action={name}]"));
}

fn says(selector: &str, text: &str) -> String {
    let text = json!(text);
    format!(
        "[...document.querySelectorAll('{selector}')].some((e) => !e.hidden && e.textContent.includes({text}))"
    )
}

fn worker(cluster: &Cluster, id: u64) -> Value {
    let status = cluster.status();
    let mut workers = status["workers"].as_array().unwrap().iter();
    let found = workers.find(|worker| worker["id"] == id);
    found.cloned().unwrap_or(Value::Null)
}

#[test]
fn a_flame_graph_of_a_busy_worker_is_three_clicks_away() {
    let cluster = Setup::hello().start();
    let load = Load::on(&cluster.app(), 4, 1);
    let browser = Browser::start();
    let folder = TempDir::new().unwrap();
    browser.tell(
        "Browser.setDownloadBehavior",
        json!({ "behavior": "allow", "downloadPath": folder.path() }),
    );
    let begun = Instant::now();
    open(&browser, &cluster, "");
    browser.click("[data-worker=\"1\"] button");
    browser.click("#menu [data-action=profile]");
    browser.click("#profile-start");
    browser.until("document.querySelectorAll('#profile .flame rect').length > 10");
    println!(
        "3 clicks and {:.1} s to the flame graph of 5 s, of {} frames",
        begun.elapsed().as_secs_f64(),
        browser.eval("document.querySelectorAll('#profile .flame rect').length")
    );
    browser.until(&says("#profile .flame title", "hello::main"));
    browser.until("document.querySelectorAll('#profile .functions tbody tr').length > 3");
    // What is seen can be kept.
    browser.click("#profile-keep");
    let kept = folder.path().join("hello-1.svg");
    let svg = within(LONG, "the file", || {
        let text = fs::read_to_string(&kept).ok()?;
        text.ends_with("</svg>\n").then_some(text)
    });
    assert!(svg.contains("hello::main"));
    // It is walked about in by keys.
    let widths = "[...document.querySelectorAll('#profile .flame rect')].filter((r) => r.getAttribute('width') > 300).length";
    let caption = "document.querySelector('#profile .caption').textContent";
    browser.run("document.querySelector('#profile .field').focus();");
    let all = browser.eval(caption);
    assert!(all.as_str().unwrap().starts_with("all: "), "{all}");
    for _ in 0..3 {
        browser.type_into("#profile .field", "\u{e015}");
    }
    assert_ne!(browser.eval(caption), all);
    let before = browser.eval(widths);
    browser.type_into("#profile .field", "\u{e007}");
    browser.until("document.querySelectorAll('#profile .flame .around').length === 3");
    browser.type_into("#profile .field", "\u{e00c}");
    browser.until("document.querySelectorAll('#profile .flame .around').length === 0");
    assert_eq!(browser.eval(widths), before);
    assert_eq!(browser.eval(caption), all);
    load.end().assert_lost_only_to(&[]);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    drop(browser);
    cluster.stop();
}

#[test]
fn a_worker_is_isolated_and_released_by_click() {
    let cluster = Setup::hello().start();
    let browser = Browser::start();
    open(&browser, &cluster, "");
    choose(&browser, 1, "isolate");
    browser.click("#dialog-yes");
    browser.until("document.querySelector('[data-worker=\"1\"] [data-state=isolated]')");
    browser.until(&says(".toast", "it serves at http://127.0.0.1:"));
    assert_eq!(cluster.status()["serving"], 2, "a successor serves");
    // Its view says where it is, and offers what can be done to it now.
    browser.click("[data-worker=\"1\"] a");
    browser.until(&says("#process-title", "Worker 1"));
    let own = worker(&cluster, 1)["isolated"].clone();
    browser.until(&says("#process .bar a", own.as_str().unwrap()));
    let answer = Connection::get(&Address::parse(own.as_str().unwrap()), "/whoami");
    assert_eq!(answer.unwrap().json()["id"], 1);
    browser.click("#process [data-action=release]");
    browser.until(&says(".toast", "it serves with the others again"));
    browser.until("document.querySelector('#process [data-state=active]')");
    assert_eq!(worker(&cluster, 1)["isolated"], Value::Null);
    browser.click("#process [data-action=isolate]");
    browser.click("#dialog-yes");
    browser.until("document.querySelector('#process [data-state=isolated]')");
    browser.click("#process [data-action=retire]");
    browser.click("#dialog-yes");
    browser.until(&says(".toast", "it ends"));
    browser.until("document.querySelector('#process [data-state=\"not there\"]')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    drop(browser);
    cluster.stop();
}

#[test]
fn what_a_worker_logs_is_changed_and_read_by_click() {
    let cluster = Setup::hello().flag("--mon-token", TOKEN).start();
    let browser = Browser::start();
    open(&browser, &cluster, "");
    choose(&browser, 1, "log");
    // What is logged is for those who may act.
    browser.until("document.getElementById('dialog-input').type === 'password' && document.getElementById('dialog').open");
    assert_eq!(
        browser.eval("document.querySelectorAll('#log .lines div').length"),
        0
    );
    browser.type_into("#dialog-input", TOKEN);
    browser.click("#dialog-yes");
    browser.until(&says("#log .lines div", "INFO"));
    browser.type_into("#log-filter", "hello=loud");
    browser.click("#log-set");
    browser.until(&says(".toast.bad", "loud"));
    browser.run("document.getElementById('log-filter').value = '';");
    browser.type_into("#log-filter", "trace");
    browser.click("#log-set");
    browser.until(&says(".toast", "It logs trace (before: info)"));
    assert_eq!(worker(&cluster, 1)["log_filter"], "trace");
    let load = Load::on(&cluster.app(), 2, 2);
    browser.until("[...document.querySelectorAll('#log .lines div')].some((l) => /TRACE|DEBUG/.test(l.textContent))");
    // However much it says, so many lines are in sight.
    within(LONG, "as many lines as are kept", || {
        let lines = browser.eval("document.querySelectorAll('#log .lines div').length");
        assert!(lines.as_u64() <= Some(1000), "{lines}");
        (lines == 1000).then_some(())
    });
    load.end().assert_lost_only_to(&[]);
    assert_eq!(
        browser.eval("document.querySelectorAll('#log .lines :not(div)').length"),
        0,
        "a line is text and nothing else"
    );
    browser.run("location.hash = '#workers';");
    browser.until(&says("[data-worker=\"1\"] .tag", "log"));
    assert_eq!(
        browser.eval(&says("[data-worker=\"2\"] .tag", "log")),
        false
    );
    browser.click("[data-worker=\"1\"] a");
    browser.click("#log-reset");
    browser.until(&says("#log", "as it was started"));
    assert_eq!(worker(&cluster, 1)["log_filter"], Value::Null);
    drop(browser);
    cluster.stop();
}

#[test]
fn stacks_are_shown_as_text_of_the_masters_too() {
    let cluster = Setup::hello().start();
    let browser = Browser::start();
    open(&browser, &cluster, "");
    // By keys alone: the menu of a row, the look, its button.
    let press = |key: &str| browser.type_into(":focus", key);
    browser.run("document.querySelector('[data-worker=\"2\"] button').focus();");
    press("\u{e007}");
    browser.until("document.activeElement.closest('#menu')");
    while browser.eval("document.activeElement.dataset.action") != "stacks" {
        press("\u{e015}");
    }
    press("\u{e007}");
    browser.until("document.activeElement.id === 'stacks-take'");
    press("\u{e007}");
    browser.until(&says("#stacks pre", "hello::main"));
    browser.until(&says("#stacks .bar span", "ms in all"));
    browser.run("location.hash = '#workers';");
    browser.click("#facts a[href=\"#process/master\"]");
    browser.click("#look-stacks");
    assert_eq!(
        browser.eval("document.querySelectorAll('#stacks pre').length"),
        0
    );
    browser.click("#stacks-take");
    browser.until(&says("#stacks pre", "hello::main"));
    assert_eq!(
        browser.eval("document.getElementById('look-debugger').hidden"),
        true
    );
    // Somebody may be gone by the time.
    browser.run("location.hash = '#process/99/stacks';");
    browser.click("#stacks-take");
    browser.until(&says("#stacks .bar span", "no worker has the id or pid 99"));
    drop(browser);
    cluster.stop();
}

#[test]
fn a_debugger_is_there_for_as_long_as_the_page_wants_it() {
    let cluster = Setup::hello().start();
    let browser = Browser::start();
    open(&browser, &cluster, "");
    choose(&browser, 1, "debugger");
    browser.click("#debugger-attach");
    browser.click("#dialog-yes");
    browser.until(&says("#debugger-command", "target remote 127.0.0.1:"));
    let shown = browser.eval("document.getElementById('debugger-command').textContent");
    assert_eq!(worker(&cluster, 1)["debugger"], shown);
    browser.run("location.hash = '#workers';");
    browser.until(&says("[data-worker=\"1\"] .tag", "gdb"));
    browser.until("document.querySelector('[data-worker=\"1\"] [data-state=isolated]')");
    browser.run("location.hash = '#process/1/debugger';");
    browser.click("#debugger-end");
    browser.until(&says("#debugger .bar span", "ended"));
    // It was isolated for that alone.
    cluster.until(LONG, "its end", |_| worker(&cluster, 1) == Value::Null);
    browser.run("location.hash = '#workers';");
    browser.click("#deeds");
    browser.click("#menu [data-action=fresh]");
    browser.click("#debugger-attach");
    browser.until(&says("#debugger-command", "target remote 127.0.0.1:"));
    browser.until(&says("#debugger .bar span", "It is worker 4."));
    assert_eq!(cluster.serving().len(), 2);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // The page is closed.
    browser.open("about:blank");
    cluster.until(LONG, "its end", |_| worker(&cluster, 4) == Value::Null);
    drop(browser);
    cluster.stop();
}

#[test]
fn nobody_is_kept_out_of_what_is_inside() {
    let cluster = Setup::hello().start();
    let load = Load::on(&cluster.app(), 2, 1);
    let browser = Browser::start();
    for (phone, dark) in [(false, false), (true, true), (false, true), (true, false)] {
        browser.look_like(phone, dark);
        let passes = |what: &str| {
            let barriers = browser.barriers();
            assert!(
                barriers.is_empty(),
                "{what}, phone {phone}, dark {dark}: {barriers:#?}"
            );
            let wide = browser.eval("document.documentElement.scrollWidth - innerWidth");
            assert!(
                wide.as_i64().is_some_and(|more| more <= 0),
                "{what} is to be scrolled sideways by {wide}"
            );
            browser.keep(&format!("{what}-{}", look(phone, dark)));
        };
        let id = cluster.serving()[0].id;
        open(&browser, &cluster, &format!("#process/{id}/log"));
        browser.until(&says("#log .lines div", "INFO"));
        passes("log");
        browser.click("#look-stacks");
        browser.click("#stacks-take");
        browser.until(&says("#stacks pre", "hello::main"));
        passes("stacks");
        browser.click("#look-profile");
        browser.run("document.getElementById('profile-seconds').value = 1;");
        browser.click("#profile-start");
        browser.until("document.querySelectorAll('#profile .flame rect').length > 5");
        passes("profile");
        browser.click("#look-debugger");
        browser.click("#debugger-attach");
        browser.click("#dialog-yes");
        browser.until(&says("#debugger-command", "target remote"));
        passes("debugger");
        browser.run("location.hash = '#workers';");
        browser.until(&says(&format!("[data-worker=\"{id}\"] .tag"), "gdb"));
        passes("workers");
        open(&browser, &cluster, "");
        cluster.until(LONG, "two and no more", |status| {
            status["workers"]
                .as_array()
                .is_some_and(|all| all.len() == 2)
                && status["serving"] == 2
        });
    }
    load.end().assert_lost_only_to(&[]);
    drop(browser);
    cluster.stop();
}
