//! The accept loop of one listener on one thread.

use std::{future::poll_fn, io, rc::Rc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    gate::Connections,
    listener::{Door, Remedy, remedy},
    serve::Serve,
};

/// How long an acceptor that holds more than its share lets the others go first. Not longer: where the figures of the
/// others are stale, this is all that it costs.
const COURTESY: Duration = Duration::from_millis(1);

/// How often an idle acceptor looks for a connection that nobody was woken for. The kernel wakes one acceptor per
/// connection; where that one dies or stops before it accepts, this is how long the connection waits.
const LOOKOUT: Duration = Duration::from_millis(100);

/// How long to wait where descriptors or memory are short.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Accepts until the door is closed.
pub(crate) async fn accept_loop(
    door: Rc<Door>,
    serve: Rc<dyn Serve>,
    connections: Rc<Connections>,
    max_connections: u32,
) {
    let mut short = false;
    loop {
        if connections.live() >= max_connections.max(1) {
            door.step_out();
            while connections.live() >= max_connections.max(1) {
                connections.one_closed().await;
            }
            door.step_in();
        }
        if poll_fn(|cx| serve.poll_ready(cx)).await.is_err() {
            wait_out(&door).await;
            continue;
        }
        let Ok(next) = timeout(LOOKOUT, poll_fn(|cx| door.poll_accept(cx))).await else {
            door.pass();
            continue;
        };
        match next {
            None => return,
            Some(Ok(accepted)) => {
                short = false;
                serve.serve(accepted, door.tls.as_ref(), connections.open());
            }
            Some(Err(error)) => {
                if remedy(&error) == Remedy::Wait {
                    log_once(&mut short, &door.address, &error);
                    wait_out(&door).await;
                }
                continue;
            }
        }
        give_way(&door, &connections).await;
    }
}

/// Lets the others come first: for a moment where we hold more than our share, else for one round of this thread.
async fn give_way(door: &Door, connections: &Connections) {
    if connections.should_give_way() {
        door.step_out();
        // A connection of ours that closes makes it our turn again at once.
        let _ = timeout(COURTESY, async {
            while connections.should_give_way() {
                connections.one_closed().await;
            }
        })
        .await;
        door.step_in();
    } else {
        door.pass();
        tokio::task::yield_now().await;
    }
}

/// Leaves the connections to the others while we can take none.
async fn wait_out(door: &Door) {
    door.step_out();
    sleep(SHORTAGE).await;
    door.step_in();
}

/// A shortage lasts for many attempts, and one line is enough for all of them.
fn log_once(short: &mut bool, address: &str, error: &io::Error) {
    if !std::mem::replace(short, true) {
        tracing::warn!(
            address,
            %error,
            "cannot accept for now, trying again every {} ms",
            SHORTAGE.as_millis()
        );
    }
}
