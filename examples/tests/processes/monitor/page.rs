//! The page at `/debug`, in a real browser.

use std::time::{Duration, Instant};

use cluster_core::Operation;

use crate::support::{Browser, Cluster, Setup, Signal, Users, signal, soon, within};

fn page(cluster: &Cluster) -> String {
    format!("http://127.0.0.1:{}/debug", cluster.monitor().port())
}

/// Opens the page, and waits until it shows all workers.
fn open(browser: &Browser, cluster: &Cluster, workers: usize) {
    browser.open(&page(cluster));
    browser.until(&active(workers));
}

fn active(workers: usize) -> String {
    format!("document.querySelectorAll('[data-state=active]').length === {workers}")
}

fn state(worker: u64, state: &str) -> String {
    format!("document.querySelector('[data-worker=\"{worker}\"] [data-state=\"{state}\"]')")
}

/// A port that was free a moment ago: one that another master is to bind again.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_killed_worker_is_replaced_before_ones_eyes() {
    let cluster = Setup::hello().start();
    let browser = Browser::start();
    open(&browser, &cluster, 2);
    let victim = cluster.serving()[0].clone();
    assert!(signal(victim.pid, Signal::KILL));
    browser.until(&format!(
        "!document.querySelector('[data-worker=\"{}\"]')",
        victim.id
    ));
    browser.until(&active(2));
    browser.until("[...document.querySelectorAll('#events .bad b')].some((b) => b.textContent.includes('died'))");
    browser.until("[...document.querySelectorAll('#events span')].some((s) => s.textContent.includes('SIGKILL'))");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    drop(browser);
    cluster.stop();
}

#[test]
fn what_is_clicked_is_done() {
    let cluster = Setup::hello().start();
    let browser = Browser::start();
    open(&browser, &cluster, 2);
    let worker = cluster.serving()[0].id;
    let choose = |action: &str| {
        browser.click(&format!("[data-worker=\"{worker}\"] button"));
        browser.click(&format!("#menu [data-action={action}]"));
    };
    choose("pause");
    browser.click("#dialog-no");
    assert_eq!(cluster.serving().len(), 2, "it was not confirmed");
    choose("pause");
    browser.click("#dialog-yes");
    browser.until(&state(worker, "paused"));
    browser.until("document.querySelector('.toast')?.textContent.includes('done')");
    assert_eq!(cluster.serving().len(), 1);
    choose("resume");
    browser.until(&state(worker, "active"));
    choose("recycle");
    browser.click("#dialog-yes");
    browser.until(&format!(
        "!document.querySelector('[data-worker=\"{worker}\"]')"
    ));
    browser.until(&active(2));

    browser.click("#ecv");
    browser.click("#dialog-yes");
    browser.until("document.getElementById('ecv').getAttribute('aria-checked') === 'false'");
    assert_eq!(cluster.status()["mark"], "down");
    browser.click("#ecv");
    browser.until("document.getElementById('ecv').getAttribute('aria-checked') === 'true'");

    browser.click("#deeds");
    browser.click("#menu [data-action=scale]");
    browser.type_into("#dialog-input", "3");
    browser.click("#dialog-yes");
    browser.until(&active(3));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    drop(browser);
    cluster.stop();
}

#[test]
fn the_token_is_asked_for_once() {
    let cluster = Setup::hello()
        .flag("--mon-token", "a-token-of-16-or-more")
        .start();
    let browser = Browser::start();
    open(&browser, &cluster, 2);
    browser.click("#ecv");
    browser.click("#dialog-yes");
    browser.until("document.getElementById('dialog-input').type === 'password' && document.getElementById('dialog').open");
    browser.type_into("#dialog-input", "a-token-of-16-or-more");
    browser.click("#dialog-yes");
    browser.until("document.getElementById('ecv').getAttribute('aria-checked') === 'false'");
    browser.click("#ecv");
    browser.until("document.getElementById('ecv').getAttribute('aria-checked') === 'true'");
    drop(browser);
    cluster.stop();
}

