//! What the page costs while users are at work: the browser, the wire, the master.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cluster_core::sys::Usage;
use serde_json::{Value, json};

use crate::support::{Address, Browser, Cluster, Setup, Users, within};

const WORKERS: usize = 64;
const KEYS: usize = 10_000;
const PAGES: usize = 20;
/// Between two users who come: each of the workers has two of them a second.
const PACE: Duration = Duration::from_micros(1_000_000 / (2 * WORKERS as u64));
/// For how long it is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Has the page note what is moved by updates.
const WATCH_SHIFTS: &str = "window.moved = [];
    new PerformanceObserver((list) => list.getEntries().forEach((shift) => shift.sources.forEach(({ node }) => {
        const element = node?.nodeType === 3 ? node.parentElement : node;
        const place = element?.closest('[data-label]')?.dataset.label ?? element?.closest('[id]')?.id;
        window.moved.push(`${element?.localName}.${element?.className} of ${place}`);
    }))).observe({ type: 'layout-shift' });";

/// A page's stream, read until its end or the end of the time; gives back the bytes.
fn follow(address: std::net::SocketAddr, until: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /debug/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let (mut buffer, mut bytes, mut first) = ([0; 65_536], 0, true);
    while Instant::now() < until {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            // The first part is all there is to know, once.
            Ok(n) if !first => bytes += n as u64,
            Ok(_) => {}
            Err(_) => first = false,
        }
    }
    bytes
}

fn fill(cluster: &Cluster) {
    let socket = cluster.status()["cache_socket"]
        .as_str()
        .unwrap()
        .to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let caches = cluster_cache::Caches::connect(&socket, Duration::from_secs(10));
        let of = caches
            .cache("many", cluster_cache::CacheOptions::default())
            .unwrap();
        for n in 0..KEYS {
            assert!(of.set(&format!("key-{n:05}"), &n).await.unwrap());
        }
    });
}

/// The durations of the last updates, in milliseconds, shortest first.
fn updates(browser: &Browser, least: u64) -> Vec<f64> {
    browser.run("performance.clearMeasures('update');");
    within(Duration::from_secs(60), "updates", || {
        let count = browser.eval("performance.getEntriesByName('update').length");
        (count.as_u64() >= Some(least)).then_some(())
    });
    let took = browser.eval("performance.getEntriesByName('update').map((m) => m.duration)");
    let mut took: Vec<f64> = took
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    took.sort_by(f64::total_cmp);
    took
}

#[test]
fn an_update_costs_the_page_the_wire_and_the_master_little() {
    let cluster = Setup::shop()
        .flag("--workers", WORKERS)
        .flag("--heartbeat-interval", "1s")
        .flag("--backend-ms", 0)
        .start();
    fill(&cluster);
    let begun = Instant::now();
    let users = Users::on(&cluster.app(), PACE, |n| format!("/product/{}", n % 100));
    let Address::Tcp(monitor) = cluster.monitor() else {
        panic!("it is TCP")
    };

    let browser = Browser::start();
    browser.open(&format!("http://{monitor}/debug"));
    browser.until(&format!(
        "document.querySelectorAll('[data-state=active]').length === {WORKERS}"
    ));
    browser.run(WATCH_SHIFTS);
    let rows = updates(&browser, 8);
    assert_eq!(
        browser.eval("window.moved"),
        json!([]),
        "moved by an update"
    );
    browser.click("#tab-caches");
    browser.run("window.seen = performance.now();");
    browser.until("[...document.querySelectorAll('#caches tbody button')].some((b) => b.textContent === 'many')");
    browser.run("[...document.querySelectorAll('#caches tbody button')].find((b) => b.textContent === 'many').click();");
    browser.until("document.querySelector('#caches .list .space').offsetHeight > 200000");
    let keys = updates(&browser, 4);
    let middle = |took: &[f64]| took[took.len() / 2];
    println!(
        "an update takes {:.2} ms of script (longest {:.2}) with {WORKERS} rows, {:.2} ms (longest {:.2}) beside {KEYS} keys",
        middle(&rows),
        rows[rows.len() - 1],
        middle(&keys),
        keys[keys.len() - 1]
    );
    assert!(middle(&rows) <= 8.0 && middle(&keys) <= 8.0);
    drop(browser);

    let cpu = || Usage::of(cluster.master()).unwrap().cpu_time;
    let share = |pages: usize| {
        let until = Instant::now() + LOOK;
        let before = cpu();
        let readers: Vec<_> = (0..pages)
            .map(|_| std::thread::spawn(move || follow(monitor, until)))
            .collect();
        let bytes = readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .max();
        within(LOOK * 2, "the end of the look", || {
            (Instant::now() >= until).then_some(())
        });
        (
            (cpu() - before).as_secs_f64() / LOOK.as_secs_f64(),
            bytes.unwrap_or_default(),
        )
    };
    let (alone, _) = share(0);
    let (watched, bytes) = share(PAGES);
    let each = bytes as f64 / LOOK.as_secs_f64() / 1024.0;
    let more = (watched - alone) * 100.0;
    println!(
        "the wire carries {each:.1} KiB/s to each page; {PAGES} pages cost the master {more:.2} % of a core (it takes {:.2} % alone)",
        alone * 100.0
    );
    let pace = users.end() as f64 / begun.elapsed().as_secs_f64();
    println!("meanwhile {pace:.0} users a second were served");
    assert!(each <= 50.0);
    assert!(more < 5.0);
    assert!(pace >= WORKERS as f64, "too few to tell");
    cluster.stop();
}
