//! How long an idle connection is kept open: told by looks at all connections of a thread, not by a timer of each.
//!
//! actix's own timer is asked before the socket is, and is set by a clock that lags behind where the thread was kept from running. So a
//! process that was stopped, or a handler that blocked its thread, would cost the requests that came meanwhile. A thread that does not
//! run does not look, and so nothing grows older by it; and what a client had sent is read before its connection ends.

use std::{rc::Rc, time::Duration};

use actix_http::KeepAlive;
use tokio::time::{MissedTickBehavior, interval};

use super::{gate::Connections, settings::HttpSettings};

/// So many looks in the time that an idle connection is kept.
const LOOKS: u32 = 10;
/// The shortest time between two looks.
const OFTEN: Duration = Duration::from_millis(5);

/// Who closes idle connections: what actix is told, and the time after which we do it.
pub(super) fn keep_alive(settings: &HttpSettings) -> (KeepAlive, Option<Duration>) {
    match settings.keep_alive {
        // HTTP/2 asks its clients for signs of life in the same rhythm.
        KeepAlive::Timeout(time) if !settings.http2 && !time.is_zero() => {
            (KeepAlive::Os, Some(time))
        }
        other => (other, None),
    }
}

/// Closes each connection that has been idle for the time, or up to a tenth longer; for ever.
pub(super) async fn close_idle(connections: Rc<Connections>, time: Duration) {
    let mut looks = interval((time / LOOKS).max(OFTEN));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let most = time.div_duration_f32(looks.period()).ceil() as u32;
    loop {
        looks.tick().await;
        connections.grow_older(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_is_ours_to_keep() {
        let of = |keep_alive, http2| {
            self::keep_alive(&HttpSettings {
                keep_alive,
                http2,
                ..HttpSettings::default()
            })
        };
        let time = Duration::from_secs(7);
        let timeout = KeepAlive::Timeout(time);
        assert_eq!(of(timeout, false), (KeepAlive::Os, Some(time)));
        assert_eq!(of(timeout, true), (timeout, None));
        assert_eq!(of(KeepAlive::Os, false), (KeepAlive::Os, None));
        assert_eq!(of(KeepAlive::Disabled, false), (KeepAlive::Disabled, None));
    }
}
