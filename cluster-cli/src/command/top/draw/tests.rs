use std::time::Duration;

use serde_json::json;

use super::*;
use crate::command::top::deed::Deed;
use crate::command::top::screen::{Typing, Wanted};

fn model() -> Model {
    let mut model = Model::default();
    let worker = |id: u32, state: &str| {
        json!({
            "id": id, "pid": 100 + id, "state": state, "generation": 1, "uptime_ms": 59_000, "build": "b1", "linked": true,
            "beat": {
                "uptime_ms": 59_000, "cpu_ms": 10, "rss_bytes": 10_485_760, "live_connections": 12,
                "tps": 1234.4, "p50_us": 850, "p99_us": 4200, "lag_us": 1500,
            },
        })
    };
    let told = json!({
        "name": "shop", "build": "b1", "state": "running", "mark": "up", "wanted": 2, "serving": 1,
        "master": { "pid": 100, "state": "active", "uptime_ms": 61_000 },
        "cache_manager": { "pid": 99, "state": "active", "uptime_ms": 60_000 },
        "workers": [worker(1, "active"), worker(2, "paused")],
        "death_queue": [{ "worker": 1, "reason": "asked for by an operator", "queued_ms": 3000 }],
    });
    model.hear(told, Instant::now()).unwrap();
    model
}

fn with(front: Front) -> Screen {
    let mut screen = Screen::default();
    screen.front = front;
    screen
}

fn drawn(screen: &Screen, model: &Model, colours: bool, size: (u16, u16)) -> (String, Buffer) {
    let look = Look {
        colours,
        now: Instant::now() + Duration::from_secs(5),
    };
    let area = Rect::new(0, 0, size.0, size.1);
    let mut buffer = Buffer::empty(area);
    draw(screen, model, look, area, &mut buffer);
    let mut text = String::new();
    for y in 0..size.1 {
        let line: String = (0..size.0).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    (text, buffer)
}

#[test]
fn one_frame_as_text() {
    let bar = "▁▂▃▄▅▆▇█".chars().next_back().unwrap();
    let expected = format!(
        "\
shop: running, build b1, master 100, up 1m 1s
1 of 2 workers serving, marked up, cache manager active, pid 99, up 1m 0s
2469 requests/s, 0.00 cores, 20.00 MiB, 24 connections  {bar}

   ID     PID STATE              GEN   UPTIME   REQ/S    P50    P99   CPU      MEMORY CONNS    LAG LAST 2 MIN
    1     101 active               1      59s    1234  850µs  4.2ms     -   10.00 MiB    12  1.5ms {space}{bar}
    2     102 paused               1      59s    1234  850µs  4.2ms     -   10.00 MiB    12  1.5ms {space}{bar}

To be replaced
  worker 1: asked for by an operator, queued for 3s",
        space = " ".repeat(23)
    );
    assert_eq!(once(&model(), Instant::now()), expected);
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let coloured = |colours| {
        let (_, buffer) = drawn(&Screen::default(), &model(), colours, (120, 30));
        buffer.content.iter().any(|cell| cell.fg != Color::Reset)
    };
    assert!(coloured(true));
    assert!(!coloured(false));
}

#[test]
fn a_terminal_that_is_too_small_says_so() {
    for size in [(59, 30), (120, 13), (1, 1), (0, 0)] {
        let (text, _) = drawn(&Screen::default(), &model(), true, size);
        let says = text.contains("too small");
        assert!(says || size.0 < 30, "{text}");
    }
}

#[test]
fn whatever_is_in_front_fits_on_every_size() {
    let fronts = [
        Front::Rows,
        Front::Help,
        Front::Question(Deed::Roll),
        Front::Typing(Typing {
            what: Wanted::Filter { worker: 1 },
            line: "x".repeat(500),
        }),
        Front::Text(crate::command::top::screen::Text {
            title: "t".to_owned(),
            lines: vec!["l".to_owned(); 300],
            top: 299,
        }),
    ];
    let mut many = model();
    let workers: Vec<_> = (0..64).map(|id| json!({ "id": id, "pid": id })).collect();
    let queue: Vec<_> = (0..64).map(|id| json!({ "worker": id })).collect();
    let told = json!({ "workers": workers, "death_queue": queue, "crash_loop": "x".repeat(300) });
    many.hear(told, Instant::now()).unwrap();
    many.lose("gone", Instant::now());
    for front in fronts {
        let mut screen = with(front);
        screen.select(40, &many);
        for width in [0, 1, 60, 200] {
            for height in [0, 1, 14, 15, 60] {
                drawn(&screen, &many, true, (width, height));
            }
        }
    }
}

#[test]
fn the_selected_row_is_in_view_and_the_end_of_the_queue_is_counted() {
    let mut many = Model::default();
    let workers: Vec<_> = (1..=64)
        .map(|id| json!({ "id": id, "pid": 9000 + id }))
        .collect();
    let queue: Vec<_> = (1..=64).map(|id| json!({ "worker": id })).collect();
    let told = json!({ "workers": workers, "death_queue": queue });
    many.hear(told, Instant::now()).unwrap();
    let mut screen = Screen::default();
    screen.select(usize::MAX, &many);
    let (text, _) = drawn(&screen, &many, true, (80, 24));
    assert!(
        text.contains(" 9064 ") && !text.contains(" 9001 "),
        "{text}"
    );
    assert!(text.contains(" more\n"), "{text}");
}

#[test]
fn a_master_that_is_away_is_said_to_be() {
    let mut model = model();
    model.lose("no cluster is running in /run/x", Instant::now());
    let (text, _) = drawn(&Screen::default(), &model, true, (100, 30));
    assert!(text.contains("the master is away since"), "{text}");
    assert!(text.contains("no cluster is running in /run/x"), "{text}");
    assert!(text.contains(" 101 "), "the rows stay: {text}");
}

#[test]
fn a_question_says_what_it_does() {
    let screen = with(Front::Question(Deed::Pause {
        worker: 2,
        force: false,
    }));
    let (text, _) = drawn(&screen, &model(), true, (80, 24));
    assert!(
        text.contains("Pause worker 2?") && text.contains("y: yes"),
        "{text}"
    );
}