#[test]
fn what_is_kept_is_shown_as_text() {
    let cluster = Setup::shop().flag("--backend-ms", 0).start();
    let evil = "<img src=x onerror=hurt()><script>hurt()</script>";
    let socket = cluster.status()["cache_socket"]
        .as_str()
        .unwrap()
        .to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let set = async |key: &str, value: &str| {
        let caches = cluster_cache::Caches::connect(&socket, std::time::Duration::from_secs(5));
        let of = caches
            .cache(evil, cluster_cache::CacheOptions::default())
            .unwrap();
        of.set(key, value).await.unwrap()
    };
    // The thread's link to the cache lives as long as the set of its tasks.
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, set(evil, evil));
    let browser = Browser::start();
    open(&browser, &cluster, 2);
    browser.run("window.hurt = () => { window.hurts = true; };");
    browser.click("#tab-caches");
    let shows = |selector: &str| {
        format!(
            "[...document.querySelectorAll('{selector}')].some((e) => e.textContent.includes('<script>hurt()'))"
        )
    };
    browser.until(&shows("#caches tbody button"));
    browser.click("#caches tbody button");
    browser.until(&shows("#caches .list button"));
    browser.click("#caches .list button");
    browser.until(&shows("#caches pre"));
    browser.until("[...document.querySelectorAll('#caches button')].some((b) => b.textContent === 'Watch live')");
    browser.run("[...document.querySelectorAll('#caches button')].find((b) => b.textContent === 'Watch live').click();");
    soon("a change that is watched", || {
        tasks.block_on(&runtime, set(evil, evil));
        (browser.eval(&shows("#caches .changes span")) == true).then_some(())
    });
    assert_eq!(
        browser.eval("document.querySelectorAll('main img, main script').length"),
        0
    );
    assert!(browser.eval("window.hurts ?? null").is_null());
    assert_eq!(browser.complaints(), Vec::<String>::new());

    browser.run("[...document.querySelectorAll('#caches button')].find((b) => b.textContent === 'Delete…').click();");
    browser.click("#dialog-yes");
    browser.until("document.querySelectorAll('#caches .list button').length === 0");
    drop(browser);
    cluster.stop();
}

#[test]
fn the_page_comes_back_with_the_next_master() {
    let mut cluster = Setup::hello().flag("--mon-port", free_port()).start();
    let browser = Browser::start();
    open(&browser, &cluster, 2);
    let workers: Vec<u32> = cluster.serving().iter().map(|worker| worker.pid).collect();
    let first = cluster.master();
    cluster.signal(Signal::KILL);
    browser.until("!document.getElementById('away').hidden");
    cluster.start_master_again();
    cluster.wait_until_ready();
    browser.until("document.getElementById('away').hidden");
    browser.until(&format!(
        "[...document.querySelectorAll('#facts dd')].some((d) => d.textContent === 'pid {}')",
        cluster.master()
    ));
    browser.until(&active(2));
    for pid in workers {
        assert_eq!(
            browser.eval(&format!(
                "document.getElementById('rows').textContent.includes('pid {pid} ')"
            )),
            true
        );
    }
    assert_ne!(first, cluster.master());
    drop(browser);
    cluster.stop();
}

