//! Killed workers and restarts under load, for as long as is asked for.

use std::time::{Duration, Instant};

use crate::restart::roll;
use crate::support::{Kill, Load, ServingWatch, Setup, within};

/// The variable that says for how long, in seconds: 60 is the full line, 12 what every run takes.
const SECONDS: &str = "EXAMPLES_ENDURANCE_SECONDS";

#[test]
fn each_worker_killed_in_turn_and_two_restarts_lose_only_what_the_killed_had_accepted() {
    let seconds = std::env::var(SECONDS).map_or(12, |text| text.parse().expect("seconds"));
    let begun = Instant::now();
    let lasted = |share: f64| begun.elapsed() >= Duration::from_secs(seconds).mul_f64(share);
    let pass = |share| {
        within(Duration::from_secs(seconds + 60), "time", || {
            lasted(share).then_some(())
        })
    };

    let cluster = Setup::hello().start();
    let load = Load::on(&cluster.app(), 6, 3);
    let watch = ServingWatch::of(cluster.monitor());
    let mut kills = Vec::new();
    for (turn, share) in [0.1, 0.5].into_iter().enumerate() {
        pass(share);
        let victim = cluster.serving().remove(turn);
        kills.push(Kill::of(victim.pid));
        within(Duration::from_secs(10), "a replacement", || {
            let serving = cluster.serving();
            (serving.len() == 2 && serving.iter().all(|worker| worker.pid != victim.pid))
                .then_some(())
        });
        pass(share + 0.2);
        roll(&cluster);
    }
    pass(1.0);
    let seen = load.end();
    println!(
        "{} kept, {} fresh, {} lost to {} killed workers",
        seen.kept,
        seen.fresh,
        seen.failed.len(),
        kills.len()
    );
    seen.assert_lost_only_to(&kills);
    assert!(watch.fewest() >= 1);
    assert!(
        cluster
            .serving()
            .iter()
            .all(|worker| worker.generation == 3)
    );
    cluster.stop();
}