#[test]
fn statuses_are_set_and_dependencies_searched() {
    let cluster = Setup::hello().switch("--gc.explicit").start();
    let browser = Browser::start();
    open(&browser, &cluster, 2);
    browser.click("#tab-statuses");
    browser.until(
        "[...document.querySelectorAll('#statuses h3')].some((h) => h.textContent.includes('os'))",
    );
    browser.until("document.querySelectorAll('#statuses form').length === 1");
    browser.type_into("#statuses form input", "true");
    browser.click("#statuses form button");
    browser.until("[...document.querySelectorAll('.toast')].some((t) => t.textContent.includes('gc: set in'))");
    browser.click("#tab-dependencies");
    browser
        .until("document.querySelector('#dependencies .tree').textContent.includes('cluster-web')");
    browser.type_into("#dependencies input", "tokio-rus");
    browser.until("[...document.querySelectorAll('#dependencies mark')].some((m) => m.textContent === 'tokio-rus')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    drop(browser);
    cluster.stop();
}

/// What a picture is called after.
pub(super) fn look(phone: bool, dark: bool) -> String {
    let size = ["desktop", "phone"][usize::from(phone)];
    format!("{size}-{}", ["light", "dark"][usize::from(dark)])
}

#[test]
fn nobody_is_kept_out() {
    let cluster = Setup::shop().flag("--backend-ms", 0).start();
    assert_eq!(cluster.get("/product/fig").status, 200);
    let browser = Browser::start();
    for (phone, dark) in [(false, false), (true, false), (false, true), (true, true)] {
        browser.look_like(phone, dark);
        let passes = |what: &str| {
            let look = look(phone, dark);
            let barriers = browser.barriers();
            assert!(barriers.is_empty(), "{what}, {look}: {barriers:#?}");
            let wide = browser.eval("document.documentElement.scrollWidth - innerWidth");
            assert!(
                wide.as_i64().is_some_and(|more| more <= 0),
                "{what}, {look}: it is to be scrolled sideways by {wide}"
            );
            browser.keep(&format!("{what}-{look}"));
        };
        open(&browser, &cluster, 2);
        passes("two-workers");
        browser.run("location.hash = '#caches'");
        browser.click("#caches tbody button");
        browser.click("#caches .list button");
        browser.until("document.querySelector('#caches pre').textContent.includes('cents')");
        passes("caches");
        browser.run("location.hash = '#statuses'");
        browser.until("document.querySelectorAll('#statuses .value').length > 3");
        passes("statuses");
        browser.run("location.hash = '#dependencies'");
        browser.until("document.querySelectorAll('#dependencies li').length > 3");
        passes("dependencies");
    }
    browser.look_like(false, false);
    open(&browser, &cluster, 2);
    browser.run("document.querySelector('[data-worker] button').focus();");
    browser.type_into(":focus", "\u{e007}");
    browser.until("document.activeElement.closest('#menu')");
    assert_eq!(browser.barriers(), Vec::<String>::new(), "the menu");
    browser.type_into(":focus", "\u{e015}");
    browser.type_into(":focus", "\u{e00c}");
    browser.until("!document.querySelector('#menu:popover-open')");
    drop(browser);
    cluster.stop();
}

/// The pictures of the README, where `PICTURES` names a directory; else none are kept.
#[test]
fn pictures_can_be_taken() {
    let cluster = Setup::shop()
        .flag("--backend-ms", 20)
        .flag("--workers", 4)
        .flag("--heartbeat-interval", "500")
        .start();
    let browser = Browser::start();
    // A line wants two points, of ten seconds each, and a picture for people more of them.
    let kept = std::env::var_os("PICTURES").is_some();
    let seconds = if kept { 150 } else { 3 };
    let pace = Duration::from_millis(4);
    let users = Users::on(&cluster.app(), pace, |_| {
        format!("/product/sku-{}", fastrand::u32(0..400))
    });
    let begun = Instant::now();
    within(
        Duration::from_secs(seconds * 2),
        "what is to be seen",
        || (begun.elapsed().as_secs() >= seconds).then_some(()),
    );
    let worker = u32::try_from(cluster.serving()[1].id).unwrap();
    cluster.operate(Operation::Recycle { worker }).unwrap();
    for (phone, dark) in [(false, false), (false, true), (true, false), (true, true)] {
        browser.look_like(phone, dark);
        open(&browser, &cluster, 4);
        assert!(browser.picture().starts_with(b"\x89PNG"));
        browser.keep(&look(phone, dark));
    }
    assert!(users.end() > 100);
    drop(browser);
    cluster.stop();
}
